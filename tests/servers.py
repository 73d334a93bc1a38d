"""Real servers: where they are, and databases on them that a test may do with as it likes.

They are asked for at the addresses of libpq's and MySQL's own environment variables and of
``REDIS_URL``, by default at 127.0.0.1.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pymysql
import pytest
import redis

POSTGRES = {
    "HOST": os.environ.get("PGHOST", "127.0.0.1"),
    "PORT": os.environ.get("PGPORT", "5432"),
    "USER": os.environ.get("PGUSER", "postgres"),
    "PASSWORD": os.environ.get("PGPASSWORD", ""),
}
MARIADB = {
    "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
    "PORT": os.environ.get("MYSQL_TCP_PORT", "3306"),
    "USER": os.environ.get("MYSQL_USER", "root"),
    "PASSWORD": os.environ.get("MYSQL_PWD", ""),
}
REDIS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")


@dataclass(frozen=True)
class Server:
    """A database server, and the database on it that a test may do with as it likes."""

    engine: str
    address: dict[str, str]
    name: str
    connect: Callable[..., Any]
    """Connects to a database of it, in autocommit; to one that always exists without a name."""

    own_id: str
    """The SQL that says which of the server's connections one is."""

    refused: type[Exception]
    """What is raised where there is no such server."""

    def execute(self, sql: str) -> list[Any]:
        """Execute SQL in the database, by a connection of the test's own."""
        with closing(self.connect(self.name)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []

    def settings(self, text: str, *, max_age: int | None = None) -> str:
        """Return the text of settings whose default database is this one."""
        own = {"ENGINE": f"django.db.backends.{self.engine}", "NAME": self.name, **self.address}
        lines = [f'DATABASES["default"] = {{**{own!r}, "CONN_MAX_AGE": {max_age}}}']
        if self.engine == "mysql":
            lines += ["import pymysql", "pymysql.install_as_MySQLdb()"]
        return "".join(f"\n    {line}" for line in lines) + "\n" + text


def postgres_connection(name: str = "postgres") -> Any:
    address = {key.lower(): value for key, value in POSTGRES.items() if value}
    return psycopg.connect(dbname=name, autocommit=True, connect_timeout=10, **address)


def mariadb_connection(name: str | None = None) -> Any:
    address = {key.lower(): value for key, value in MARIADB.items()}
    port = int(address.pop("port"))
    return pymysql.connect(database=name, autocommit=True, connect_timeout=10, port=port, **address)


def postgres() -> Server:
    """Return a new name on the PostgreSQL server."""
    own_id = "SELECT pg_backend_pid()"
    refused = psycopg.OperationalError
    return Server("postgresql", POSTGRES, _name(), postgres_connection, own_id, refused)


def mariadb() -> Server:
    """Return a new name on the MariaDB server."""
    own_id = "SELECT CONNECTION_ID()"
    refused = pymysql.OperationalError
    return Server("mysql", MARIADB, _name(), mariadb_connection, own_id, refused)


def _name() -> str:
    return f"runbook_{uuid.uuid4().hex[:12]}"


@contextmanager
def made(server: Server) -> Iterator[Server]:
    """Make the database, and drop it in the end; skip the test if there is no server."""
    with not_there(server.refused):
        connection = server.connect()
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {server.name}")
        try:
            yield server
        finally:
            force = " WITH (FORCE)" if server.engine == "postgresql" else ""
            cursor.execute(f"DROP DATABASE {server.name}{force}")


@contextmanager
def redis_client() -> Iterator[redis.Redis]:
    """Connect to the Redis server; skip the test if there is none."""
    with closing(redis.Redis.from_url(REDIS)) as client:
        with not_there(redis.ConnectionError):
            client.ping()
        yield client


@contextmanager
def not_there(refused: type[Exception]) -> Iterator[None]:
    """Skip a test for want of a server, but where all of them must be there."""
    try:
        yield
    except refused as exc:
        if "CI" in os.environ:
            raise
        pytest.skip(f"there is no server to test with: {exc}")

"""Databases: the transactions of an atomic routine, and connections that did not survive a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper


class TransactionLost(Exception):
    """A transaction cannot be committed any more, though nothing was raised; its text says why."""


class Transactions:
    """The transactions of an atomic routine, one on each database; within one, savepoints.

    They are committed one after the other, in the order opposite to the one given. That is no
    two-phase commit: if the second fails, the first stays committed.

    :param aliases: the databases.
    """

    def __init__(self, aliases: Sequence[str]) -> None:
        self._aliases = aliases
        self._committed: list[str] = []
        self._kept: list[str] = []
        self._begun = False
        self.stage = ""
        """What is being done with them, for the message of what fails there."""

    @property
    def undone(self) -> tuple[str, ...]:
        """The databases on which nothing is left of what was done."""
        if not self._begun:
            return ()
        gone = {*self._committed, *self._kept}
        return tuple(alias for alias in self._aliases if alias not in gone)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open them; without an exception they are committed in the end."""
        with ExitStack() as stack:
            for alias in self._aliases:
                self.stage = f"the start of the transaction on {alias}"
                stack.enter_context(self._opened(alias))
            self._begun = True
            self.stage = ""
            yield
            self.stage = "the commit"
            for alias in self._aliases:
                refuse_lost(alias)  # of all, before the first one is committed

    @contextmanager
    def _opened(self, alias: str) -> Iterator[None]:
        connection = connections[alias]
        outermost = not connection.in_atomic_block
        raised: BaseException | None = None
        try:
            with transaction.atomic(using=alias):
                if outermost:
                    # Called first of all that is to be done after the commit.
                    transaction.on_commit(partial(self._has_committed, alias), using=alias)
                can_undo_all = connection.features.can_rollback_ddl
                # Not transaction.savepoint(), which Django 6.1 has deprecated.
                mark = None if can_undo_all else connection.savepoint()
                try:
                    yield
                except BaseException as exc:
                    raised = exc
                    if mark is not None and _was_committed(connection, mark):
                        self._kept.append(alias)
                    raise
                if not outermost:
                    self._committed.append(alias)
                self.stage = "the commit"
        except Error:
            # The server is gone, and has rolled back; what made us leave is what is to be told.
            if raised is None:
                raise
            raise raised from None

    def _has_committed(self, alias: str) -> None:
        self._committed.append(alias)
        self.stage = "what is done after the commit"


def _was_committed(connection: BaseDatabaseWrapper, mark: str) -> bool:
    """Tell whether the database has ended the transaction by itself, to change a table."""
    if connection.connection is None:
        return False
    transaction.set_rollback(False, using=connection.alias)
    try:
        transaction.savepoint_rollback(mark, using=connection.alias)
    except Error:
        return connection.is_usable()  # the savepoint went with the transaction that it was in
    finally:
        transaction.set_rollback(True, using=connection.alias)
    return False


def refuse_lost(alias: str) -> None:
    """Raise if the transaction on a database would be rolled back instead of committed.

    :param alias: the database.
    :raises TransactionLost: if it would.
    """
    connection = connections[alias]
    if connection.connection is None:
        raise TransactionLost(f"the connection to {alias} was closed in the transaction")
    if transaction.get_rollback(using=alias):
        raise TransactionLost(f"the transaction on {alias} was marked to be rolled back")
    try:
        with connection.cursor() as cursor:
            # PostgreSQL answers the commit after an error by rolling back, without a word.
            cursor.execute(f"SELECT 1{connection.features.bare_select_suffix}")
    except Error as exc:
        raise TransactionLost(f"the transaction on {alias} is lost: {exc}") from exc


@contextmanager
def savepoints(aliases: Sequence[str]) -> Iterator[None]:
    """Open a savepoint in the transaction of each database.

    :param aliases: the databases.
    """
    with ExitStack() as stack:
        for alias in aliases:
            stack.enter_context(transaction.atomic(using=alias))
        yield
        for alias in aliases:
            refuse_lost(alias)


def begun_by_hand() -> frozenset[str]:
    """Return the databases whose connection does not commit by itself, as its user wants it."""
    opened = (one for one in connections.all(initialized_only=True) if one.connection is not None)
    return frozenset(connection.alias for connection in opened if not connection.autocommit)


def drop_stale_connections(spared: frozenset[str]) -> None:
    """Close the connections that the next step could not use; Django opens them anew.

    A server ends connections that were idle during a long step, and a step may leave one that does
    not commit. Django itself looks only after an error, and between two requests, where it closes
    those that work, too. A connection in a transaction is left alone: that would be lost, and in a
    test all with it.

    :param spared: the databases that had a transaction begun by hand before the routine.
    """
    for connection in connections.all(initialized_only=True):
        if connection.alias not in spared:
            _drop_if_stale(connection)


def _drop_if_stale(connection: BaseDatabaseWrapper) -> None:
    if connection.connection is None or connection.in_atomic_block:
        return
    # Not get_autocommit(), which opens a connection, and which pytest-django forbids.
    commits = connection.autocommit == connection.settings_dict["AUTOCOMMIT"]
    if not commits or not connection.is_usable():
        connection.close()

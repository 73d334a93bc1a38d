"""The manifest: which files the CDN was last told about, by their SHA-256."""

import hashlib
import json
from pathlib import Path
from urllib.parse import quote


def scan(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `directory`, by its path with forward slashes."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def read(manifest: Path) -> dict[str, str]:
    """Return the digests of the last run; none before the first one.

    :raises ValueError: the file is there and holds something else than a manifest.
    """
    if not manifest.exists():
        return {}
    files = json.loads(manifest.read_text(encoding="utf-8"))
    if not isinstance(files, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - bad JSON is a ValueError, too
    return files


def write(manifest: Path, files: dict[str, str]) -> None:
    """Write the digests, sorted, so that equal directories give equal manifests."""
    manifest.write_text(json.dumps(files, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def stale(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return the paths whose cached answer may be wrong: files that changed, went or came.

    A file that came counts because a CDN remembers, for a while, that there was none.
    """
    return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def url(base_url: str, path: str) -> str:
    """Return the public address of a file of the manifest."""
    return f"{base_url.rstrip('/')}/{quote(path)}"

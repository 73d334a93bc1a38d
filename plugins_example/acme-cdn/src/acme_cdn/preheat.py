"""`acme-cdn-preheat`: ask the CDN for every file once, so that no visitor waits for the first."""

import argparse
import sys
from pathlib import Path
from urllib.request import urlopen

from acme_cdn import manifest

TIMEOUT_SECONDS = 10


def main(argv: list[str] | None = None) -> int:
    """Request every file of a manifest from the CDN.

    :param argv: the arguments without the program's name; those of the process by default.
    :returns: the exit status: 1 when the manifest is unreadable or a file could not be fetched.
    """
    parser = argparse.ArgumentParser(prog="acme-cdn-preheat", description=main.__doc__)
    parser.add_argument("manifest", type=Path, help="written by acme-cdn-purge")
    parser.add_argument("--base-url", required=True, help="the address of the directory")
    options = parser.parse_args(argv)
    try:
        files = manifest.read(options.manifest)
    except (OSError, ValueError) as error:
        return _fail(f"cannot read {options.manifest}: {error}")
    failed = 0
    for path in sorted(files):
        failed += _fetch(manifest.url(options.base_url, path))
    return _fail(f"{failed} of {len(files)} files could not be fetched") if failed else 0


def _fetch(url: str) -> int:
    """Fetch one file; return 1 when that failed, for the sum."""
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            response.read()
    except (OSError, ValueError) as error:  # URLError is an OSError; a bad address a ValueError
        return _fail(f"{url}: {error}")
    print(f"preheat {url}")
    return 0


def _fail(message: str) -> int:
    print(f"acme-cdn-preheat: {message}", file=sys.stderr)
    return 1

"""`acme-cdn-purge`: find out which files changed since the last run and name their addresses."""

import argparse
import sys
from pathlib import Path

from acme_cdn import manifest


def main(argv: list[str] | None = None) -> int:
    """Compare the directory with its manifest, print what to purge, write the new manifest.

    :param argv: the arguments without the program's name; those of the process by default.
    :returns: the exit status: 0, or 1 when there is nothing sound to compare.
    """
    options = _parser().parse_args(argv)
    if not options.directory.is_dir():
        return _fail(f"no such directory: {options.directory} (run collectstatic first?)")
    try:
        before = manifest.read(options.manifest)
        now = manifest.scan(options.directory)
        manifest.write(options.manifest, now)
    except ValueError as error:
        return _fail(f"{options.manifest} is not a manifest ({error}); delete it to start afresh")
    except OSError as error:
        return _fail(str(error))
    purged = sorted({*before, *now}) if options.everything else manifest.stale(before, now)
    for path in purged:
        print(f"purge {manifest.url(options.base_url, path)}")
    print(f"{len(purged)} to purge; the manifest holds {len(now)} files.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="acme-cdn-purge", description=main.__doc__)
    parser.add_argument("directory", type=Path, help="the directory that the CDN serves")
    parser.add_argument("--manifest", type=Path, required=True, help="kept from run to run")
    parser.add_argument("--base-url", required=True, help="the address of the directory")
    parser.add_argument("--everything", action="store_true", help="purge unchanged files too")
    return parser


def _fail(message: str) -> int:
    print(f"acme-cdn-purge: {message}", file=sys.stderr)
    return 1

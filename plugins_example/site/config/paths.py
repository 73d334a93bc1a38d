"""Where things are. A module of its own, so that every settings component can import it."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# All that the site writes (database, static files, mail) goes here and nowhere else. Made at once
# because SQLite does not make the directory of its file, and a fresh checkout has none.
VAR = Path(os.environ.get("RUNBOOK_EXAMPLE_VAR", BASE_DIR / "var")).resolve()
VAR.mkdir(parents=True, exist_ok=True)

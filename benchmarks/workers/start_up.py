"""Start Django as a web worker does, and print the seconds."""

from time import perf_counter  # what pyperf has under this name; nothing else is loaded before

started = perf_counter()
import django

django.setup()
seconds = perf_counter() - started

import json

print(json.dumps({"second": seconds}))

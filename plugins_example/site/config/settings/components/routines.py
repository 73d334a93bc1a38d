"""The routines themselves: their help, their switches, and the last word on everybody's steps."""

from config.paths import BASE_DIR

from django_runbook import ManagementCommand, SystemCommand, disable, override, routine

_OWN_CODE = ("config", "newsletter")

# A routine may get its commands in the same breath as its help ...
routine(
    "package",
    "Check the migrations and compile the site's own code.",
    ManagementCommand(("makemigrations", "--check")),
    SystemCommand(
        ("python", "-m", "compileall", "-q", *(str(BASE_DIR / code) for code in _OWN_CODE)),
        step_id="compile",
    ),
)

# ... and one of its commands may be another routine.
routine(
    "deploy",
    "Deploy the site: the first time, and every time after.",
    ManagementCommand(("routine", "package"), switches=["prepare"], step_id="package"),
    prepare="Check the migrations and compile the code first.",
    initial="What is done once, on a new server.",
    demo="Load the demo data.",
)

# The catalogue of this site is large: new static files shall not wait for it. What declared that
# it runs after it (the release note) moves along, all else stays where it is.
override("deploy", "shop:warm_catalogue", priority=95)

# There is no CDN in front of this site that could be fetched from.
disable("deploy", "acme-cdn:preheat")

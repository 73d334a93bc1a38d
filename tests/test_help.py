"""The help: every routine, switch and step, in the words of whoever declared them."""

from __future__ import annotations

import pytest

from .projects import Project

TEXTS = [
    """It's "quoted" and `ticked`""",
    "A [red]red[/red] word",
    "[bold]",
    "A closing [/] tag",
    "A closing [/red] tag",
    "An optional [argument] and a list[int]",
    "[link=https://example.org]a link[/link]",
    r"A bracket \[red] with a backslash",
    "100% done, %s, %(name)s and {name}",
    "Ends with a backslash \\",
    "C:\\temp\\new",
    "Emoji :warning: by name",
    "<b>HTML</b> &amp; *stars* _lines_",
    "Ümläute, 日本語 and ✓",
]
"""Help texts that a template language, a shell or rich could take for its own."""


def squeezed(text: str) -> str:
    """Return a text with the spaces and the frames of a help page taken out."""
    return " ".join(text.replace("│", " ").split())


def helps(project: Project, *lines: str, columns: int = 200) -> list[str]:
    """Return the help pages that ``manage.py routine LINE --help`` prints, all in one process."""
    done = project.python(f"""
        import os
        import sys

        os.environ["COLUMNS"] = "{columns}"
        from django.core.management import execute_from_command_line

        for line in {lines!r}:
            try:
                execute_from_command_line(["manage.py", "routine", *line.split(), "--help"])
            except SystemExit as exc:
                assert not exc.code, exc.code
            print("\\f", end="")
    """)
    assert (done.status, done.err) == (0, ""), done.err
    return done.out.split("\f")[:-1]


def test_the_help_lists_the_routines_with_their_helps(project: Project) -> None:
    """``routine --help`` shows each routine beside the first line of its help text."""
    project.app("shop", routines=SHOP)
    project.settings("""
        routine("deploy", "Deploy the site.")
        routine("nightly_clean", "Clean up.\\n\\nEvery night, in three parts.")
        command("bare", "probe")
    """)

    done = project.manage("routine", "--help")

    assert (done.status, done.err) == (0, "")
    page = squeezed(done.out)
    assert "deploy Deploy the site." in page
    assert "nightly-clean Clean up." in page
    assert "restock Fill the shelves." in page
    assert " bare " in page
    assert "three parts" not in page
    assert "--explain" in page
    assert project.ran == []


SHOP = """
    from django_runbook import hookimpl

    @hookimpl
    def contribute_routines(routines):
        routines.routine("restock", "Fill the shelves.")
        routines.command("deploy", "probe", "shop", priority=-3)
"""


def test_the_help_of_a_routine_shows_switches_and_steps(project: Project) -> None:
    """``routine deploy --help`` shows each switch with its help, and every step it could run."""
    project.app("shop", routines=SHOP)
    project.settings("""
        routine("deploy", "Deploy it.\\n\\nIn several steps.", demo="Load demo data.", extra="")
        command("deploy", "probe", "always")
        command("deploy", "probe", "demo", switches=["demo", "extra_data"])
        command("deploy", "probe", "gone", step_id="gone")
        disable("deploy", "settings:gone")
    """)

    (page,) = map(squeezed, helps(project, "deploy"))

    assert "Deploy it." in page
    assert "In several steps." in page
    assert "--demo Load demo data." in page
    assert "--extra-data" in page
    assert "--all" in page
    shop, always, demo = (
        page.index("[-3] probe shop"),
        page.index("[0] probe always"),
        page.index("[0] probe demo | demo, extra-data"),
    )
    assert shop < always < demo
    assert "probe gone" not in page
    assert project.ran == []


def test_the_steps_in_the_help_stand_one_a_line(project: Project) -> None:
    """The steps of the help are lines of their own, also where brackets could be markup."""
    project.settings("""
        command("deploy", "probe", "[red]one[/red]")
        command("deploy", "probe", "[/]", "two words")
        command("deploy", "probe", "three", tag="[bold]")
        command("deploy", "probe", "back\\\\")
    """)

    (page,) = helps(project, "deploy")

    lines = [line.strip() for line in page.splitlines() if line.strip().startswith("[0]")]
    assert lines == [
        "[0] probe '[red]one[/red]'",
        "[0] probe '[/]' 'two words'",
        "[0] probe three (tag='[bold]')",
        "[0] probe 'back\\'",
    ]


@pytest.mark.parametrize("declared", ["routine", "switch"])
def test_help_texts_come_out_as_written(project: Project, declared: str) -> None:
    """No markup, template or escape is read into a help text; it says what was declared."""
    project.settings(f"""
        for number, text in enumerate({TEXTS!r}):
            routine(f"r{{number}}", text)
            routine("deploy", **{{f"s{{number}}": text}})
            command("deploy", "probe", switches=[f"s{{number}}"])
    """)
    numbers = range(len(TEXTS))

    if declared == "routine":
        listing, *pages = map(squeezed, helps(project, "", *(f"r{number}" for number in numbers)))
        expected = [(f"r{number} ", page) for number, page in zip(numbers, pages, strict=True)]
    else:
        (listing,) = map(squeezed, helps(project, "deploy"))
        expected = [(f"--s{number} ", listing) for number in numbers]

    wrong = {}
    for (label, page), text in zip(expected, TEXTS, strict=True):
        if f"{label}{squeezed(text)} " not in f"{listing} ":
            wrong[f"listed: {text}"] = listing.partition(label)[2][:60]
        if f" {squeezed(text)} " not in f"{page} ":
            wrong[text] = page[:120]
    assert wrong == {}


def test_a_backslash_at_the_end_of_a_line_of_the_help(project: Project) -> None:
    """A backslash before a line break stays one backslash."""
    project.settings("""
        routine("deploy", "First \\\\\\nsecond \\\\\\\\ line")
    """)

    listing, page = helps(project, "", "deploy")

    assert "deploy First \\ │" in " ".join(listing.split())
    assert "First \\ second \\\\ line" in squeezed(page)


def test_a_help_text_that_is_translated_lazily(project: Project) -> None:
    """Lazy helps are in the language of the site: in the help, the plan and the document."""
    project.settings("""
        from django.utils.translation import gettext_lazy as _

        USE_I18N = True
        LANGUAGE_CODE = "de"
        routine("deploy", _("This field is required."), demo=_("Enter a valid value."))
        command("deploy", "probe", switches=["demo"], help_text=_("Enter a whole number."))
    """)
    required, valid = (
        "Dieses Feld ist zwingend erforderlich.",
        "Bitte einen gültigen Wert eingeben.",
    )

    listing, page = map(squeezed, helps(project, "", "deploy"))
    assert f"deploy {required}" in listing
    assert required in page
    assert f"--demo {valid}" in page

    document = project.explain()
    assert document["help_text"] == required
    assert document["switches"]["available"] == {"demo": valid}
    assert document["steps"][0]["help_text"] == "Bitte eine ganze Zahl eingeben."

    text = project.manage("routine", "deploy", "--explain").out.splitlines()
    assert text[0] == f"deploy: {required}"
    assert f"  --demo (off) {valid}" in text


def test_the_help_of_a_routine_that_has_errors(project: Project) -> None:
    """What is wrong with a plan does not keep its help from being read."""
    project.settings("""
        command("deploy", "probe", run_after=["settings:b"], step_id="a")
        command("deploy", "prob", run_after=["settings:a"], step_id="b")
        command("deploy", "routine", "deploy")
        command("deploy", "probe", priority="high")
    """)

    listing, page = helps(project, "", "deploy")

    assert "deploy" in listing
    assert "[0] prob" in page


def test_help_runs_nothing_and_needs_no_database(project: Project) -> None:
    """Beside every other option, ``--help`` is only read."""
    project.settings("""
        DATABASES = {}
        command("deploy", "probe", switches=["demo"])
    """)

    for line in ("--help", "deploy --demo --help", "--explain deploy --help", "deploy list --help"):
        done = project.manage("routine", *line.split())
        assert (done.status, done.err) == (0, "")
        assert "Usage" in done.out
    assert project.ran == []

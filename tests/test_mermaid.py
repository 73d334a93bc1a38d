"""Plans as flowcharts: every step and constraint is drawn, and no text gets out of its label."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_runbook.canonical import one_line
from django_runbook.mermaid import to_mermaid
from django_runbook.model import SETTINGS, Fragment, Plan, Reason, Release, Source

from .projects import Project, hook, line_of
from .reference import (
    ACME,
    ACME_TOO,
    BLOG,
    SHOP,
    SOURCES,
    ZETA,
    acyclic,
    anyhow,
    fragment,
    pairs,
    placed,
    planned,
    step,
)

pytestmark = pytest.mark.ours


many = settings(deadline=None, max_examples=200)

# --- the grammar ---------------------------------------------------------------------------------

NAME = r"r\d+(?:_\d+)*"
LABEL = r"(?:[^\W_]|[ \-./:,()+=_]|#\d+;)*"
COLOUR = r"#[0-9a-f]{6}"
LINES = {
    "chart": r"flowchart TB",
    "open": rf'subgraph ({NAME})\["({LABEL})"\]',
    "direction": r"direction TB",
    "close": r"end",
    "step": rf'({NAME})\["({LABEL}(?:<br/>{LABEL})*)"\]:::(source\d+|left)',
    "line": rf"({NAME}(?: --> {NAME})+)",
    "dashed": rf"({NAME}) -\. (run_before|run_after) \.-> ({NAME})",
    "style": rf"style ({NAME}) fill:none,stroke:({COLOUR})",
    "class": rf"classDef (source\d+) fill:({COLOUR}),stroke:({COLOUR}),color:#111827",
    "left": r"classDef left fill:#f3f4f6,stroke:#9ca3af,color:#4b5563,stroke-dasharray:4",
}
"""Every form that a line may have: letters, digits, a few signs and entities are all of a label."""

READ_ANYWHERE = (
    r"direction\s+(?:TB|BT|RL|LR|TD)",
    r"style.*:\S*#.*;",
    r"classDef.*:\S*#.*;",
)
"""What Mermaid looks for in a whole line, be it in quotes or not: from its lexer for flowcharts,
and from how it takes entities out of a text."""

READ_IN_LABELS = (r"fa[bklrs]?:fa-", r"\$\$.*\$\$", r"\\n")
"""What it looks for in a label, when entities are characters again: an icon, a formula, a line."""


def shown(label: str) -> str:
    """Return a label as a browser shows it; what takes no room on the screen is left out."""
    return re.sub("[\u200b\u2060]", "", html.unescape(re.sub(r"#(\d+);", r"&#\1;", label)))


@dataclass
class Chart:
    """What a flowchart says."""

    labels: dict[str, list[str]] = field(default_factory=dict)
    """The lines on each step and the title of each subgraph, in the order of the text."""

    classes: dict[str, str] = field(default_factory=dict)
    inside: dict[str, str] = field(default_factory=dict)
    """The subgraph that something is in; ``""`` is the chart."""

    lines: list[list[str]] = field(default_factory=list)
    dashed: list[tuple[str, str, str]] = field(default_factory=list)
    styles: dict[str, str] = field(default_factory=dict)
    colours: dict[str, tuple[str, str]] = field(default_factory=dict)

    def named(self, name: str) -> str:
        """Return the id on a step, without its place."""
        return re.sub(r"^\d+ ", "", self.labels[name][0])

    def arrows(self) -> list[tuple[str, str, str]]:
        """Return the dashed arrows, from id to id, sorted."""
        return sorted((self.named(one), how, self.named(two)) for one, how, two in self.dashed)

    def within(self, name: str) -> list[str]:
        """Return what is drawn in a subgraph, in order."""
        return [one for one, outer in self.inside.items() if outer == name]


def parsed(text: str) -> Chart:
    """Return what a flowchart says; each line must have one of the known forms and its place."""
    chart = Chart()
    around: list[str] = []
    first, *rest = text.split("\n")
    assert first == "flowchart TB"
    for line in rest:
        content = line.lstrip(" ")
        found = [(form, re.fullmatch(rule, content)) for form, rule in LINES.items()]
        matches = [(form, match) for form, match in found if match]
        assert len(matches) == 1, line
        form, match = matches[0]
        depth = len(around) + 1 - (form == "close")
        assert len(line) - len(content) == 4 * depth, line
        read(chart, around, form, match.groups())
    assert around == []
    assert set(chart.classes.values()) <= {*chart.colours, "left"}
    assert chart.styles.keys() == chart.labels.keys() - chart.classes.keys()
    return chart


def read(chart: Chart, around: list[str], form: str, groups: tuple[str, ...]) -> None:
    """Add a line to a chart. Names must be new where they are declared, and known elsewhere."""
    assert form != "chart"
    if form in ("open", "step"):
        name, label = groups[:2]
        assert name not in chart.labels
        assert name.rpartition("_")[0] == (around[-1] if around else "")
        chart.labels[name] = [shown(one) for one in label.split("<br/>")]
        chart.inside[name] = around[-1] if around else ""
        if form == "open":
            around.append(name)
        else:
            chart.classes[name] = groups[2]
    elif form == "direction":
        assert list(chart.labels)[-1] == around[-1]
    elif form == "close":
        around.pop()
    elif form == "line":
        chart.lines.append(groups[0].split(" --> "))
        assert [chart.inside[one] for one in chart.lines[-1]] == [around[-1]] * len(chart.lines[-1])
    elif form == "dashed":
        assert chart.inside[groups[0]] == chart.inside[groups[2]] == around[-1]
        chart.dashed.append((groups[0], groups[1], groups[2]))
    elif form == "style":
        assert groups[0] in chart.labels
        chart.styles[groups[0]] = groups[1]
    elif form == "class":
        assert groups[0] not in chart.colours
        chart.colours[groups[0]] = (groups[1], groups[2])


def drawn(*plans: Plan) -> Chart:
    """Return the flowchart of plans."""
    return parsed(to_mermaid(plans))


# --- as users see it -----------------------------------------------------------------------------

SETTINGS_TEXT = """
    routine("deploy", 'Deploy "the" site.', demo="Load it.", prepare="Package it.")
    routine("package", "Package the code.")
    command("package", "probe", "check")
    system("package", "true", run_after=["probe"])
    command("deploy", "routine", "package", switches=["prepare"], priority=-1)
    command("deploy", "migrate", interactive=False)
    command("deploy", "probe", "a & b", run_after=["migrate"], switches=["demo"])
    disable("deploy", "acme-cdn:preheat")
"""

SHOP_HOOK = hook("""
    routines.command("deploy", "probe", "warm", run_before=["acme-cdn:purge"], run_after=["nobody"])
""")

CDN_HOOK = """
    routines.system("deploy", "true", step_id="purge", run_after=["settings:migrate"])
    routines.system("deploy", "true", step_id="preheat", run_after=["acme-cdn:purge", "shop:probe"])
"""

GOLDEN = """\
flowchart TB
    subgraph r1["deploy: Deploy #34;the#34; site."]
        direction TB
        subgraph r1_1["1 settings:routine, routine package, --prepare"]
            direction TB
            r1_1_1["1 settings:probe<br/>probe check"]:::source1
            r1_1_2["2 settings:true<br/>true"]:::source1
            r1_1_1 --> r1_1_2
            r1_1_1 -. run_after .-> r1_1_2
        end
        style r1_1 fill:none,stroke:#1d4ed8
        r1_2["2 settings:migrate<br/>migrate (interactive=False)"]:::source1
        r1_3["3 shop:probe<br/>probe warm"]:::source2
        r1_4["4 acme-cdn:purge<br/>true<br/>acme-cdn 1.0"]:::source3
        r1_5["5 acme-cdn:true<br/>true late<br/>acme-cdn 1.0"]:::source3
        r1_6["settings:probe<br/>probe #39;a #38; b#39;<br/>needs --demo"]:::left
        r1_7["acme-cdn:preheat<br/>true<br/>acme-cdn 1.0#59; disabled by settings (LINE)"]:::left
        r1_1 --> r1_2 --> r1_3 --> r1_4 --> r1_5
        r1_3 -. run_before .-> r1_4
        r1_2 -. run_after .-> r1_4
        r1_2 -. run_after .-> r1_6
        r1_4 -. run_after .-> r1_7
        r1_3 -. run_after .-> r1_7
    end
    style r1 fill:none,stroke:#9ca3af
    classDef source1 fill:#dbeafe,stroke:#1d4ed8,color:#111827
    classDef source2 fill:#dcfce7,stroke:#15803d,color:#111827
    classDef source3 fill:#ffedd5,stroke:#c2410c,color:#111827
    classDef left fill:#f3f4f6,stroke:#9ca3af,color:#4b5563,stroke-dasharray:4
"""


def small(root: Path) -> Project:
    """Return a project with a step of every sort."""
    project = Project(root)
    project.app("shop", routines=SHOP_HOOK)
    project.distribution(
        "acme-cdn",
        modules={
            "acme_cdn/hooks.py": hook(CDN_HOOK),
            "acme_cdn/late.py": hook('routines.system("deploy", "true", "late", priority=9)'),
        },
        entry_points={"django_runbook": {"cdn": "acme_cdn.hooks", "late": "acme_cdn.late"}},
    )
    project.settings(SETTINGS_TEXT)
    return project


def test_the_whole_of_a_small_chart(tmp_path: Path) -> None:
    """Nested, moved, switched off, disabled: byte for byte, from any working directory."""
    project = small(tmp_path / "project")

    ran = project.manage(
        "routine", "deploy", "--prepare", "--explain", "--format", "mermaid", cwd=tmp_path
    )

    assert (ran.status, ran.err) == (0, "")
    file = project.root / "config/settings.py"
    assert ran.out == GOLDEN.replace("LINE", f"config/settings.py:{line_of(file, 'disable(')}")
    assert parsed(ran.out.removesuffix("\n")).arrows()


def test_all_routines_in_one_chart(tmp_path: Path) -> None:
    """Each is a subgraph, by name; a step of one colour has it in all of them."""
    ran = small(tmp_path / "project").manage("routine", "--explain", "--format", "mermaid")

    assert (ran.status, ran.err) == (0, "")
    chart = parsed(ran.out.removesuffix("\n"))
    assert [chart.labels[name] for name in chart.within("")] == [
        ['deploy: Deploy "the" site.'],
        ["package: Package the code."],
    ]
    deploy = {chart.named(name): chart.classes[name] for name in chart.within("r1")}
    package = {chart.named(name): chart.classes[name] for name in chart.within("r2")}
    assert deploy["settings:migrate"] == package["settings:true"] == "source1"
    assert deploy["settings:routine"] == "left"


@pytest.mark.parametrize("words", [["deploy"], []])
def test_errors_go_to_stderr(project: Project, words: list[str]) -> None:
    """The chart stands alone on stdout, with what could be planned, and the status is 1."""
    project.app("shop", routines=hook('raise ValueError("no stock")'))
    project.settings("""
        command("deploy", "probe", run_after=["nobody"])
        command("deploy", "prob")
    """)

    ran = project.manage("routine", *words, "--explain", "--format", "mermaid")

    chart = parsed(ran.out.removesuffix("\n"))
    assert [chart.named(name) for name in chart.classes] == ["settings:probe", "settings:prob"]
    assert ran.status == 1
    assert re.findall(r"\(django_runbook\.(\w+)\)", ran.err) == ["E004", "E012"]
    assert ran.err.count("HINT") == 2


def test_nothing_to_draw(project: Project) -> None:
    """Without a routine there is a chart all the same, an empty one."""
    project.settings("")

    ran = project.manage("routine", "--explain", "--format", "mermaid")

    assert (ran.status, ran.err) == (0, "")
    assert parsed(ran.out.removesuffix("\n")) == Chart()
    assert to_mermaid([]) == ran.out.removesuffix("\n")


def test_any_encoding_of_stdout_gives_the_same_chart(project: Project) -> None:
    """Where the output can hold nothing but ASCII, too, the labels say what they said."""
    project.settings("""
        routine("deploy", "Die Website veröffentlichen: 漢字.")
        command("deploy", "probe", "größe", step_id="größe")
    """)

    ran = project.manage(
        *("routine", "deploy", "--explain", "--format", "mermaid"),
        env={"PYTHONIOENCODING": "ascii"},
    )

    assert (ran.status, ran.err) == (0, "")
    chart = parsed(ran.out.removesuffix("\n"))
    assert chart.labels["r1"] == ["deploy: Die Website veröffentlichen: 漢字."]
    assert chart.labels["r1_1"] == ["1 settings:größe", "probe 'größe'"]


# --- steps and colours ---------------------------------------------------------------------------


@many
@given(acyclic(), st.sets(st.sampled_from(["demo", "initial"])))
def test_every_step_is_drawn_in_order(fragments: list[Fragment], active: set[str]) -> None:
    """First those that run, with their places and in one line, then those that do not, in grey."""
    plan = planned(*fragments, active=active)

    chart = drawn(plan)

    names = chart.within("r1")
    assert [chart.labels[name][0] for name in names] == [
        *(f"{step.position} {step.id}" for step in plan.steps),
        *(step.id for step in plan.left_out),
    ]
    running = names[: len(plan.steps)]
    assert chart.lines == ([running] if len(running) > 1 else [])
    for name, one in zip(names, (*plan.steps, *plan.left_out), strict=True):
        assert (chart.classes[name] == "left") == (one.position is None)
        assert one.position is not None or chart.labels[name][-1] == one.reason.detail


@many
@given(acyclic())
def test_each_source_has_a_colour(fragments: list[Fragment]) -> None:
    """One class for a source, in the order of the sources; entry points of one share one."""
    plan = planned(*fragments, active=["demo", "initial"])

    chart = drawn(plan)

    found: dict[str, set[str]] = {}
    for name, one in zip(chart.within("r1"), plan.steps, strict=True):
        found.setdefault(one.origin.source.name, set()).add(chart.classes[name])
    giving = [one.name for one in SOURCES if one.name in found]
    assert found == {name: {f"source{n}"} for n, name in enumerate(dict.fromkeys(giving), 1)}
    assert list(chart.colours) == [f"source{n}" for n in range(1, len(found) + 1)]
    assert len(set(chart.colours.values())) == len(chart.colours)


def test_entry_points_of_one_distribution_share_a_colour() -> None:
    """They are one source to people; an app that has the distribution's name is another."""
    namesake = Source("app", ACME.name, index=3)
    plan = planned(*(fragment(one, step("check")) for one in (ACME, ACME_TOO, namesake, ZETA)))

    assert list(drawn(plan).classes.values()) == ["source1", "source2", "source2", "source3"]


def test_the_ninth_colour_is_the_first_again() -> None:
    """There are eight, and every source has a class all the same."""
    sources = [Source("app", f"app{index}", index=index) for index in range(10)]
    plan = planned(*(fragment(one, step("check")) for one in sources))

    chart = drawn(plan)

    assert list(chart.classes.values()) == [f"source{n}" for n in range(1, 11)]
    colours = list(chart.colours.values())
    assert len(set(colours[:8])) == 8
    assert colours[8:] == colours[:2]


def test_a_source_without_a_step_that_runs_has_no_colour() -> None:
    """What is left out is grey, whoever it is of."""
    plan = planned(fragment(SHOP, step("check", switches=("demo",))), fragment(BLOG, step("check")))

    chart = drawn(plan)

    assert chart.classes == {"r1_1": "source1", "r1_2": "left"}
    assert list(chart.colours) == ["source1"]


def test_what_stands_on_a_step() -> None:
    """Its place and id, its command with options, then its distribution and its switches."""
    shop = SHOP._replace(release=Release("acme-shop", "1.0.0"))
    declared = step(
        "warm",
        "--all",
        options=MappingProxyType({"depth": 2, "names": ("a", "b")}),
        switches=("demo", "first_time"),
    )
    plan = planned(
        fragment(shop, declared, step("x" * 70), step("check", "y" * 53)), active=["demo"]
    )

    labels = list(drawn(plan).labels.values())

    assert labels[1] == [
        "1 shop:warm",
        "warm --all (depth=2, names=['a', 'b'])",
        "acme-shop 1.0.0; --demo, --first-time",
    ]
    # What is longer is cut, at the same place for everybody.
    assert labels[2] == ["2 shop:" + "x" * 70, "x" * 59 + "\u2026", "acme-shop 1.0.0"]
    assert labels[3] == ["3 shop:check", "check " + "y" * 53, "acme-shop 1.0.0"]


# --- constraints ---------------------------------------------------------------------------------


@many
@given(anyhow(), st.sets(st.sampled_from(["demo", "initial"])))
def test_every_constraint_is_a_dashed_arrow(fragments: list[Fragment], active: set[str]) -> None:
    """In the direction of execution, by id or by name, to what is left out too; no other is."""
    chart = drawn(planned(*fragments, active=active))

    expected = {(one.id, other.id) for one, other in pairs(placed(fragments))}
    assert {(before, after) for before, _, after in chart.arrows()} == expected


def test_the_relations_of_constraints() -> None:
    """An arrow tells which relation was stated; a ref that matches nothing has none."""
    plan = planned(
        fragment(
            SETTINGS,
            step("migrate"),
            step("check", after=["migrate", "nobody"], switches=("demo",)),
            step("warm", before=["check", "settings:migrate"], after=["shop:migrate"]),
        ),
        fragment(SHOP, step("migrate", priority=-1)),
    )

    assert drawn(plan).arrows() == [
        ("settings:migrate", "run_after", "settings:check"),
        ("settings:warm", "run_before", "settings:check"),
        ("settings:warm", "run_before", "settings:migrate"),
        ("shop:migrate", "run_after", "settings:check"),
        ("shop:migrate", "run_after", "settings:warm"),
    ]


# --- routines in routines ------------------------------------------------------------------------


def nest(outer: Plan, inner: Plan, at: int = 0) -> Plan:
    """Return a plan of which one step runs a routine."""
    steps = [*outer.steps]
    steps[at] = steps[at]._replace(nested=inner)
    return replace(outer, steps=tuple(steps))


def test_nested_routines_are_subgraphs() -> None:
    """However deep, each with the title of its step, and in the colour of its source."""
    deepest = planned(fragment(ZETA, step("check"), step("warm"), routine="deepest"))
    inner = planned(
        fragment(SHOP, step("routine", "deepest"), step("check", switches=("x",)), routine="inner")
    )
    outer = planned(
        fragment(SETTINGS, step("migrate"), step("routine", "inner", switches=("demo",))),
        fragment(BLOG, step("warm", after=["routine"])),
        active=["demo"],
    )

    chart = drawn(nest(outer, nest(inner, deepest), at=1))

    assert chart.within("r1") == ["r1_1", "r1_2", "r1_3"]
    assert chart.labels["r1_2"] == ["2 settings:routine, routine inner, --demo"]
    assert chart.within("r1_2") == ["r1_2_1", "r1_2_2"]
    assert chart.within("r1_2_1") == ["r1_2_1_1", "r1_2_1_2"]
    assert chart.lines == [["r1_2_1_1", "r1_2_1_2"], ["r1_1", "r1_2", "r1_3"]]
    assert chart.dashed == [("r1_2", "run_after", "r1_3")]
    # The sources are those of all steps that run, wherever they run.
    assert chart.classes == {
        "r1_1": "source1",
        "r1_3": "source3",
        "r1_2_2": "left",
        "r1_2_1_1": "source4",
        "r1_2_1_2": "source4",
    }
    assert chart.styles["r1_2"] == chart.colours["source1"][1]
    assert chart.styles["r1_2_1"] == chart.colours["source2"][1]


def test_a_routine_that_runs_nothing_is_an_empty_subgraph() -> None:
    """Nested or not, it is there."""
    empty = replace(planned(fragment(SHOP, step("check"))), steps=(), routine="empty")
    outer = nest(planned(fragment(SETTINGS, step("routine", "empty"), step("migrate"))), empty)

    chart = drawn(outer, empty)

    assert chart.within("r1_1") == chart.within("r2") == []
    assert chart.labels["r2"] == ["empty"]
    assert chart.lines == [["r1_1", "r1_2"]]


# --- whatever a text holds -----------------------------------------------------------------------

NASTY = st.sampled_from(
    [
        *("end", "graph", "subgraph x", "style r1 fill:#000", "classDef left x", "click r1 call()"),
        *('"]', '"', "'", "`", "**", "__", "<b>", "</b>", "<br/>", "<script>", "&lt;", "#35;"),
        *(
            "%%{init: {}}%%",
            "%%",
            "---",
            "-->",
            "-.->",
            ":::left",
            ";",
            "{{",
            "}}",
            "[[",
            "((",
            "|",
        ),
        *("\n", "\r", "\t", "\x1b[31m", "\u202e", "\u2028", "\0", "\ud800", "\\", "@{", "~~~"),
        *("é", "漢字", "😀", "\u0301", "²", "٣", "\u00a0", "\u2060", "ﬂ°°35¶ß"),
    ]
)
TEXT = st.text(max_size=30) | st.lists(NASTY | st.text(max_size=5), max_size=6).map("".join)


@many
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=3), TEXT, TEXT, TEXT)
def test_no_text_gets_out_of_its_label(
    steps: list[tuple[str, str, str]], help_text: str, release: str, detail: str
) -> None:
    """Each line has a known form, and each label says what was written, on one line."""
    source = SHOP._replace(release=Release(release, "1.0"))
    declared = [step(f"x{word}", word, option) for _, word, option in steps]
    plan = planned(fragment(source, *declared, attributes=[("help_text", help_text)]))
    named = [
        one._replace(id=f"{name}{one.position}")
        for one, (name, _, _) in zip(plan.steps, steps, strict=True)
    ]
    left = named[-1]._replace(position=None, reason=Reason("disabled", detail))
    plan = replace(plan, steps=tuple(named[:-1]), left_out=(left,))

    chart = drawn(plan, nest(plan, plan) if plan.steps else plan)

    titles = [f"deploy: {help_text}" if help_text else "deploy"]
    whole = [one_line(one) for one in titles]
    assert chart.labels["r1"] == [one if len(one) <= 100 else f"{one[:99]}\u2026" for one in whole]
    for name, one in zip(chart.within("r1"), (*plan.steps, *plan.left_out), strict=True):
        place = f"{one.position} " if one.position else ""
        said = f"{release} 1.0" + (f"; {detail}" if detail and not one.position else "")
        first, *_, last = chart.labels[name]
        assert first == one_line(f"{place}{one.id}")
        assert last == one_line(said)


@pytest.mark.parametrize(
    "text",
    [
        "Set the direction TB",
        "direction  LR",
        "in which direction RL do BT they go: direction BT, direction TD",
        "restyle http://x/#a",
        "style:x#a'",
        "classDef a:#b;",
        "https://example.com/style:/<project>",
        "fa:fa-car",
        "fab:fa-github and fas:fa-x",
        "$$x^2$$",
        r"C:\new\names",
    ],
)
def test_nothing_in_a_label_is_read_by_mermaid(text: str) -> None:
    """Some words it looks for anywhere, be they in quotes: they must not be there as they are.

    ``direction LR`` in a help text would end in an error and no chart, and in a step in another
    direction of the whole; the others lose a part of the label.
    """
    plan = planned(
        fragment(SETTINGS, step("check", text), attributes=[("help_text", text)]),
        fragment(SHOP, step("routine", text)),
    )
    inner = planned(fragment(ZETA, step(text), routine="inner"))

    written = to_mermaid([nest(plan, inner, at=1)])

    assert parsed(written).labels["r1"] == [f"deploy: {one_line(text)}"]
    for line in written.split("\n"):
        if '["' in line:
            decoded = html.unescape(re.sub(r"#(\d+);", r"&#\1;", line))
            assert not [rule for rule in READ_ANYWHERE if re.search(rule, line)], line
            assert not [rule for rule in READ_IN_LABELS if re.search(rule, decoded)], line


def test_the_same_plans_give_the_same_chart() -> None:
    """Always: nothing but the plans is in it."""

    def texts() -> Iterable[str]:
        for _ in range(2):
            plan = planned(*(fragment(one, step("check", after=["warm"])) for one in SOURCES))
            yield to_mermaid([plan, nest(plan, plan)])

    assert len(set(texts())) == 1


ROOTS = ["/srv/site", "/srv/releases/42", "/Users/me/my site", "/home/o'neill/açme", '/a "b"/c']


def test_two_checkouts_give_the_same_chart() -> None:
    """Wherever it lies, the project's directory is not in it, whatever must be quoted in a path."""
    written = set()
    for root in ROOTS:
        options = MappingProxyType({"where": f"{root}/media", "paths": (root,)})
        declared = (
            step("python", "-m", "compileall", root, f"{root}/config", kind="system"),
            step("collect", options=options),
        )
        plan = replace(planned(fragment(SETTINGS, *declared)), roots=(root,))
        written.add(to_mermaid([nest(plan, plan), plan]))

    labels = [line for label in parsed(written.pop()).labels.values() for line in label]
    assert written == set()
    assert any("<project>/config" in line for line in labels)
    assert any("<project>/media" in line for line in labels)


def test_two_hundred_steps() -> None:
    """A chart of many steps is below the limits at which Mermaid draws none.

    They are 500 arrows and 50000 characters, unless a site says otherwise.
    """
    names = [f"command_{number}" for number in range(200)]
    plan = planned(
        fragment(SETTINGS, *(step(one, "--option-of-it", "some-value") for one in names[:100])),
        fragment(SHOP, *(step(one, after=[names[0]]) for one in names[100:])),
    )

    written = to_mermaid([plan])

    chart = parsed(written)
    assert len(chart.classes) == 200
    assert sum(len(line) - 1 for line in chart.lines) + len(chart.dashed) == 299
    assert len(written) < 50_000

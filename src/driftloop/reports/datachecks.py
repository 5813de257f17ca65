"""The figures of what `validate` found out about the rows: relevance, the learning curve, groups of people."""

import math

from driftloop.reports import charts
from driftloop.reports.axes import Axis, share_axis
from driftloop.reports.bars import Bar, bar_chart
from driftloop.reports.charts import Frame
from driftloop.reports.markup import figure, name, percent, plain
from driftloop.reports.page import figures, section, table
from driftloop.spec.datachecks import CheckKind, DataChecks, DataFinding

_MOST_COLUMNS = 20
_LEAST_P = 0.01
_TITLES = {
    CheckKind.LEAKAGE: "May know the answer",
    CheckKind.RELEVANCE: "Do they answer?",
    CheckKind.AMOUNT: "Are they enough?",
    CheckKind.QUALITY: "Are they sound?",
    CheckKind.DIVERSITY: "Whom do they show?",
}


def tell(checks: DataChecks | None) -> list[str]:
    """Return what a person should look into, as markup: suspicions of leaks first, then what is good to know."""
    if checks is None:
        return []
    kinds = list(_TITLES)
    findings = sorted(checks.findings, key=lambda found: (not found.is_warning, kinds.index(found.kind)))
    return [_sentence(finding) for finding in findings if finding.is_warning or not finding.column]


def draw_checks(checks: DataChecks | None) -> str:
    """Return the sections of the page, empty where nothing was looked at."""
    if checks is None:
        return ""
    looked = (
        f"By {checks.rows_looked_at:,} rows, evenly chosen. Relevance is mutual information beyond chance, with the "
        "chance that the best of all columns looks so good on a shuffled target. The curve is a rough additive "
        "model's: it tells the direction, not what the run's models reach."
    )
    drawn = figures(_relevance(checks), _curve(checks))
    return section("Do they answer, and are they enough?", drawn, note=looked if drawn else "") + section(
        "Whom they show", _groups(checks), note="Groups of the sensitive columns. Few rows say little of a group."
    )


def _sentence(finding: DataFinding) -> str:
    about = f"<b>{name(finding.column)}</b> " if finding.column else ""
    text = finding.text if finding.column else finding.text[:1].upper() + finding.text[1:]
    return f"<b>{_TITLES[finding.kind]}</b> {about}{plain(text, 400)}"


def _relevance(checks: DataChecks) -> str:
    if not checks.relevance:
        return ""
    bars = [
        Bar(one.column, (one.bits,), f"p {'≤' if one.p_value <= _LEAST_P else ''} {one.p_value:.2f}")
        for one in checks.relevance[:_MOST_COLUMNS]
    ]
    hidden = len(checks.relevance) - len(bars)
    return bar_chart(
        "What each column tells of the target, in bits",
        bars,
        (("a", "bits"),),
        alt=f"Mutual information of {len(bars)} columns with the target",
        note=f"{hidden:,} columns tell less. " if hidden else "",
    )


def _curve(checks: DataChecks) -> str:
    measured = len(checks.curve)
    if measured < 2:  # noqa: PLR2004 - a curve
        return ""
    further = [point for point in checks.forecast if point.rows > checks.curve[-1].rows]
    sizes = [*checks.curve, *further]
    places, shares = [math.log10(point.rows) for point in sizes], [max(point.explained, 0.0) for point in sizes]
    ticks = {place: figure(size.rows) for place, size in zip(places, sizes, strict=True)}
    every = max(len(ticks) // 5, 1)
    axis = Axis("training rows", min(places), max(places), tuple(ticks.items())[::every])
    frame = Frame(axis, share_axis("explained", max(shares) * 1.1))
    marks = [
        charts.line(frame, places, shares, "b", dashed=True) if further else "",
        charts.line(frame, places[:measured], shares[:measured]),
        charts.dots(frame, places[:measured], shares[:measured]),
    ]
    needed = f"Rules of thumb ask for {checks.rows_needed:,} labelled rows. " if checks.rows_needed else ""
    return charts.chart(
        "What more rows bring",
        frame,
        tuple(mark for mark in marks if mark),
        alt=f"Explained share of the target after {checks.curve[0].rows:,} to {checks.curve[-1].rows:,} rows",
        note=needed + ("Dashed: drawn on to these rows and to twice as many." if further else ""),
    )


def _groups(checks: DataChecks) -> str:
    rows = [
        (
            name(group.column),
            name(group.group),
            f"{group.rows:,}",
            percent(group.share),
            "" if group.outcome is None else figure(group.outcome),
        )
        for group in checks.groups
    ]
    columns = ("Column", "Group", "Rows", "Share", "Share of the last class, or mean target")
    return table(columns, rows, numbers=(2, 3, 4)) if rows else ""

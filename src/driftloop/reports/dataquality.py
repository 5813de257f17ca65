"""The page on what came in: every column with its values, what is odd about it, and what was left out and why.

Draws a `TableProfile`; looks at no data itself.
"""

from dataclasses import dataclass
from datetime import datetime

from driftloop.reports import charts
from driftloop.reports.axes import number_axis, time_axis
from driftloop.reports.bars import Bar, bar_chart, tiny_histogram
from driftloop.reports.charts import Frame, Tone
from driftloop.reports.datachecks import draw_checks, tell
from driftloop.reports.markup import name, percent, plain
from driftloop.reports.page import Card, Header, badge, cards, figures, paragraph, render_page, section, table
from driftloop.spec.datachecks import DataChecks

MOST_COLUMNS = 200
"""Columns with a row of their own; of more, those with remarks come first."""
_MOST_REMARKS = 12
_MUCH_MISSING = 0.2
_ROLE_TONES: dict[str, Tone] = {"input": "a", "target": "b", "left out": "ref"}


@dataclass(frozen=True)
class ColumnProfile:
    """One column as it came in."""

    name: str
    kind: str
    """`number`, `text`, `boolean`, `date`, or Arrow's name of another type."""
    role: str
    """`input`, `target`, `time`, `key`, `sensitive` or `left out`."""
    missing: float
    """Share of rows without a value, 0 to 1."""
    distinct: int
    values: str
    """In plain text: smallest, middle and largest, or the most frequent ones."""
    heights: tuple[float, ...] = ()
    """Numbers and dates: rows in equally wide bins. Otherwise: rows of the most frequent values."""
    remarks: tuple[str, ...] = ()
    """What a person should know: why it was left out, what is suspicious; the rest of a sentence about the column."""

    @property
    def is_measured(self) -> bool:
        """Whether its values have an order: numbers and dates."""
        return self.kind in ("number", "date")


@dataclass(frozen=True)
class Spread:
    """How often values of a measured column occur, in equally wide bins."""

    edges: tuple[float, ...]
    """One more than counts; of times in seconds since the epoch."""
    counts: tuple[float, ...]


@dataclass(frozen=True)
class TableProfile:
    """A table as it came in."""

    source: str
    rows: int
    rows_used: int
    columns: tuple[ColumnProfile, ...]
    left_out: tuple[tuple[str, int], ...] = ()
    """Why rows were left out, in plain words, and how many."""
    notes: tuple[str, ...] = ()
    checks: DataChecks | None = None
    target: str = ""
    target_counts: tuple[tuple[str, int], ...] = ()
    """Classification: rows of each class, the most frequent first."""
    target_spread: Spread | None = None
    """Regression."""
    period: tuple[datetime, datetime] | None = None
    """First and last time, where there is a time column."""
    time_spread: Spread | None = None


def build_quality_page(profile: TableProfile, loop: str) -> str:
    """Return the profile as one self-contained HTML page."""
    header = Header(
        "What came in",
        "Which rows and columns did the run learn from, what was left out and why, and what in the data should a "
        "person look at?",
        {"Loop": loop, "Data": profile.source},
    )
    return render_page(
        header,
        _key_figures(profile),
        section("What to look at", _remarks(profile)),
        draw_checks(profile.checks),
        section("Target and time", figures(_target(profile), _times(profile))),
        section("Columns", _columns(profile)),
    )


def _key_figures(profile: TableProfile) -> str:
    used = [column for column in profile.columns if column.role == "input"]
    left_out = [column for column in profile.columns if column.role == "left out"]
    cells = sum(column.missing for column in used) / max(len(used), 1)
    shown = [
        Card("Rows used", f"{profile.rows_used:,}", f"of {profile.rows:,} that came in", "a"),
        Card("Inputs", f"{len(used):,}", f"of {len(profile.columns):,} columns", "a"),
        Card("Columns left out", f"{len(left_out):,}", tone="warn" if left_out else "good"),
        Card("Missing in the inputs", percent(cells), "of all values", "warn" if cells > _MUCH_MISSING else "good"),
    ]
    if profile.period:
        first, last = profile.period
        shown.append(Card("Time covered", f"{(last - first).days:,} days", f"{first:%Y-%m-%d} to {last:%Y-%m-%d}", "a"))
    return cards(*shown)


def _remarks(profile: TableProfile) -> str:
    told = [f"<b>{rows:,} rows</b> {plain(reason)}" for reason, rows in profile.left_out if rows]
    told += tell(profile.checks)
    told += [plain(note, 300) for note in profile.notes[:_MOST_REMARKS]]
    about = [(column, remark) for column in profile.columns for remark in column.remarks]
    about.sort(key=lambda pair: pair[0].role == "left out")  # what is in the model matters more
    told += [f"<b>{name(column.name)}</b> {plain(remark, 300)}" for column, remark in about[:_MOST_REMARKS]]
    hidden = len(about) - _MOST_REMARKS + max(len(profile.notes) - _MOST_REMARKS, 0)
    if hidden > 0:
        told.append(f"{hidden:,} more remarks stand with the columns below.")
    return f"<ul>{''.join(f'<li>{text}</li>' for text in told)}</ul>" if told else paragraph("Nothing is suspicious.")


def _target(profile: TableProfile) -> str:
    if not profile.target:
        return ""
    if profile.target_spread:
        spread = profile.target_spread
        frame = Frame(
            number_axis(profile.target, spread.edges), number_axis("rows", spread.counts, include=0.0, room=0.05)
        )
        return charts.chart(
            f"Target: {profile.target}",
            frame,
            (charts.histogram(frame, spread.edges, spread.counts),),
            alt=f"Distribution of {profile.target} over {profile.rows_used:,} rows",
        )
    total = sum(count for _, count in profile.target_counts) or 1
    bars = [Bar(label, (float(count),), percent(count / total)) for label, count in profile.target_counts]
    return bar_chart(
        f"Target: {profile.target}", bars, (("a", "rows"),), alt=f"Share of each class of {profile.target}"
    )


def _times(profile: TableProfile) -> str:
    if not profile.time_spread or not profile.period:
        return ""
    spread = profile.time_spread
    frame = Frame(time_axis("", *profile.period), number_axis("rows", spread.counts, include=0.0, room=0.05))
    empty = sum(count == 0 for count in spread.counts)
    return charts.chart(
        "Rows over time",
        frame,
        (charts.histogram(frame, spread.edges, spread.counts),),
        alt=f"Rows in {len(spread.counts)} equal periods, {empty} of them empty",
        note=f"{empty} of {len(spread.counts)} equal periods are empty." if empty else "",
    )


def _columns(profile: TableProfile) -> str:
    shown = list(profile.columns)
    if len(shown) > MOST_COLUMNS:
        shown.sort(key=lambda column: not column.remarks)
    rows = []
    for column in shown[:MOST_COLUMNS]:
        missing = percent(column.missing)
        picture = tiny_histogram(column.heights, f"Distribution of {column.name}", gaps=not column.is_measured)
        rows.append(
            (
                f"<b>{name(column.name)}</b><br>{badge(column.role, _ROLE_TONES.get(column.role, 'c'))}",
                plain(column.kind, 20),
                f"<b>{missing}</b>" if column.missing > _MUCH_MISSING else missing,
                f"{column.distinct:,}",
                picture + f'<span class="note">{plain(column.values, 120)}</span>',
                "; ".join(plain(remark, 160) for remark in column.remarks),
            )
        )
    left_out = len(shown) - len(rows)
    note = f'<p class="note">{left_out:,} more columns are not shown.</p>' if left_out else ""
    return table(("Column", "Holds", "Missing", "Different", "Values", "Remarks"), rows, numbers=(2, 3)) + note

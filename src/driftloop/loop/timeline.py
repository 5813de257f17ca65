"""The timeline of a loop as a page: how its models did window by window, what was found, and what was done about it.

A pure function of ledger entries and verdicts; the demo and `driftloop timeline` show the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from driftloop.loop.history import (
    FeasibilityJudged,
    LedgerEntry,
    Model,
    Promoted,
    Quarantined,
    Rejected,
    RolledBack,
    RunFinished,
    RunHeld,
    RunStarted,
    Started,
    replay,
)
from driftloop.loop.telling import tell
from driftloop.reports import charts
from driftloop.reports.axes import Axis, number_axis, time_axis
from driftloop.reports.charts import Frame, Tone
from driftloop.reports.lanes import LEFT, RIGHT, WIDTH, Lane, Mark, Span, lane_chart
from driftloop.reports.markup import name, plain
from driftloop.reports.page import Card, Header, badge, cards, paragraph, render_page, section, table
from driftloop.reports.verdicts import SIGNS, TONES
from driftloop.spec import FeasibilityVerdict, Performance, ReportKind, Verdict, VerdictKind

MOST_WINDOWS = 600
"""Windows of each kind that are drawn, the newest; more could not be told apart."""
_MOST_ALARMS, _MOST_ENTRIES = 100, 200
_REASON_LETTERS = 240
_TWO_ERRORS = 1.96
_WEIGHTS = {VerdictKind.NOT_ENOUGH_DATA: 0, VerdictKind.STABLE: 1}
_MODEL_TONES: tuple[Tone, ...] = ("a", "c")

EvidenceKey: TypeAlias = tuple[ReportKind, str, datetime]
"""Kind, model version and start of the window that a report is about."""


@dataclass(frozen=True)
class Beside:
    """A line to compare with, e.g. what another model would have reached."""

    name: str
    points: Sequence[tuple[datetime, float]]
    """Middle of the window, and the metric."""


@dataclass(frozen=True)
class Story:
    """Everything a timeline tells."""

    loop: str
    entries: Sequence[LedgerEntry]
    """The ledger, oldest first."""
    verdicts: Sequence[Verdict]
    """Of the monitor, oldest first."""
    evidence: Mapping[EvidenceKey, str] = field(default_factory=dict)
    """Addresses of the pages behind drift reports, relative to this page."""
    beside: Beside | None = None
    lede: str = ""
    """What it all came to, in plain words."""


@dataclass(frozen=True)
class _Told:
    """An entry of the ledger as people read it."""

    at: datetime
    sign: str
    tone: Tone
    what: str
    why: str = ""


def build_timeline_page(story: Story) -> str:
    """Return the timeline as one self-contained HTML page."""
    header = Header(
        f"The timeline of {story.loop}",
        "How good were the answers, what did the monitor find, what did the loop do about it, and which model served "
        "when?",
        {"Loop": story.loop, "Period": _period(story.verdicts)},
    )
    told = [text for entry in story.entries if (text := _tell(entry))]
    drawn = _drawn(story.verdicts)
    pictures = ""
    if drawn:
        axis = time_axis("", min(v.window.start for v in drawn), max(v.window.end for v in drawn))
        pictures = _scores(story, drawn, axis) + _lanes(story, drawn, told, axis)
    return render_page(
        header,
        paragraph(story.lede, lede=True) if story.lede else "",
        _key_figures(story),
        pictures or paragraph("No window has been judged yet."),
        section("Alarms, newest first", _alarms(story)),
        section("What was done, newest first", _entries(told)),
    )


def _period(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "no window yet"
    first, last = min(v.window.start for v in verdicts), max(v.window.end for v in verdicts)
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def _drawn(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the newest verdicts of each kind."""
    return [v for kind in ReportKind for v in [v for v in verdicts if v.kind is kind][-MOST_WINDOWS:]]


def _labels(entries: Sequence[LedgerEntry]) -> dict[str, str]:
    """Return the short name of each model version that served."""
    return {entry.model.version: entry.model.label for entry in entries if isinstance(entry, Promoted | RolledBack)}


def _key_figures(story: Story) -> str:
    state = replay(story.entries)
    alarms = sum(v.verdict.is_alarm for v in story.verdicts)
    count = {kind: sum(isinstance(entry, kind) for entry in story.entries) for kind in (Promoted, RolledBack, RunHeld)}
    champion = state.champion
    scored = [v.performance for v in story.verdicts if v.performance and v.performance.value is not None]
    shown = [
        Card("Champion", champion.label if champion else "none", champion.version if champion else "", "a"),
        Card("Verdicts", f"{len(story.verdicts):,}", f"{alarms:,} alarms", "warn" if alarms else "good"),
        Card("Retrained", f"{max(len(state.runs) - 1, 0):,}", f"{count[RunHeld]:,} held back", "a"),
        Card("Promotions", f"{count[Promoted]:,}", f"{count[RolledBack]:,} rolled back", "a"),
    ]
    if scored and scored[-1].value is not None:
        newest = scored[-1]
        shown.insert(
            1,
            Card(
                f"{newest.metric}, newest window",
                f"{newest.value:.3f}",
                f"{newest.reference:.3f} on the model's test rows",
                "bad" if newest.dropped else "good",
            ),
        )
    return cards(*shown)


def _scores(story: Story, drawn: Sequence[Verdict], axis: Axis) -> str:
    """Draw the metric of each model version over its windows, with its reference level and interval."""
    judged = [
        (v.model_version, _middle(v), v.performance, v.performance.value)
        for v in drawn
        if v.performance is not None and v.performance.value is not None
    ]
    if not judged:
        return ""
    points = [found.reference for _, _, found, _ in judged]
    for _, _, found, value in judged:
        error = _TWO_ERRORS * (found.standard_error or 0.0)
        points += [value - error, value + error]
    points += [value for _, value in story.beside.points] if story.beside else []
    metric = judged[-1][2].metric
    frame = Frame(axis, number_axis(metric, points, room=0.08), WIDTH, 300, LEFT, RIGHT, 18, 26)
    marks = []
    if story.beside:
        times = [time.timestamp() for time, _ in story.beside.points]
        values = [value for _, value in story.beside.points]
        marks += [charts.line(frame, times, values, "ref"), charts.dots(frame, times, values, "ref", radius=2)]
    for entry in story.entries:
        if isinstance(entry, Promoted | RolledBack) and axis.low < entry.at.timestamp() < axis.high:
            word = "promoted" if isinstance(entry, Promoted) else "back"
            tone: Tone = "c" if isinstance(entry, Promoted) else "bad"
            marks.append(charts.rule(frame, x=entry.at.timestamp(), label=f"{entry.model.label} {word}", tone=tone))
    for number, version in enumerate(dict.fromkeys(version for version, *_ in judged)):
        own = [(time, found, value) for of, time, found, value in judged if of == version]
        tone = _MODEL_TONES[number % len(_MODEL_TONES)]
        marks.append(_one_model(frame, own, tone))
    dropped = [(time, value) for _, time, found, value in judged if found.dropped]
    marks.append(charts.dots(frame, [time for time, _ in dropped], [value for _, value in dropped], "bad", radius=5))
    legend: list[tuple[Tone, str]] = [("a", "a model while it serves, 95 % interval"), ("bad", "dropped")]
    if story.beside:
        legend.append(("ref", story.beside.name))
    return charts.chart(
        f"{metric}, window by window",
        frame,
        marks,
        alt=f"{metric} in {len(judged)} windows, {len(dropped)} of them dropped",
        legend=legend,
        note="Dashed: what the serving model reached on its own test rows.",
    )


def _one_model(frame: Frame, own: Sequence[tuple[float, Performance, float]], tone: Tone) -> str:
    times = [time for time, _, _ in own]
    values = [value for _, _, value in own]
    errors = [_TWO_ERRORS * (found.standard_error or 0.0) for _, found, _ in own]
    lows = [value - error for value, error in zip(values, errors, strict=True)]
    highs = [value + error for value, error in zip(values, errors, strict=True)]
    reference = [found.reference for _, found, _ in own]
    return (
        charts.line(frame, times, reference, tone, dashed=True)
        + charts.whiskers(frame, times, lows, highs, tone)
        + charts.line(frame, times, values, tone)
        + charts.dots(frame, times, values, tone, radius=3)
    )


def _lanes(story: Story, drawn: Sequence[Verdict], told: Sequence[_Told], axis: Axis) -> str:
    lanes = [Lane("serving", _serving(story.entries, axis))]
    for kind in ReportKind:
        spans = [
            Span(
                v.window.start.timestamp(),
                v.window.end.timestamp(),
                TONES[v.verdict],
                SIGNS[v.verdict],
                f"{v.verdict}, {v.window.start:%Y-%m-%d %H:%M}: {v.summary}",
                story.evidence.get((v.kind, v.model_version, v.window.start), ""),
            )
            # Two model versions may share a window: what says most is drawn last.
            for v in sorted(drawn, key=lambda v: _WEIGHTS.get(v.verdict, 2))
            if v.kind is kind
        ]
        lanes.append(Lane(str(kind), spans))
    shown = [entry for entry in told[-_MOST_ENTRIES:] if axis.low <= entry.at.timestamp()]
    marks = [
        Mark(entry.at.timestamp(), entry.tone, entry.sign, f"{entry.at:%Y-%m-%d %H:%M}: {entry.what}. {entry.why}")
        for entry in shown
    ]
    lanes.append(Lane("decisions", marks=marks))
    seen = list(dict.fromkeys(v.verdict for v in drawn))
    legend = [(TONES[verdict], _signed(verdict)) for verdict in VerdictKind if verdict in seen]
    alarms = sum(v.verdict.is_alarm for v in drawn)
    signs = dict.fromkeys(f"{entry.sign} {_SIGN_NAMES[entry.sign]}" for entry in shown)
    return lane_chart(
        "Verdicts and decisions",
        axis,
        lanes,
        alt=f"{len(drawn)} verdicts, {alarms} alarms, {len(marks)} decisions over time",
        legend=legend,
        note=f"Decisions: {', '.join(signs)}." if signs else "",
    )


def _signed(verdict: VerdictKind) -> str:
    return f"{SIGNS[verdict]} {verdict}".strip()


def _serving(entries: Sequence[LedgerEntry], axis: Axis) -> list[Span]:
    changes: list[tuple[datetime, Model]] = [
        (entry.at, entry.model) for entry in entries if isinstance(entry, Promoted | RolledBack)
    ]
    spans = []
    for index, (at, model) in enumerate(changes):
        end = changes[index + 1][0].timestamp() if index + 1 < len(changes) else axis.high
        start = max(at.timestamp(), axis.low)
        if end > axis.low and start < axis.high:
            tone = _MODEL_TONES[(model.number - 1) % len(_MODEL_TONES)]
            spans.append(Span(start, min(end, axis.high), tone, model.label, f"{model.label} ({model.version}) serves"))
    return spans


def _middle(verdict: Verdict) -> float:
    return (verdict.window.start + (verdict.window.end - verdict.window.start) / 2).timestamp()


_SIGN_NAMES = {
    "R": "run",
    "P": "promoted",
    "X": "turned down",
    "F": "failed",
    "B": "rolled back",
    "Q": "quarantined",
    "H": "held back",
    "J": "judged",
    "O": "other",
}


def _tell(entry: LedgerEntry) -> _Told | None:  # noqa: PLR0911 (one return per kind of entry)
    """Return an entry in plain words; None for what is no decision."""
    match entry:
        case Started():
            return None
        case RunStarted():
            effort = f"{entry.effort}, because {entry.effort_reason}." if entry.effort else ""
            return _Told(entry.at, "R", "a", f"Training of v{entry.number} began", f"{entry.reason} {effort}".strip())
        case RunFinished():
            return _Told(entry.at, "F", "bad", "A run failed", entry.error) if entry.error else None
        case Promoted():
            return _Told(entry.at, "P", "good", f"{entry.model.label} was promoted", entry.reason)
        case Rejected():
            return _Told(entry.at, "X", "warn", "A challenger was turned down", entry.reason)
        case RolledBack():
            return _Told(entry.at, "B", "bad", f"Rolled back to {entry.model.label}", entry.reason)
        case Quarantined():
            window = f"{entry.window_start:%Y-%m-%d %H:%M} to {entry.window_end:%Y-%m-%d %H:%M}"
            return _Told(entry.at, "Q", "fault", f"Rows of {window} are kept out of training", entry.reason)
        case RunHeld():
            return _Told(entry.at, "H", "ref", "A retraining was held back", entry.reason)
        case FeasibilityJudged(result=judged):
            tone: Tone = "good" if judged.verdict is FeasibilityVerdict.GO else "bad"
            return _Told(entry.at, "J", tone, f"Proof of concept: {judged.verdict}", " ".join(judged.reasons))
        case _:  # what people asked for and what the loop answered
            return _Told(entry.at, "O", "ref", tell(entry), "")


def _alarms(story: Story) -> str:
    labels = _labels(story.entries)
    rows = []
    alarms = [v for v in story.verdicts if v.verdict.is_alarm]
    for v in reversed(alarms):
        href = story.evidence.get((v.kind, v.model_version, v.window.start), "")
        link = f'<a href="{plain(href)}">evidence</a>' if href else ""
        rows.append(
            (
                f"{v.window.start:%Y-%m-%d %H:%M}",
                badge(str(v.verdict), TONES[v.verdict]),
                str(v.kind),
                name(labels.get(v.model_version, v.model_version)),
                plain(f"Expected: {v.expected}. {v.summary}" if v.expected else v.summary, _REASON_LETTERS),
                link,
            )
        )
    columns = ("Window from", "Verdict", "Looked at", "Model", "What was seen", "")
    return table(columns, rows, most=_MOST_ALARMS) if rows else ""


def _entries(told: Sequence[_Told]) -> str:
    rows = [
        (f"{entry.at:%Y-%m-%d %H:%M}", plain(entry.what, 120), plain(entry.why, _REASON_LETTERS))
        for entry in reversed(told)
    ]
    return table(("When", "What", "Why"), rows, most=_MOST_ENTRIES) if rows else ""

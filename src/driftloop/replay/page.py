"""A replay as one self-contained page: what was injected, what was found and when, what would have been done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from statistics import fmean

from driftloop.loop.history import LedgerEntry, Promoted, RolledBack
from driftloop.replay.findings import Detection, ReplayReport
from driftloop.replay.words import counts_words, duration_words, false_alarm_words, speed_words
from driftloop.reports import charts
from driftloop.reports.axes import Axis, number_axis, time_axis
from driftloop.reports.charts import Frame, Tone
from driftloop.reports.lanes import LEFT, RIGHT, WIDTH, Lane, Mark, Span, lane_chart
from driftloop.reports.markup import plain
from driftloop.reports.page import Card, Header, badge, cards, fact_table, paragraph, render_page, section, table
from driftloop.reports.verdicts import SIGNS, TONES
from driftloop.spec import Performance, ReportKind, Verdict, VerdictKind

_MOST_ROWS = 100
_LETTERS = 240
_HEIGHT = 280
_TWO_ERRORS = 1.96
_MOST_POINTS = 120


def build_page(report: ReplayReport, verdicts: Sequence[Verdict], entries: Sequence[LedgerEntry]) -> str:
    """Return the page.

    Args:
        report: the figures.
        verdicts: all of the replay.
        entries: the ledger at its end.
    """
    header = Header(
        f"A replay of {report.loop}",
        "What would the monitor have said, how soon, how often for nothing, and what would the loop have done?",
        {
            "Traffic": report.source,
            "Period": f"{report.start:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M} UTC",
            "Engine": report.engine,
            "Models": ", ".join(report.models.values()),
        },
    )
    axis = time_axis("", report.start, report.end)
    return render_page(
        header,
        paragraph(_lede(report), lede=True),
        _cards(report),
        _metric(report, verdicts, axis),
        _lanes(report, verdicts, entries, axis),
        section("What was injected, and what was found", _injections(report)),
        section(
            "Alarms outside of the injections" if report.injections else "Alarms",
            _alarms(report),
            note="False alarms where the traffic does not change by itself; findings where it does.",
        ),
        section("What would have been retrained", _retrainings(report), note=f"Here {report.retraining}."),
        section("What would have been kept out of training", _quarantines(report)),
        section("Cost", _cost(report)),
    )


def _lede(report: ReplayReport) -> str:
    found = sum(finding.first_alarm is not None for finding in report.injections)
    injected = f"Noticed: {found} of {len(report.injections)} injections. " if report.injections else ""
    return f"{injected}{false_alarm_words(report)}"


def _cards(report: ReplayReport) -> str:
    started = sum(run.started for run in report.retrainings)
    alarms = sum(n for counts in report.verdict_counts.values() for v, n in counts.items() if v.is_alarm)
    judged = sum(n for counts in report.verdict_counts.values() for n in counts.values())
    fitting = sum(finding.fitting_alarm is not None for finding in report.injections)
    rate = report.other_alarms_per_30_days
    is_kept = rate is None or rate <= max(report.budget_asked, report.budget_carried or 0.0)
    shown = [
        Card("Verdicts", f"{judged:,}", f"{alarms:,} alarming", "warn" if alarms else "good"),
        Card(
            "Other alarms in 30 days",
            "-" if rate is None else f"{rate:.2f}",
            f"budget {report.budget_asked:.2g}",
            "good" if is_kept else "warn",
        ),
        Card("Would be retrained", f"{started}", f"{len(report.retrainings) - started} held back", "a"),
        Card("Faster than real time", f"{report.cost.times_real_time:,.0f} x", speed_words(report), "a"),
    ]
    if report.injections:
        all_found = fitting == len(report.injections)
        shown.insert(
            0,
            Card(
                "Told rightly", f"{fitting} of {len(report.injections)}", "injections", "good" if all_found else "bad"
            ),
        )
    return cards(*shown)


def _metric(report: ReplayReport, verdicts: Sequence[Verdict], axis: Axis) -> str:
    """Draw the metric of labelled windows and its estimate without labels, the injected periods shaded."""
    found = [(v, v.performance) for v in verdicts if v.performance]
    measured = [_Point(_middle(v), one.value, one) for v, one in found if one.value is not None]
    measured.sort(key=lambda point: point.time)
    guessed = sorted((_middle(v), v.estimate.value) for v in verdicts if v.estimate and v.estimate.value is not None)
    if not measured:
        return ""
    groups = _groups(measured)
    size = len(groups[0])
    values = [fmean(point.value for point in group) for group in groups]
    errors = [
        _TWO_ERRORS * fmean(point.found.standard_error or 0.0 for point in group) / len(group) ** 0.5
        for group in groups
    ]
    times = [fmean(point.time for point in group) for group in groups]
    lows = [value - error for value, error in zip(values, errors, strict=True)]
    highs = [value + error for value, error in zip(values, errors, strict=True)]
    dropped = [point for point in measured if point.found.dropped]
    name = measured[0].found.metric
    references = [point.found.reference for point in measured]
    shown = [*lows, *highs, *references, *(value for _, value in guessed), *(point.value for point in dropped)]
    frame = Frame(axis, number_axis(name, shown, room=0.08), WIDTH, _HEIGHT, LEFT, RIGHT, 18, 26)
    marks = [_shaded(frame, finding.start, finding.end) for finding in report.injections]
    for reference, run in groupby(measured, lambda point: point.found.reference):
        own = list(run)
        marks.append(charts.line(frame, [own[0].time, own[-1].time], [reference] * 2, "ref", dashed=True))
    marks += [
        charts.whiskers(frame, times, lows, highs, "a"),
        charts.line(frame, times, values, "a"),
        charts.dots(frame, [p.time for p in dropped], [p.value for p in dropped], "bad", radius=5),
    ]
    legend: list[tuple[Tone, str]] = [("a", "with labels, 95 % interval"), ("bad", "dropped")]
    if guessed:
        step = max(len(guessed) // _MOST_POINTS, 1)
        parts = [guessed[start : start + step] for start in range(0, len(guessed), step)]
        guesses = [(fmean(time for time, _ in part), fmean(value for _, value in part)) for part in parts]
        marks.append(charts.line(frame, [t for t, _ in guesses], [value for _, value in guesses], "b", dashed=True))
        legend.append(("b", "estimated without labels"))
    if report.injections:
        legend.append(("ref", "injected"))
    mean = f" Each point is the mean of {size} windows." if size > 1 else ""
    return charts.chart(
        f"{name} over time",
        frame,
        marks,
        alt=f"{name} in {len(measured)} windows, {len(dropped)} of them dropped",
        legend=legend,
        note=f"Grey, dashed: what the serving model reached on its own test rows.{mean}",
    )


@dataclass(frozen=True)
class _Point:
    """The metric of one window."""

    time: float
    value: float
    found: Performance


def _groups(points: Sequence[_Point]) -> list[list[_Point]]:
    """Put neighbours together where there are more points than can be told apart."""
    size = -(-len(points) // _MOST_POINTS)
    return [list(points[start : start + size]) for start in range(0, len(points), size)]


def _shaded(frame: Frame, start: datetime, end: datetime) -> str:
    bounds = [start.timestamp(), end.timestamp()]
    return charts.band(frame, bounds, [frame.y.low] * 2, [frame.y.high] * 2, "ref")


def _lanes(report: ReplayReport, verdicts: Sequence[Verdict], entries: Sequence[LedgerEntry], axis: Axis) -> str:
    lanes = []
    for number, finding in enumerate(report.injections):
        span = Span(
            finding.start.timestamp(),
            finding.end.timestamp(),
            "ref",
            str(finding.kind),
            f"{finding.injection}, {finding.start:%Y-%m-%d %H:%M} to {finding.end:%Y-%m-%d %H:%M}",
        )
        lanes.append(Lane("injected" if number == 0 else "", [span]))
    lanes += [Lane(str(kind), _merged([v for v in verdicts if v.kind is kind])) for kind in ReportKind]
    marks = [
        Mark(
            run.at.timestamp(),
            "a" if run.started else "ref",
            "R" if run.started else "H",
            f"{run.at:%Y-%m-%d}: {run.reason}",
        )
        for run in report.retrainings
    ]
    marks += [
        Mark(gone.end.timestamp(), "fault", "Q", f"{gone.start:%Y-%m-%d %H:%M}: {gone.reason}")
        for gone in report.quarantined
    ]
    marks += [
        Mark(entry.at.timestamp(), "good", "P", f"{entry.at:%Y-%m-%d}: {entry.model.label} serves, as recorded")
        for entry in entries
        if isinstance(entry, Promoted | RolledBack) and entry.at > report.start
    ]
    lanes.append(Lane("decisions", marks=sorted(marks, key=lambda mark: mark.at)))
    seen = {v.verdict for v in verdicts}
    return lane_chart(
        "Verdicts and decisions",
        axis,
        lanes,
        alt=f"{len(verdicts)} verdicts, {len(report.injections)} injections and {len(marks)} decisions over time",
        legend=[(TONES[v], f"{SIGNS[v]} {v}".strip()) for v in VerdictKind if v in seen],
        note="Decisions: R retraining, H held back, Q quarantined, P promoted as recorded.",
    )


def _merged(verdicts: Sequence[Verdict]) -> list[Span]:
    """Return one span for each run of windows with the same verdict: thousands of windows could not be told apart."""
    spans = []
    in_time = sorted(verdicts, key=lambda v: v.window.start)
    for verdict, run in groupby(in_time, lambda v: v.verdict):
        windows = list(run)
        first, last = windows[0].window, windows[-1].window
        told = f"{verdict}, {first.start:%Y-%m-%d %H:%M} to {last.end:%Y-%m-%d %H:%M}: {windows[0].summary}"
        spans.append(Span(first.start.timestamp(), last.end.timestamp(), TONES[verdict], SIGNS[verdict], told))
    return spans


def _middle(verdict: Verdict) -> float:
    return (verdict.window.start + (verdict.window.end - verdict.window.start) / 2).timestamp()


def _injections(report: ReplayReport) -> str:
    rows = [
        (
            plain(finding.injection),
            f"{finding.start:%Y-%m-%d %H:%M} to {finding.end:%Y-%m-%d %H:%M}",
            _detection(finding.first_alarm),
            _detection(finding.fitting_alarm),
            f"{finding.alarming_windows:,} of {finding.judged_windows:,}",
            plain(finding.first_alarm.summary if finding.first_alarm else "", _LETTERS)
            + (" An alarm was on when it began." if finding.already_alarming else ""),
        )
        for finding in report.injections
    ]
    columns = (
        "Injected",
        "When (UTC)",
        "First alarm",
        "First fitting alarm",
        "Alarming windows",
        "What was seen first",
    )
    return table(columns, rows, most=_MOST_ROWS) if rows else ""


def _detection(found: Detection | None) -> str:
    if found is None:
        return badge("none", "ref")
    return (
        f"{badge(str(found.verdict), TONES[found.verdict])}<br>after {duration_words(found.delay_seconds)}, "
        f"window {found.windows} of {found.kind}"
    )


def _alarms(report: ReplayReport) -> str:
    rows = [
        (
            f"{alarm.start:%Y-%m-%d %H:%M}",
            badge(str(alarm.verdict), TONES[alarm.verdict]),
            str(alarm.kind),
            f"{alarm.windows:,}",
            plain(alarm.summary, _LETTERS),
        )
        for alarm in report.other_alarms
    ]
    columns = ("From", "Verdict", "Looked at", "Windows", "What was seen")
    return table(columns, rows, numbers=(3,), most=_MOST_ROWS) if rows else paragraph("None.")


def _retrainings(report: ReplayReport) -> str:
    rows = [
        (
            f"{run.at:%Y-%m-%d %H:%M}",
            "started" if run.started else "held back",
            "" if run.labelled_rows is None else f"{run.labelled_rows:,}",
            plain(run.reason, _LETTERS),
        )
        for run in report.retrainings
    ]
    return (
        table(("When", "", "Labelled rows", "Why"), rows, numbers=(2,), most=_MOST_ROWS)
        if rows
        else paragraph("Nothing.")
    )


def _quarantines(report: ReplayReport) -> str:
    rows = [
        (f"{gone.start:%Y-%m-%d %H:%M} to {gone.end:%Y-%m-%d %H:%M}", plain(gone.reason, _LETTERS))
        for gone in report.quarantined
    ]
    return table(("Window", "Why"), rows, most=_MOST_ROWS) if rows else ""


def _cost(report: ReplayReport) -> str:
    cost = report.cost
    trained = "" if cost.training_seconds is None else duration_words(cost.training_seconds)
    retrained = "" if cost.retraining_seconds is None else duration_words(cost.retraining_seconds)
    return fact_table(
        {
            "Rows": f"{cost.rows:,}, {cost.labelled_rows:,} of them with a label",
            "Rows that the model's server would refuse": f"{cost.refused_rows:,}" if cost.refused_rows else "",
            "Verdicts": counts_words(report),
            "Time for the answers": f"{cost.answering_seconds:.1f} s",
            "Time for the verdicts": f"{cost.judging_seconds:.1f} s, {speed_words(report)}",
            "Time for the decisions": f"{cost.deciding_seconds:.1f} s",
            "Time of one core, in all": f"{cost.cpu_seconds:.1f} s",
            "One training, as measured": trained,
            "All retrainings at that": retrained,
        }
    )

"""The page behind a drift report: what moved, reference against window, and how sure that is.

Draws what the verdict says, from the window's rows and the baseline's sketches. It judges nothing again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pandas import DataFrame

from driftloop.monitor.baseline import Baseline, ColumnBaseline
from driftloop.monitor.checks.names import FRESHNESS, SWAPPED, UNIT, VOLUME
from driftloop.monitor.columns import Column, ColumnKind, read_features, read_outputs, read_target
from driftloop.monitor.drift import MAXIMUM_WINDOW_ROWS, evenly_spaced, numeric_shift
from driftloop.monitor.engines import Comparison, DriftTest, Samples
from driftloop.monitor.judge import Judge, unprefixed
from driftloop.predictionlog.columns import FEATURE_PREFIX, LABEL, OUTPUT_PREFIX, TIME
from driftloop.reports import charts
from driftloop.reports.axes import number_axis, share_axis, time_axis
from driftloop.reports.bars import Bar, bar_chart
from driftloop.reports.certainty import how_sure, with_and_without_labels
from driftloop.reports.charts import Frame, Tone
from driftloop.reports.markup import figure, name, percent, plain
from driftloop.reports.page import Card, Header, badge, cards, figures, paragraph, render_page, section, table
from driftloop.reports.verdicts import meaning_of, title_of, tone_of
from driftloop.spec import (
    CheckResult,
    DataSchema,
    DriftReport,
    FeatureDrift,
    FeatureType,
    Harm,
    ReportKind,
    Verdict,
    VerdictKind,
)

MOST_PICTURES = 12
_FEWEST_PICTURES = 4
"""Shown even where nothing counts as drift: what moved most."""
_BINS = 28
_MOST_CATEGORIES = 10
_MOST_PAST = 60
_CORE = (0.005, 0.995)
"""Quantiles between which values are drawn; a single stray value must not flatten the picture."""
_DAY_SECONDS = 86400
_TWO_ERRORS = 1.96
_HARM = {
    Harm.HARMFUL: "harmful to the answers",
    Harm.HARMLESS: "harmless, as far as can be told",
    Harm.UNKNOWN: "whether it harms is not known yet",
}
_SERIES: tuple[tuple[Tone, str], tuple[Tone, str]] = (("ref", "reference: what the model knows"), ("b", "this window"))


@dataclass(frozen=True)
class _Watched:
    """A column as the model knows it and as the window has it."""

    baseline: ColumnBaseline
    column: Column
    is_age: bool = False
    """Seconds between a date and the row's time."""


def build_evidence_page(report: DriftReport, frame: DataFrame, judge: Judge, past: Sequence[Verdict] = ()) -> str:
    """Return the evidence of a report as one self-contained HTML page.

    Args:
        report: the verdict to explain.
        frame: the window's rows of the model version, as the verdict was made from.
        judge: of the model version.
        past: earlier verdicts of the loop, oldest first; those on performance are drawn.
    """
    verdict = report.verdict
    window = verdict.window
    header = Header(
        title_of(verdict.verdict, verdict.harm),
        "What did the monitor see in this window, which columns moved and how far, and how sure is that?",
        {
            "Loop": report.loop,
            "Model version": verdict.model_version,
            "Looked at": str(verdict.kind),
            "Window": f"{window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC",
            "Report": report.name,
        },
    )
    watched = _watched(frame, judge.schema, judge.baseline, verdict.kind)
    return render_page(
        header,
        paragraph(verdict.summary, lede=True),
        paragraph(meaning_of(verdict.verdict, verdict.harm)),
        _remarks(verdict),
        _key_figures(verdict),
        section("Checks that failed", _checks([check for check in verdict.checks if not check.passed])),
        section("Where it is worst", paragraph(verdict.segment.message)) if verdict.segment else "",
        _moved(verdict, watched, judge.engine),
        with_and_without_labels(verdict),
        section("Performance over time", _performance(verdict, past)),
        how_sure(verdict),
        section(
            "Every test",
            _tests(verdict.features),
            note="A column moved when its p-value is below the threshold that the false-alarm budget leaves it, and "
            "the share of traffic that moved is at least minEffectSize. The p-value looks at so many windows together, "
            "this one the last; the statistic is of this window.",
        ),
        section("Checks that passed with violations", _checks([check for check in verdict.checks if check.passed])),
    )


def _watched(frame: DataFrame, schema: DataSchema, baseline: Baseline, kind: ReportKind) -> Mapping[str, _Watched]:
    features = read_features(unprefixed(frame, FEATURE_PREFIX), schema, frame[TIME])
    outputs = read_outputs(unprefixed(frame, OUTPUT_PREFIX), schema)
    ages = {feature.name for feature in schema.features if feature.type is FeatureType.DATE}
    watched = {}
    if kind is ReportKind.PERFORMANCE and baseline.label is not None:
        labels = frame[LABEL]
        watched[baseline.label.name] = _Watched(baseline.label, read_target(labels[labels.notna()], schema))
    watched |= {reference.name: _Watched(reference, outputs[reference.name]) for reference in baseline.outputs}
    return watched | {
        reference.name: _Watched(reference, features[reference.name], reference.name in ages)
        for reference in baseline.features
    }


def _remarks(verdict: Verdict) -> str:
    expected = f"This change was expected: {verdict.expected}. It starts no run." if verdict.expected else ""
    silent = ", ".join(verdict.silent_writers)
    missing = f"Rows may be missing: not heard of for too long were {silent}." if silent else ""
    return "".join(paragraph(text) for text in (expected, missing) if text)


def _key_figures(verdict: Verdict) -> str:
    drifted = len({test.feature for test in verdict.features if test.drifted})
    failed = sum(not check.passed for check in verdict.checks)
    shown = [
        Card(
            "Verdict",
            _words(verdict.verdict),
            _HARM[verdict.harm] if verdict.harm else "",
            tone_of(verdict.verdict, verdict.harm),
        ),
        Card("Rows in the window", f"{verdict.window.rows:,}", _labelled(verdict), "a"),
        Card(
            "Columns that moved",
            f"{drifted:,}",
            f"of {len({test.feature for test in verdict.features}):,} tested",
            "warn" if drifted else "good",
        ),
        Card("Checks that failed", f"{failed:,}", tone="fault" if failed else "good"),
    ]
    if verdict.performance and verdict.performance.value is not None:
        found = verdict.performance
        error = f" ± {_TWO_ERRORS * found.standard_error:.3f}" if found.standard_error is not None else ""
        value = verdict.performance.value
        tone: Tone = "bad" if found.dropped else "good"
        shown.append(Card(found.metric, f"{value:.3f}{error}", f"{found.reference:.3f} on the model's test rows", tone))
    return cards(*shown)


def _labelled(verdict: Verdict) -> str:
    return f"{verdict.window.labelled_rows:,} of them labelled" if verdict.kind is ReportKind.PERFORMANCE else ""


def _moved(verdict: Verdict, watched: Mapping[str, _Watched], engine: DriftTest) -> str:
    """Draw what drifted, or what moved most where nothing did."""
    known = list({test.feature: test for test in reversed(verdict.features) if test.feature in watched}.values())[::-1]
    drifted = [test for test in known if test.drifted]
    shown = drifted[:MOST_PICTURES] or known[:_FEWEST_PICTURES]
    title = "What moved, most first" if drifted else "What moved most, though not enough to count"
    more = (
        f"{len(drifted) - MOST_PICTURES} more columns moved; the table has them." if len(drifted) > len(shown) else ""
    )
    return section(title, figures(*(_picture(test, watched[test.feature], engine) for test in shown)), note=more)


def _picture(test: FeatureDrift, watched: _Watched, engine: DriftTest) -> str:
    title = f"{test.feature}: {percent(test.effect_size)} of the traffic moved"
    known = watched.column.known
    if not len(known) or not watched.baseline.present:
        return f"<figure><figcaption>{plain(title)}</figcaption><p>There are no values to draw.</p></figure>"
    if watched.baseline.kind is ColumnKind.NUMERIC:
        return _numbers(title, watched, engine)
    return _categories(title, watched, known)


def _numbers(title: str, watched: _Watched, engine: DriftTest) -> str:
    unit, label = (_DAY_SECONDS, "age in days at the row's time") if watched.is_age else (1, watched.baseline.name)
    reference, window = np.array(watched.baseline.quantiles) / unit, watched.column.ordered / unit
    _, shift = numeric_shift(reference, window)
    sample = evenly_spaced(window, min(len(window), MAXIMUM_WINDOW_ROWS))
    (whole,) = engine.compare([Samples(Comparison.CRAMER_VON_MISES, reference, sample)])
    both = np.concatenate([np.quantile(reference, _CORE), np.quantile(window, _CORE)])
    low, high = float(both.min()), float(both.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    before, now = (np.histogram(np.clip(values, low, high), edges)[0] / len(values) for values in (reference, window))
    frame = Frame(number_axis(label, (low, high)), share_axis("share of the rows", float(max(before.max(), now.max()))))
    middle, now_middle = figure(float(np.median(reference))), figure(float(np.median(window)))
    marks = (
        charts.histogram(frame, edges.tolist(), before.tolist(), "ref"),
        charts.histogram(frame, edges.tolist(), now.tolist(), "b", outline=True),
    )
    return charts.chart(
        title,
        frame,
        marks,
        alt=f"{watched.baseline.name}, reference against window: {shift}; median {middle}, now {now_middle}",
        legend=_SERIES,
        note=f"{shift[:1].upper()}{shift[1:]}. Half lie below {now_middle} now, below {middle} before. "
        f"Over all values: Cramér-von Mises {figure(whole.statistic)}, chance {figure(whole.p_value)} were rows "
        "independent.",
    )


def _categories(title: str, watched: _Watched, known: npt.NDArray[np.object_]) -> str:
    names, sizes = np.unique(known.astype(str), return_counts=True)
    now = dict(zip(names.tolist(), (sizes / len(known)).tolist(), strict=True))
    before = {key: count / watched.baseline.present for key, count in watched.baseline.counts.items()}
    by_change = sorted(before.keys() | now.keys(), key=lambda key: (-abs(now.get(key, 0) - before.get(key, 0)), key))
    shown, others = by_change[:_MOST_CATEGORIES], by_change[_MOST_CATEGORIES:]

    def row(label: str, keys: Sequence[str]) -> Bar:
        was, has = (sum(shares.get(key, 0.0) for key in keys) for shares in (before, now))
        return Bar(label, (was, has), f"{percent(was)[:-2]} → {percent(has)}")

    bars = [row(key if key in before else f"new: {key}", [key]) for key in shown]
    if others:
        bars.append(row(f"{len(others):,} others", others))
    first = bars[0]
    return bar_chart(
        title,
        bars,
        _SERIES,
        alt=f"{watched.baseline.name}, reference against window; {first.name} changed most: {first.text}",
    )


def _checks(checks: Sequence[CheckResult]) -> str:
    rows = [(name(check.feature), name(check.check), plain(check.message, 240), _limit(check)) for check in checks]
    return table(("Column", "Check", "What was seen", "Allowed"), rows, numbers=(3,), most=100) if rows else ""


def _limit(check: CheckResult) -> str:
    if check.check in (UNIT, SWAPPED):  # seen or not
        return ""
    if check.check in (VOLUME, FRESHNESS):  # against the usual, or seconds: the sentence says which
        return figure(check.limit)
    return percent(check.limit)


def _tests(tests: Sequence[FeatureDrift]) -> str:
    rows = [
        (
            name(test.feature) + (f'<div class="note">{plain(_clause(test), 120)}</div>' if test.drifted else ""),
            badge("moved", "warn") if test.drifted else "",
            percent(test.effect_size),
            f"{test.windows}",
            figure(test.p_value),
            figure(test.threshold),
            name(test.test),
            figure(test.statistic),
        )
        for test in tests
    ]
    columns = ("Column", "", "Traffic that moved", "Windows", "p-value", "Threshold", "Test", "Statistic")
    return table(columns, rows, numbers=(2, 3, 4, 5, 7)) if rows else ""


def _clause(test: FeatureDrift) -> str:
    return test.moved.removeprefix(f"{test.feature}: ")


def _words(kind: VerdictKind) -> str:
    """Return a verdict's name in words, which a narrow card can break."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind).strip().capitalize()


def _performance(verdict: Verdict, past: Sequence[Verdict]) -> str:
    judged = [
        (found.window, found.performance, found.performance.value)
        for found in (*past, verdict)
        if found.kind is ReportKind.PERFORMANCE
        and found.model_version == verdict.model_version
        and found.performance is not None
        and found.performance.value is not None
    ][-_MOST_PAST:]
    if not judged:
        return ""
    metric, reference = judged[-1][1].metric, judged[-1][1].reference
    middles = [(window.start + (window.end - window.start) / 2).timestamp() for window, _, _ in judged]
    values = [value for _, _, value in judged]
    errors = [_TWO_ERRORS * (found.standard_error or 0.0) for _, found, _ in judged]
    lows = [value - error for value, error in zip(values, errors, strict=True)]
    highs = [value + error for value, error in zip(values, errors, strict=True)]
    frame = Frame(
        time_axis("", judged[0][0].start, judged[-1][0].end),
        number_axis(metric, [*lows, *highs, reference], room=0.08),
        width=900,
        height=260,
    )
    dropped = [
        (middle, value) for middle, value, (_, found, _) in zip(middles, values, judged, strict=True) if found.dropped
    ]
    return charts.chart(
        f"{metric} of this model version, window by window",
        frame,
        (
            charts.rule(frame, y=reference, label=f"{reference:.3f} on its test rows"),
            charts.whiskers(frame, middles, lows, highs),
            charts.line(frame, middles, values),
            charts.dots(frame, middles, values, radius=3.5),
            charts.dots(frame, [x for x, _ in dropped], [y for _, y in dropped], "bad", radius=5),
        ),
        alt=f"{metric} in {len(judged)} windows, {len(dropped)} of them dropped; the last is {values[-1]:.3f}",
        legend=(("a", "window, with its 95 % interval"), ("bad", "dropped")),
    )

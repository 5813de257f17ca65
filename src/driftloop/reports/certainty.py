"""How sure a verdict is: what would have been seen, what the alarm may cost, and the metric with and without labels.

Sections of a page, from the verdict alone.
"""

from driftloop.reports import charts
from driftloop.reports.axes import number_axis, share_axis
from driftloop.reports.bars import Interval, interval_chart
from driftloop.reports.charts import Frame
from driftloop.reports.markup import figure, percent
from driftloop.reports.page import fact_table, figures, paragraph, section
from driftloop.spec import Budget, ErrorChange, Performance, Power, Verdict

_TWO_ERRORS = 1.96
_HOUR, _DAY = 3600, 86400
_HOURS_SHOWN = 2 * _DAY


def how_sure(verdict: Verdict) -> str:
    """Return the reach of the verdict and the false-alarm budget as it is kept."""
    facts = {}
    if verdict.power is not None:
        facts["What would have been seen"] = power_sentence(verdict.power)
    if verdict.budget is not None:
        facts |= _budget(verdict.budget)
    return section("How sure is that?", fact_table(facts)) if facts else ""


def power_sentence(power: Power) -> str:
    """Return what the window would have shown.

    >>> power_sentence(Power(rows=400, probability=0.9, shift_sd=0.2, shift_share=0.08))
    '400 rows would have shown a shift of 0.2 sd (8 % of the traffic) with probability 0.9.'
    """
    share = f"{100 * power.shift_share:.2g} % of the traffic"
    size = share if power.shift_sd is None else f"{power.shift_sd:.2g} sd ({share})"
    return f"{power.rows:,} rows would have shown a shift of {size} with probability {power.probability:.2g}."


def _budget(budget: Budget) -> dict[str, str]:
    carried = f"{figure(budget.carried)} in 30 days"
    is_kept = budget.carried <= budget.asked
    facts = {
        "False alarms asked for": f"at most {figure(budget.asked)} in 30 days, for the model as a whole",
        "False alarms carried": f"{carried}, as asked" if is_kept else f"{carried}: more than asked",
        "What limits it" if is_kept else "Why not as asked": "; ".join(budget.reasons),
        "Spent on this window": f"{percent(budget.spent)} of one alarm: the chance that it alarms without a cause",
    }
    return {key: value for key, value in facts.items() if value}


def with_and_without_labels(verdict: Verdict) -> str:
    """Return the metric as estimated without labels beside the measured one, the errors, and when labels arrive."""
    found, estimate = verdict.performance, verdict.estimate
    parts = [_metric_chart(verdict), _maturity(found) if found is not None else ""]
    said = []
    if estimate is not None and estimate.value is None:
        said.append(paragraph(f"{estimate.metric} can't be estimated without labels here."))
    if verdict.errors is not None:
        said.append(paragraph(_errors(verdict.errors)))
    if found is not None and found.metrics:
        others = [f"{name} {figure(value)}" for name, value in found.metrics.items() if name != found.metric]
        said.append(paragraph(f"On the same rows: {', '.join(others)}."))
    return section("The answers, with and without labels", *said, figures(*(part for part in parts if part)))


def _metric_chart(verdict: Verdict) -> str:
    found, estimate = verdict.performance, verdict.estimate
    rows = []
    if estimate is not None and estimate.value is not None:
        rows.append(_interval("estimated", estimate.value, estimate.standard_error, is_bad=estimate.changed))
    if found is not None and found.value is not None:
        rows.append(_interval("measured", found.value, found.standard_error, is_bad=found.dropped))
    if not rows:
        return ""
    metric = found.metric if found is not None else estimate.metric if estimate is not None else ""
    reference = found.reference if found is not None else estimate.reference if estimate is not None else 0.0
    if found is not None and estimate is not None and estimate.value is not None:
        rows.append(_interval("usual estimate", estimate.reference, None))
    axis = number_axis(metric, [*(row.low for row in rows), *(row.high for row in rows), reference], room=0.12)
    method = f" ({estimate.method})" if estimate is not None and estimate.value is not None else ""
    return interval_chart(
        f"{metric} in this window",
        rows,
        axis,
        zero=reference,
        alt="; ".join(f"{row.name} {row.text}" for row in rows) + f"; {figure(reference)} on the test rows",
        note=f"Dashed: {figure(reference)}, on the model's own test rows. Whiskers: 95 % intervals. The estimate needs "
        f"no labels: it follows from the model's own answers{method}.",
    )


def _interval(name: str, value: float, error: float | None, *, is_bad: bool = False) -> Interval:
    reach = _TWO_ERRORS * (error or 0.0)
    return Interval(name, value, value - reach, value + reach, figure(value), "bad" if is_bad else "a")


def _errors(errors: ErrorChange) -> str:
    evidence = f"statistic {figure(errors.statistic)}, threshold {figure(errors.threshold)}"
    if not errors.changed or errors.since is None:
        return f"The error stream shows no change: {figure(errors.after)} on average ({evidence})."
    verb = "rose" if errors.after > errors.before else "fell"
    return (
        f"The mean error {verb} from {figure(errors.before)} to {figure(errors.after)}, most likely since "
        f"{errors.since:%Y-%m-%d %H:%M} UTC ({evidence})."
    )


def _maturity(performance: Performance) -> str:
    points = [point for point in performance.maturity if point.delay_seconds >= 0]
    if len(points) < 2:  # noqa: PLR2004 - one point is no curve
        return ""
    unit, name = (_HOUR, "hours") if points[-1].delay_seconds <= _HOURS_SHOWN else (_DAY, "days")
    delays, shares = [point.delay_seconds / unit for point in points], [point.share for point in points]
    frame = Frame(number_axis(f"{name} since the prediction", delays, include=0.0), share_axis("labels there"))
    last = f"{percent(shares[-1])} of labels arrive within {figure(delays[-1])} {name}"
    return charts.chart(
        "How soon labels arrive",
        frame,
        (charts.line(frame, delays, shares), charts.dots(frame, delays, shares, radius=3)),
        alt=last,
        note=f"{last}.",
    )

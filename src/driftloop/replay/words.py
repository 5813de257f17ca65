"""Figures of a replay in the words that terminal and page share."""

from driftloop.replay.findings import ReplayReport

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


def duration_words(seconds: float) -> str:
    """Return a length of time in the unit that suits it.

    >>> duration_words(40), duration_words(5400), duration_words(9 * 86400)
    ('40 s', '1.5 h', '9 d')
    """
    for unit, letter in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f}".removesuffix(".0") + f" {letter}"
    return f"{seconds:.0f} s"


def false_alarm_words(report: ReplayReport) -> str:
    """Say how many alarms there were for nothing, beside the budget."""
    where = " outside of the injections" if report.injections else ""
    count, days = len(report.other_alarms), report.days_without_injection
    rate = report.other_alarms_per_30_days
    if rate is None:
        return "No time was without an injection, so nothing is known of false alarms."
    carried = report.budget_carried
    holds = "" if carried is None or carried <= report.budget_asked else f"; the reference can carry {carried:.2g}"
    alarms = "1 alarm" if count == 1 else f"{count} alarms"
    return (
        f"{alarms}{where} in {days:.1f} days, {rate:.2f} in 30 days; the budget is {report.budget_asked:.2g} in 30 days"
        f"{holds}."
    )


def counts_words(report: ReplayReport) -> str:
    """Say which verdicts there were."""
    return "; ".join(
        f"{kind}: " + ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items())
        for kind, counts in report.verdict_counts.items()
        if counts
    )


def speed_words(report: ReplayReport) -> str:
    """Say how fast verdicts came."""
    return f"{report.cost.windows_per_second:,.0f} verdicts a second"

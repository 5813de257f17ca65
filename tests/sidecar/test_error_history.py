"""A rise of errors shows over the windows before, and a restart forgets none of them."""

from driftloop.spec import ReportKind
from tests.monitor import traffic
from tests.sidecar.test_evaluator import NOW, Monitored


def day(number):
    start = traffic.START + number * traffic.DAY
    table = traffic.rows(250, seed=200 + number, start=start, concept=1.0 if number < 2 else 0.3)
    return number, table, "v1"


def test_restarts_change_no_verdict_on_the_errors(tmp_path):
    days = [day(number) for number in range(6)]
    once, often = Monitored(tmp_path / "once"), Monitored(tmp_path / "often")
    once.log(days, through=8)
    once.evaluator().catch_up(NOW)
    for number in range(6):
        often.log(days[number : number + 1], through=number + 1)
        often.evaluator().catch_up(NOW)
    often.log([], through=8)
    often.evaluator().catch_up(NOW)
    assert often.verdicts() == once.verdicts()
    errors = [v.errors for v in once.verdicts() if v.kind is ReportKind.PERFORMANCE]
    assert len(errors) == 6
    assert not any(found.changed for found in errors[:2])
    assert errors[-1].changed
    assert abs(errors[-1].since - (traffic.START + 2 * traffic.DAY)) < traffic.DAY
    statistics = [found.statistic for found in errors[2:]]
    assert statistics == sorted(statistics)

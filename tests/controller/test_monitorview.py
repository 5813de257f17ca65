"""The controller's view of the monitor's files."""

from driftloop.controller.monitorview import MonitorView
from tests.loop.conftest import START, make_verdict


def test_verdicts_are_read_as_they_are_written(tmp_path):
    view = MonitorView(tmp_path)
    assert view.verdicts() == ()
    lines = [make_verdict(week).model_dump_json(by_alias=True) for week in range(3)]
    path = tmp_path / "verdicts.jsonl"
    path.write_text(lines[0] + "\n" + lines[1][:20])
    assert len(view.verdicts()) == 1
    path.write_text("\n".join(lines) + "\n")
    assert [verdict.window.start for verdict in view.verdicts()] == [
        make_verdict(week).window.start for week in range(3)
    ]


def test_progress_is_unknown_until_the_monitor_says_it(tmp_path):
    view = MonitorView(tmp_path)
    assert view.evaluated_through() is None
    assert view.late_rows() == 0
    (tmp_path / "state.json").write_text(f'{{"completeThrough": "{START.isoformat()}", "lateRows": 3}}')
    assert view.evaluated_through() == START
    assert view.late_rows() == 3

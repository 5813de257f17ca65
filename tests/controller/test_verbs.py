"""One real loop that people talk to: what they ask is done once, and an edited file retrains only where it has to."""

import json
import signal
import subprocess
import sys

import pytest

from driftloop.cli.asking import user_name
from driftloop.controller.ledger import read_ledger
from driftloop.loop.history import Promoted, Recorded, Rejected, RolledBack, RunStarted
from tests.controller.test_up import DAY, LOOP, START, Loop, champion, parcels

pytestmark = pytest.mark.local

CRITERIA = "  problem: {task: Classification, successCriteria: [{name: late parcels, baseline: 40, goal: 30}]}"


def write_rows(loop, *, ruled_by):
    rows = parcels(1000, START - 30 * DAY, DAY / 36, seed=1, ruled_by=ruled_by)
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (loop.folder / "parcels.csv").write_text("\n".join(lines))


def edit(loop, old, new):
    path = loop.folder / "parcels.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def say(loop, *words):
    command = [sys.executable, "-m", "driftloop", *words, "--workspace", str(loop.workspace.root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def entries(loop, kind):
    return [entry for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, kind)]


def settle(loop):
    """Wait until the loop has nothing to do."""
    loop.wait_for(lambda status: status["waitingFor"] and not status["run"] and not status["requests"])


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    loop = Loop(tmp_path_factory.mktemp("verbs"))
    (loop.folder / "parcels.yaml").write_text(LOOP.replace("  problem: {task: Classification}", CRITERIA))
    write_rows(loop, ruled_by="carrier")
    try:
        loop.start()
        yield loop
    finally:
        if loop.process.poll() is None:
            loop.stop()


def test_a_measured_value_is_recorded_by_the_running_loop(loop):
    outcome = say(loop, "record", "late parcels", "29", "--wait")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    (entry,) = entries(loop, Recorded)
    assert (entry.value, entry.by) == (29, user_name())
    assert "late parcels: 29 (goal 30, from 40, reached" in say(loop, "status").stdout


def test_silence_is_kept_by_the_running_loop_and_told(loop):
    muted = say(loop, "mute", "--until", "2099-01-01", "--kind", "PriorShift", "--reason", "sale", "--wait")
    assert muted.returncode == 0, muted.stderr
    settle(loop)
    assert f"PriorShift is muted by {user_name()} until 1 January 2099: sale" in say(loop, "status").stdout
    assert say(loop, "unmute", "--kind", "PriorShift", "--wait").returncode == 0
    refused = say(loop, "acknowledge", "newest", "--reason", "x")
    assert (refused.returncode, "no drift episode" in refused.stderr) == (2, True)


def test_the_champions_baseline_is_calibrated_with(loop):
    told = say(loop, "calibrate", "--rows-per-hour", "500", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["reference"].endswith(f"behind v1 ({champion(loop)['version']})")


def test_new_bytes_under_the_same_address_retrain_once(loop):
    assert loop.stop() == 0
    write_rows(loop, ruled_by="distance")
    edit(loop, "engine: SciPy", "engine: SciPy\n    reportHistoryLimit: 50")
    loop.start()
    loop.wait_for(lambda status: status["champion"]["label"] == "v2")
    settle(loop)
    *_, run = entries(loop, RunStarted)
    assert run.reason == f"the data at {loop.folder / 'parcels.csv'} changed: new content"
    assert len(entries(loop, RunStarted)) == 2


def test_a_retraining_that_is_asked_for_is_done_once_though_everything_is_killed(loop):
    before = champion(loop)
    asked = json.loads(say(loop, "retrain", "--reason", "curiosity", "--json").stdout)
    assert asked["running"] is True
    loop.stop(signal.SIGKILL)
    loop.start()
    loop.wait_for(lambda _: entries(loop, Rejected))
    settle(loop)
    runs = [entry for entry in entries(loop, RunStarted) if entry.request_id]
    assert [(run.request_id, run.by) for run in runs] == [(asked["request"]["id"], user_name())]
    assert "curiosity" in runs[0].reason
    assert len(entries(loop, RunStarted)) == 3
    assert champion(loop) == before, "the same data make no better model"


def test_a_rollback_asked_of_a_stopped_loop_is_done_at_the_next_start_and_a_serving_field_retrains_nothing(loop):
    assert loop.stop() == 0
    asked = say(loop, "rollback")
    assert asked.returncode == 0
    assert "the loop is not running" in asked.stdout
    edit(loop, "window: {duration: 1d, minRows: 100}", "window: {duration: 12h, minRows: 100}")
    edit(loop, "  monitoring:", "  serving: {maxReplicas: 2}\n  monitoring:")
    loop.start()
    loop.wait_for(lambda status: status["champion"]["label"] == "v1")
    settle(loop)
    (entry,) = entries(loop, RolledBack)
    assert entry.by == user_name()
    assert len(entries(loop, RunStarted)) == 3
    answer = loop.ask(parcels(1, START, DAY, seed=4), START)
    assert answer.headers["driftloop-model-version"] == champion(loop)["version"]


def test_the_history_of_it_all_is_answerable_when_the_loop_is_gone(loop):
    assert loop.stop() == 0
    promoted = entries(loop, Promoted)
    told = say(loop, "history").stdout
    assert all(entry.model.version in told for entry in promoted)
    at = promoted[0].at.isoformat()
    served = json.loads(say(loop, "served-at", at, "--json").stdout)["served"]
    assert served["model"] in {"v1", "v2"}
    assert say(loop, "status").returncode == 0

"""The loop's verbs and its history, on a workspace without a controller and with a stand-in for one."""

import json
import threading
import time
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.cli.asking import user_name
from driftloop.controller.ledger import Ledger
from driftloop.controller.monitorview import MonitorView
from driftloop.controller.requestbox import RequestBox
from driftloop.controller.workspace import Workspace
from driftloop.loop.decide import decide
from driftloop.loop.decisions import Facts, Wait
from driftloop.loop.history import Promoted, RunFinished, RunStarted, model_of, replay
from driftloop.loop.recording import entry_of
from driftloop.spec import ReportKind, VerdictKind
from tests.loop.conftest import START, WEEK, make_loop, make_result, make_verdict

CRITERIA = {"task": "Classification", "successCriteria": [{"name": "missed connections", "baseline": 4.1, "goal": 3.5}]}
LOOP = make_loop(problem=CRITERIA, promotion={"approval": "Manual"})


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path / "loop")
    workspace.create()
    workspace.loop_file.write_text(LOOP.model_dump_json(by_alias=True, exclude_none=True))
    ledger = Ledger(workspace.ledger)
    for number, digest in ((1, "a"), (2, "b"), (3, "c")):
        at, result = START + (number - 1) * WEEK, make_result(f"run-{number}", digest=digest * 64)
        run = RunStarted(at=at, run_key=f"run-{number}", number=number, reason="drift", data_uri="flights.parquet")
        ledger.append(run)
        ledger.append(RunFinished(at=at, run_key=run.run_key, result=result))
        if number < 3:
            ledger.append(Promoted(at=at, model=model_of(run, result), reason="better"))
    return workspace


@pytest.fixture
def running(workspace):
    """The same with somebody who answers: decides and records as a controller does, and runs nothing."""
    stop = threading.Event()

    def answer():
        ledger, box = Ledger(workspace.ledger), RequestBox(workspace.requests)
        while not stop.wait(0.01):
            state = replay(ledger.entries)
            verdicts, asked = MonitorView(workspace.monitor).verdicts(), box.open_requests(state.handled)
            facts = Facts(loop_uid=workspace.uid(), verdicts=verdicts, labelled_rows=5000, requests=asked)
            decision = decide(LOOP.spec, state, facts, START)
            if not isinstance(decision, Wait):
                ledger.append(entry_of(decision, state, START, data_uri="x"))
            elif state.open_run:
                ledger.append(RunFinished(at=START, run_key=state.open_run.run_key, error="the disk\nis full"))

    with workspace.lock():
        thread = threading.Thread(target=answer)
        thread.start()
        yield workspace
        stop.set()
        thread.join()


def run(workspace, *words):
    return CliRunner().invoke(build_app(), [*words, "--workspace", str(workspace.root)])


def requests(workspace):
    return RequestBox(workspace.requests).open_requests(frozenset())


# Asking


def test_a_request_to_a_stopped_loop_is_noted_with_who_asked_and_how_to_start_it(workspace):
    outcome = run(workspace, "rollback", "v1")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("Noted (")
    assert "the loop is not running: start it with driftloop up FILE" in outcome.stdout
    (request,) = requests(workspace)
    assert (request.by, request.action.model) == (user_name(), "v1")
    assert "asked by" in run(workspace, "status").stdout
    assert "Rollback was asked by" in run(workspace, "why").stdout
    assert json.loads(run(workspace, "status", "--json").stdout)["requests"][0]["id"] == request.id


def test_a_running_loop_is_asked(running):
    outcome = run(running, "record", "missed connections", "3.9")
    assert outcome.stdout.startswith("Asked (")
    assert "the running loop will act" in outcome.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["record", "missed connections", "3.9", "--note", "survey"], "recorded 'missed connections': 3.9"),
        (["approve", "run-3"], "approved the model of run run-3"),
        (["rollback"], "rolled back to v1 (aaaaaaaaaaaa)"),
    ],
)
def test_waiting_tells_the_outcome(running, words, told):
    outcome = run(running, *words, "--wait")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert told in outcome.stdout


def test_waiting_for_a_run_that_fails_is_an_error(running):
    outcome = run(running, "retrain", "--wait")
    assert outcome.exit_code == 1
    assert "training v4" in outcome.stdout
    assert "failed: the disk is full" in outcome.stderr


def test_waiting_with_json_prints_json_alone(running):
    outcome = run(running, "approve", "run-3", "--wait", "--json")
    answer = json.loads(outcome.stdout)
    assert answer["running"] is True
    assert answer["outcome"][0]["entry"] == "Approved"
    assert answer["outcome"][0]["requestId"] == answer["request"]["id"]


def test_a_stopped_loop_is_not_waited_for_and_keeps_the_request(workspace):
    outcome = run(workspace, "rollback", "--wait")
    assert outcome.exit_code == 1
    assert "must be running to wait for it" in outcome.stderr
    assert len(requests(workspace)) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rollback", "v9"], "Rollback was refused: 'v9' never served; these did: v1 (aaaaaaaaaaaa), v2 (bbbb"),
        (["approve", "run-1"], "Got 'run-1'; waiting: run-3."),
        (["record", "mised connections", "1"], "Did you mean 'missed connections'?"),
        (["record", "missed connections", "much"], "The value must be a finite number, such as 3.9. Got 'much'."),
        (["record", "missed connections", "inf"], "must be a finite number"),
        (["record", "missed connections", "1", "--at", "soon"], "The --at must be an ISO 8601 date or time"),
    ],
)
def test_what_is_certainly_wrong_is_refused_at_once(workspace, words, told):
    outcome = run(workspace, *words)
    assert outcome.exit_code == 2
    assert told in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert requests(workspace) == ()


def test_what_the_loop_refuses_is_an_error_for_who_waits(running, monkeypatch):
    running.loop_file.unlink()  # nothing is known at the door
    outcome = run(running, "rollback", "v9", "--wait")
    assert outcome.exit_code == 2
    assert "Rollback was refused: 'v9' never served" in outcome.stderr


# Telling


def test_the_history_tells_everything_and_its_links(workspace):
    lines = run(workspace, "history").stdout.splitlines()
    assert lines[0] == "2013-03-01 00:00  training v1 (run run-1): drift"
    assert "v2 (bbbbbbbbbbbb) promoted: better" in "\n".join(lines)
    assert lines[1].strip() == "run: run-1"


def test_the_history_can_be_cut_short_and_be_json(workspace):
    entries = json.loads(run(workspace, "history", "--json", "--limit", "2").stdout)
    assert [entry["entry"] for entry in entries] == ["RunStarted", "RunFinished"]
    assert entries[0]["text"].startswith("training v3")
    assert len(json.loads(run(workspace, "history", "--json").stdout)) == 8
    assert run(workspace, "history", "--limit", "0").exit_code == 2


@pytest.mark.parametrize(
    ("time", "told"),
    [
        ("2013-02-28", "Nothing served at 2013-02-28 00:00 UTC"),
        ("2013-03-01T01:00+01:00", "At 2013-03-01 00:00 UTC v1 served"),
        ("2013-03-09", "At 2013-03-09 00:00 UTC v2 served, model version bbbbbbbbbbbb"),
    ],
)
def test_what_served_at_a_time_is_told_by_a_stopped_loop(workspace, time, told):
    outcome = run(workspace, "served-at", time)
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith(told)


def test_what_served_is_told_with_its_whole_chain(workspace):
    served = json.loads(run(workspace, "served-at", "2013-03-02", "--json").stdout)["served"]
    assert (served["model"], served["bentoDigest"], served["dataDigest"]) == ("v1", "a" * 64, "d")
    assert served["until"] == "2013-03-08T00:00:00Z"
    assert json.loads(run(workspace, "served-at", "2012-01-01", "--json").stdout)["served"] is None


def test_a_time_that_is_none_is_told_how_to_write_one(workspace):
    outcome = run(workspace, "served-at", "yesterday")
    assert outcome.exit_code == 2
    assert "The TIME must be an ISO 8601 date or time" in outcome.stderr


@pytest.mark.parametrize("damage", [None, "", '{"loop": "fl'])
def test_a_wiped_or_damaged_status_is_told_from_the_ledger(workspace, damage):
    if damage is not None:
        workspace.status.write_text(damage)
    told = json.loads(run(workspace, "status", "--json").stdout)
    assert (told["champion"]["label"], told["candidate"]["label"], told["running"]) == ("v2", "v3", False)
    assert told["successCriteria"][0]["value"] is None
    shown = run(workspace, "status").stdout
    assert "stopped" in shown
    assert "missed connections: not measured yet (goal 3.5, from 4.1)" in shown
    assert "start it with: driftloop up FILE" in run(workspace, "why").stdout


def test_a_workspace_without_its_loop_is_told(workspace):
    workspace.loop_file.unlink()
    outcome = run(workspace, "status")
    assert outcome.exit_code == 2
    assert "must hold 'loop.json', the ModelLoop that ran in it. It is gone." in outcome.stderr


def test_a_measured_value_is_shown_by_status(running):
    words = ["missed connections", "3.4", "--at", "2013-03-09", "--note", "survey"]
    assert run(running, "record", *words, "--wait").exit_code == 0
    shown = run(running, "status").stdout
    assert "missed connections: 3.4 (goal 3.5, from 4.1, reached; measured 2013-03-09 00:00 by" in shown


def test_a_folder_in_which_no_loop_ran_is_no_workspace(tmp_path):
    for words in (["history"], ["served-at", "2013-03-02"], ["retrain"], ["status"]):
        outcome = run(Workspace(tmp_path), *words)
        assert outcome.exit_code == 2
        assert "--workspace" in outcome.stderr


def test_asking_does_not_get_in_the_way_of_a_loop_that_starts(workspace):
    stop = threading.Event()

    def keep_asking():
        while not stop.is_set():
            workspace.is_in_use()

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        for _ in range(50):
            workspace.lock().close()
            time.sleep(0.001)
    finally:
        stop.set()
        asking.join()


def test_now_is_the_time_of_a_value_without_one(workspace):
    before = datetime.now(UTC)
    assert run(workspace, "record", "missed connections", "3.9").exit_code == 0
    assert before <= requests(workspace)[0].action.measured_at <= datetime.now(UTC)


# Silence


def reasons(workspace):
    """Return what `why` tells, as one line: it wraps at the terminal's width."""
    return " ".join(run(workspace, "why").stdout.split())


def see_drift(workspace, week=2, kind=VerdictKind.COVARIATE_DRIFT):
    verdict = make_verdict(week, kind, version="b" * 12, kind=ReportKind.INPUTS)
    workspace.monitor.mkdir(parents=True, exist_ok=True)
    with (workspace.monitor / "verdicts.jsonl").open("a") as file:
        file.write(verdict.model_dump_json(by_alias=True) + "\n")


def test_a_mute_is_told_by_status_and_why_until_it_ends(running):
    see_drift(running)
    told = run(running, "mute", "--until", "2013-12-01", "--reason", "a new airport", "--wait")
    assert told.exit_code == 0, told.stderr
    assert f"{user_name()} muted all drift alarms until 1 December 2013: a new airport" in told.stdout
    for shown in (run(running, "status").stdout, reasons(running)):
        assert f"all drift alarms are muted by {user_name()} until 1 December 2013: a new airport" in shown
        assert "drift episode since 2013-03-15 00:00 (inputs): CovariateDrift" in shown
    assert run(running, "unmute", "--wait").exit_code == 0
    assert "muted by" not in reasons(running)
    assert "if you know of it: driftloop acknowledge" in reasons(running)


def test_an_episode_is_acknowledged_by_the_name_that_why_tells(running):
    see_drift(running)
    name = reasons(running).partition("driftloop acknowledge ")[2].split()[0]
    told = run(running, "acknowledge", name, "--reason", "the new terminal", "--wait")
    assert told.exit_code == 0, told.stderr
    assert f"acknowledged the drift episode of report {name}: the new terminal" in told.stdout
    assert "is known to" in reasons(running)
    assert "known already" in run(running, "acknowledge", "newest", "--reason", "x").stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mute", "--until", "soon", "--reason", "x"], "The --until must be an ISO 8601 date or time"),
        (["mute", "--until", "2013-01-01", "--reason", "x"], "must lie ahead"),
        (["mute", "--until", "2013-12-01", "--reason", ""], "must have a reason"),
        (["mute", "--until", "2013-12-01", "--kind", "Drift", "--reason", "x"], "must be one of CovariateDrift"),
        (["mute", "--until", "2013-12-01"], "--reason"),
        (["unmute"], "nothing is muted"),
        (["acknowledge", "newest", "--reason", "x"], "no drift episode of the champion is open"),
    ],
)
def test_a_silence_that_cannot_be_is_refused_at_once(workspace, words, told):
    outcome = run(workspace, *words)
    assert outcome.exit_code == 2
    assert told in outcome.stderr
    assert requests(workspace) == ()

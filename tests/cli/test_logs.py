import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.cli.logmerge import LogFolder, Source, read_time
from driftloop.predictionlog import Label, PredictionBatch, PredictionLogWriter
from driftloop.spec import ReportKind, Verdict, VerdictKind, Window

CONTROLLER = "2026-03-01 10:00:00,500 INFO driftloop.controller: training v1\n"
SERVER = "2026-03-01T10:00:02 [INFO] [cli] Service loaded\nTraceback (most recent call last):\nValueError: x\n"
MONITOR = "2026-03-01 10:00:01,000 INFO intake driftloop.sidecar: takes records\n"
RUN = """\
10:00:00.700 - INFO - Executing task \x1b[96m'snapshot'\x1b[0m
--------------------------------------------------------------------------------
    [KFP Executor 2026-03-01 10:00:00,900 INFO]: Got executor_input:
    {
        "inputs": {}
    }
    one line of the stage
10:00:03.100 - INFO - Task 'snapshot' finished with status SUCCESS
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / ".driftloop" / "small"
    (root / "logs").mkdir(parents=True)
    (root / "runs" / "k1").mkdir(parents=True)
    for name, text in (("controller", CONTROLLER), ("server-v1", SERVER), ("monitor", MONITOR)):
        (root / "logs" / f"{name}.log").write_text(text)
    (root / "runs" / "k1" / "run.log").write_text(RUN)
    request = root / "runs" / "k1" / "request.json"
    request.write_text("{}")
    started = datetime(2026, 3, 1, 9, 59, 59).timestamp()  # noqa: DTZ001 - logs tell local times
    os.utime(request, (started, started))
    return root


def call(*arguments):
    outcome = CliRunner().invoke(build_app(), ["logs", *arguments], env={"COLUMNS": "200"})
    assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def test_lines_of_all_programs_come_in_the_order_of_their_times(root):
    assert call().splitlines() == [
        "10:00:00 controller INFO driftloop.controller: training v1",
        "10:00:00 run        INFO - Executing task 'snapshot'",
        "10:00:00 run            one line of the stage",
        "10:00:01 monitor    INFO intake driftloop.sidecar: takes records",
        "10:00:02 server     [INFO] [cli] Service loaded",
        "10:00:02 server     Traceback (most recent call last):",
        "10:00:02 server     ValueError: x",
        "10:00:03 run        INFO - Task 'snapshot' finished with status SUCCESS",
    ]


def test_json_has_a_line_for_each_with_its_file(root):
    lines = [json.loads(line) for line in call("--json", "--source", "server").splitlines()]
    assert {(line["source"], line["origin"]) for line in lines} == {("server", "server-v1")}
    assert [line["at"] for line in lines] == ["2026-03-01T10:00:02"] * 3


def test_several_sources_may_be_named(root):
    marks = {line.split()[1] for line in call("--source", "monitor", "--source", "controller").splitlines()}
    assert marks == {"monitor", "controller"}


def test_old_lines_are_left_out_on_request(root):
    now = datetime.now()  # noqa: DTZ005 - logs tell local times
    with (root / "logs" / "monitor.log").open("a") as file:
        file.write(f"{now:%Y-%m-%d %H:%M:%S},000 INFO intake x: news\n")
    assert [line.split(": ")[-1] for line in call("--since", "10m").splitlines()] == ["news"]


def test_a_wrong_age_is_told(root):
    outcome = CliRunner().invoke(build_app(), ["logs", "--since", "5x"])
    assert (outcome.exit_code, outcome.stderr) == (
        2,
        "The option '--since' must be a duration such as '90s', '10m', '12h', '30d' or '1h30m'. Got '5x'.\n",
    )


def test_following_brings_whole_lines_and_new_files_once(root):
    folder = LogFolder(root, [Source.MONITOR, Source.SERVER])
    assert len(folder.read()) == 4
    assert folder.read() == []
    with (root / "logs" / "monitor.log").open("a") as file:
        file.write("2026-03-01 10:00:04,000 INFO a: whole\n2026-03-01 10:00:05,000 INFO a: ha")
    (root / "logs" / "server-v2.log").write_text("2026-03-01T10:00:03 [INFO] new server\n")
    assert [line.origin for line in folder.read()] == ["server-v2", "monitor"]
    with (root / "logs" / "monitor.log").open("a") as file:
        file.write("lf\n")
    assert [line.message for line in folder.read()] == ["INFO a: half"]


def test_a_run_past_midnight_goes_on_with_the_next_day(root):
    (root / "runs" / "k1" / "run.log").write_text("23:59:59.000 - INFO - a\n00:00:01.000 - INFO - b\n")
    first, second = LogFolder(root, [Source.RUN]).read()
    assert second.at - first.at == timedelta(seconds=2)


def test_a_time_with_an_offset_is_told_as_this_machines():
    read = read_time("2026-03-01T10:00:02+0000 [INFO] [cli] Service loaded", NOON)
    assert read.astimezone(UTC) == datetime(2026, 3, 1, 10, 0, 2, tzinfo=UTC)


def test_no_workspace_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(build_app(), ["logs"])
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("There must be exactly one workspace in .driftloop to choose it by itself.")


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def logged(root):
    """One prediction with its label, and a verdict on its window."""
    batch = PredictionBatch(
        prediction_ids=["a-1", "a-2"],
        keys=["k1", "k2"],
        time=NOON,
        model_version="abc",
        features={"x": [1.5, None]},
        outputs={"prediction": [True, False], "probability": [0.75, 0.25]},
    )
    with PredictionLogWriter(root / "log", writer_id="w") as writer:
        writer.append_predictions([batch])
        writer.append_labels([Label(prediction_id=None, key="k1", label=False, time=NOON + timedelta(hours=1))])
        writer.commit(NOON + timedelta(hours=2))
    window = Window(start=NOON, end=NOON + timedelta(hours=1), rows=2)
    verdict = Verdict(
        kind=ReportKind.INPUTS, model_version="abc", window=window, verdict=VerdictKind.STABLE, summary="Nothing moved."
    )
    (root / "monitor").mkdir()
    (root / "monitor" / "verdicts.jsonl").write_text(verdict.model_dump_json(by_alias=True) + "\n")
    return root


def test_a_predictions_trail_has_answer_model_label_and_windows(logged):
    told = json.loads(call("--prediction", "a-1", "--json"))
    assert (told["time"], told["key"], told["features"]) == ("2026-03-01T12:00:00+00:00", "k1", {"x": 1.5})
    assert told["answer"] == {"prediction": True, "probability": 0.75}
    assert (told["modelVersion"], told["isChampion"]) == ("abc", False)
    assert (told["label"], told["labelTime"]) == (False, "2026-03-01T13:00:00+00:00")
    assert [(window["kind"], window["verdict"]) for window in told["windows"]] == [("inputs", "Stable")]


def test_a_prediction_without_label_says_so(logged):
    told = call("--prediction", "a-2")
    assert "label       none so far" in told
    assert "answer      prediction=false, probability=0.25" in told


def test_an_unknown_prediction_is_told_with_how_far_the_log_is(logged):
    outcome = CliRunner().invoke(build_app(), ["logs", "--prediction", "nope"])
    assert (outcome.exit_code, outcome.stderr) == (
        2,
        (
            "The prediction id must be one that the log in '.driftloop/small' holds. Got 'nope'. The log is complete "
            "through 2026-03-01 14:00:00 UTC: a newer answer appears after the next commit; probes are never logged. "
            "Check the id in the answer's 'predictionIds'.\n"
        ),
    )

# ruff: noqa: E501 - messages stand here as people see them
"""Surroundings that refuse: a port in use, a folder that can't be written, a changed Bento, labels of nobody."""

import json
import socket
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest

from driftloop.predictionlog import Label, PredictionBatch, PredictionLogReader, PredictionLogWriter
from driftloop.stages.package import ContentDiffersError, ModelFiles, verify_digests
from tests.flightcontent import assemble_flights

LOOP = """\
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: t}
spec:
  problem: {task: Classification}
  data: {uri: t.csv, targetColumn: late}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "t.yaml").write_text(LOOP)
    (tmp_path / "t.csv").write_text("x,late\n" + "".join(f"{row / 7},{row % 2}\n" for row in range(300)))
    return tmp_path


def driftloop(*arguments, cwd):
    command = [sys.executable, "-m", "driftloop", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.local
@pytest.mark.parametrize("option", ["--port", "--labels-port"])
def test_a_port_in_use_is_told_with_the_option_that_chooses_another(folder, taken_port, option):
    other = {"--port": "--labels-port", "--labels-port": "--port"}[option]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free_port = probe.getsockname()[1]
    outcome = driftloop("up", "t.yaml", option, str(taken_port), other, str(free_port), cwd=folder)
    assert outcome.returncode == 1
    assert outcome.stderr == (
        f"The port {taken_port} of 127.0.0.1 must be free. It can't be had: Address already in use. Stop what listens "
        f"there, or choose another with {option}.\n"
    )


@pytest.mark.parametrize("command", ["run", "up"])
def test_a_workspace_that_cannot_be_written_is_told(folder, command):
    (folder / "taken").write_text("a file")
    outcome = driftloop(command, "t.yaml", "--workspace", "taken/workspace", cwd=folder)
    assert (outcome.returncode, outcome.stderr) == (
        1,
        f"The workspace '{folder}/taken/workspace' can't be written: Not a directory. Choose another with --workspace.\n",
    )


def test_a_bento_that_was_changed_is_not_served(tmp_path):
    files = ModelFiles(*(tmp_path / field.name for field in fields(ModelFiles)))
    for path in vars(files).values():
        path.write_text(f'"{path.name}"')
    content = assemble_flights(tmp_path / "content", files)
    (content.path / "model" / "model.skops").write_bytes(b"broken")
    with pytest.raises(ContentDiffersError) as caught:
        verify_digests(content.path, content.digest)
    assert str(caught.value) == (
        f"The Bento content in '{content.path}' must match its manifest. The file 'model/model.skops' has another content. "
        "Fetch the Bento again, or package the model again; never edit a Bento."
    )


def test_labels_of_unknown_predictions_are_kept_and_label_nothing(tmp_path):
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    batch = PredictionBatch(
        prediction_ids=["a"],
        keys=["k"],
        time=noon,
        model_version="v",
        features={"x": [1.0]},
        outputs={"prediction": [True]},
    )
    labels = [
        Label(prediction_id="nobody", key=None, label=False, time=noon + timedelta(hours=1)),
        Label(prediction_id=None, key="nothing", label=False, time=noon + timedelta(hours=1)),
        Label(prediction_id=None, key="k", label=True, time=noon + timedelta(hours=2)),
    ]
    with PredictionLogWriter(tmp_path, writer_id="w") as writer:
        writer.append_predictions([batch])
        writer.append_labels(labels)
        writer.commit(noon + timedelta(hours=3))
    reader = PredictionLogReader(tmp_path)
    joined = reader.joined(noon, noon + timedelta(hours=1))
    assert joined[["prediction_id", "label"]].to_numpy().tolist() == [["a", True]]
    assert reader.counts().labels == 3


def test_a_verdict_of_json_commands_stays_json_when_the_workspace_is_missing(tmp_path):
    outcome = driftloop("status", "--json", cwd=tmp_path)
    assert outcome.returncode == 2
    assert json.loads(outcome.stdout)["error"]["message"].startswith(
        "There must be exactly one workspace in .driftloop"
    )


def test_a_folder_where_no_loop_ever_ran_is_told_by_its_name(tmp_path):
    outcome = driftloop("mute", "--until", "2100-01-01", "--reason", "sale", "--workspace", "elsewhere", cwd=tmp_path)
    assert outcome.returncode == 2
    assert "Got 'elsewhere', which has no ledger" in outcome.stderr
    assert list(tmp_path.iterdir()) == []

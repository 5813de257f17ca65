from datetime import UTC, datetime

import pytest
import yaml
from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.controller.ledger import Ledger
from driftloop.controller.workspace import Workspace
from driftloop.loop.history import Recorded
from driftloop.reports.charter import Progress, build_charter, open_questions
from tests.loop.conftest import make_loop

NOW = datetime(2026, 3, 1, tzinfo=UTC)
COMPLETE = {
    "problem": {
        "task": "Classification",
        "objective": "Rebook passengers in time",
        "challenge": "Delays spread",
        "metric": {"threshold": 0.7},
        "successCriteria": [{"name": "missed connections per 1000", "baseline": 4.1, "goal": 3.5}],
    },
    "data": {
        "uri": "flights.parquet",
        "targetColumn": "late",
        "timeColumn": "departure",
        "sensitiveColumns": ["age"],
        "provenance": {"source": "the airport", "licence": "CC0", "purpose": "planning", "consent": "contract"},
    },
    "governance": {"owner": "Network team", "intendedUse": "rebooking", "approvers": ["ann"]},
    "promotion": {"approval": "Manual"},
}


def test_a_bare_file_becomes_questions_that_name_their_fields():
    questions = list(open_questions(make_loop()))
    assert "Who answers for the model? (governance.owner)" in questions
    assert len(questions) == 12
    page = build_charter(make_loop(), Progress())
    assert "Who answers for the model?" in page
    assert "nothing yet" in page


def test_a_complete_file_leaves_no_question():
    loop = make_loop(**COMPLETE)
    assert list(open_questions(loop)) == []
    page = build_charter(loop, Progress(measured={"missed connections per 1000": (3.8, NOW)}))
    for word in ("Rebook passengers in time", "4.1", "3.5", "3.8 (2026-03-01)", "Network team", "CC0", "Signature"):
        assert word in page


def test_text_of_the_file_is_no_markup():
    loop = make_loop(governance={"owner": "<script>alert(1)</script>"})
    assert "<script>" not in build_charter(loop, Progress())


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loop = make_loop(**COMPLETE).to_dict()
    (tmp_path / "flights.yaml").write_text(yaml.safe_dump(loop))
    return "flights.yaml"


def charter(*arguments):
    return CliRunner().invoke(build_app(), ["charter", *arguments])


def test_the_command_writes_a_self_contained_page_with_recorded_values(file, tmp_path):
    workspace = Workspace(tmp_path / ".driftloop" / "flight-delays")
    workspace.root.mkdir(parents=True)
    Ledger(workspace.ledger).append(
        Recorded(at=NOW, by="ann", name="missed connections per 1000", value=3.9, measured_at=NOW)
    )
    outcome = charter(file, "--out", "page.html")
    assert outcome.stdout == "wrote page.html: 0 open questions\n"
    page = (tmp_path / "page.html").read_text()
    assert "3.9 (2026-03-01)" in page
    assert "http" not in page


def test_a_place_that_can_not_be_written_is_told(file, tmp_path):
    (tmp_path / "taken").touch()
    outcome = charter(file, "--out", "taken/page.html")
    assert outcome.exit_code == 2
    assert "Choose another --out." in outcome.stderr

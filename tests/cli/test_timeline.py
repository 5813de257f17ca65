"""`driftloop timeline` on a workspace as a loop leaves it."""

import json

import pytest
from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.controller.workspace import Workspace
from driftloop.spec import DriftReport, VerdictKind
from tests.loop.conftest import make_loop
from tests.loop.test_timeline import entries, verdict
from tests.pagecheck import check_page


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path / "work space")
    workspace.create()
    workspace.ledger.write_text("".join(entry.model_dump_json(by_alias=True) + "\n" for entry in entries()))
    workspace.loop_file.write_text(make_loop().model_dump_json(by_alias=True))
    workspace.status.write_text(json.dumps({"loop": "flight-delays"}))
    alarm = verdict(1, VerdictKind.CONCEPT_DRIFT)
    lines = [found.model_dump_json(by_alias=True) + "\n" for found in (verdict(0), alarm, verdict(2))]
    (workspace.monitor / "verdicts.jsonl").write_text("".join(lines))
    report = DriftReport(name="performance-1", loop="flights", loop_uid="u", created_at=alarm.window.end, verdict=alarm)
    (workspace.monitor / "reports").mkdir()
    (workspace.monitor / "reports" / "performance-1.json").write_text(report.model_dump_json(by_alias=True))
    (workspace.monitor / "reports" / "performance-1.html").write_text("evidence")
    return workspace


def call(*words):
    return CliRunner().invoke(build_app(), ["timeline", *map(str, words)])


def test_the_page_lies_in_the_workspace_and_leads_to_the_evidence(workspace):
    done = call("--workspace", workspace.root)
    assert done.exit_code == 0, done.output
    assert done.output == f"wrote {workspace.root / 'timeline.html'}\n"
    page = check_page((workspace.root / "timeline.html").read_text())
    assert set(page.references) == {"monitor/reports/performance-1.html"}


def test_a_page_elsewhere_leads_to_the_same_evidence(workspace, tmp_path):
    elsewhere = tmp_path / "pages" / "flights.html"
    elsewhere.parent.mkdir()
    assert call("--workspace", workspace.root, "--out", elsewhere).exit_code == 0
    [address] = set(check_page(elsewhere.read_text()).references)
    assert address == "../work%20space/monitor/reports/performance-1.html"


def test_an_alarm_whose_page_is_gone_is_still_told(workspace):
    (workspace.monitor / "reports" / "performance-1.html").unlink()
    assert call("--workspace", workspace.root).exit_code == 0
    page = check_page((workspace.root / "timeline.html").read_text())
    assert page.references == []
    assert "ConceptDrift" in page.texts


def test_a_file_that_can_not_be_written_is_told_with_the_option(workspace, tmp_path):
    done = call("--workspace", workspace.root, "--out", tmp_path / "nowhere" / "page.html")
    assert done.exit_code != 0
    assert "can't be written: No such file or directory. Name another file with --out." in done.stderr

"""`driftloop calibrate` on tables whose truth is known, and on a champion's baseline."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.cli.calibration import calibrate, reference_of_baseline
from driftloop.controller.ledger import Ledger
from driftloop.controller.workspace import Workspace
from driftloop.loop.history import Promoted, RunFinished, RunStarted, model_of
from driftloop.spec import MonitoringSpec
from tests.loop.conftest import START, make_loop, make_result
from tests.monitor import traffic

LOOP = """\
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: small}
spec:
  problem: {task: Classification}
  data: {uri: small.parquet, targetColumn: late, timeColumn: time}
  monitoring: {window: {duration: 1h, minRows: 50}}
"""


def table(rows=20_000, *, every="2min", moved=0.0):
    """Return independent rows; `moved` lets the numbers move along, by that much in the end."""
    rng = np.random.default_rng(5)
    time = pd.date_range("2026-01-01", periods=rows, freq=every, tz="UTC")
    trend = np.arange(rows) / rows * moved
    return pd.DataFrame(
        {
            "time": time,
            "a": rng.normal(size=rows) + trend,
            "b": rng.normal(size=rows) + trend,
            "c": rng.choice(list("xyz"), rows),
            "late": rng.random(rows) < 0.3,
        }
    )


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop.yaml").write_text(LOOP)
    return tmp_path


def run(*arguments):
    outcome = CliRunner().invoke(build_app(), ["calibrate", *arguments], env={"COLUMNS": "160"})
    return outcome.exit_code, outcome.stdout + outcome.stderr


def run_json(*arguments):
    code, text = run(*arguments, "--json")
    assert code == 0, text
    return json.loads(text)


def reaches(told):
    return {(one["rowsPerHour"], one["window"]): one["power"] for one in told["whatIf"]}


def test_independent_rows_carry_the_budget_and_more_rows_show_smaller_shifts(workplace):
    table().to_parquet("small.parquet")
    told = run_json("loop.yaml")
    assert told["reference"] == "20,000 rows of 'small.parquet' from 2026-01-01 to 2026-01-28"
    assert told["budget"]["carried"] == told["budget"]["asked"] == 1
    assert {one["kind"]: one["columns"] for one in told["thresholds"]} == {
        "numeric": 2,
        "categorical": 1,
        "all together": 1,
    }
    found = reaches(told)
    assert found[30.0, "1h"] is None, "too few rows for a verdict"
    shifts = [found[rate, "1h"]["shiftSd"] for rate in (50, 500, 5000)]
    assert shifts == sorted(shifts, reverse=True)
    assert 0.2 < shifts[1] < 0.35, "half a standard deviation takes a third of these rows"
    assert found[500, "1d"]["shiftShare"] == pytest.approx(0.1, abs=0.005), "minEffectSize is the floor"
    assert set(told["columns"]) == {"a", "b", "c"}


def test_people_read_a_table_and_sentences(workplace):
    table().to_parquet("small.parquet")
    code, text = run("loop.yaml", "--rows-per-hour", "500")
    assert code == 0
    assert "False-alarm budget: 1 per 30 days asked, 1 carried" in text
    assert "At 500 rows an hour, a window of 1h (500 rows) shows a shift of 0.2" in text
    assert "with probability 0.9" in text
    assert "A window of 6h shows a shift of 0.25 sd (10% of traffic)" in text
    assert "With 4 times the reference" in text


def test_a_reference_that_moves_is_told_with_the_budget_it_carries(workplace):
    table(moved=3.0).to_parquet("small.parquet")
    told = run_json("loop.yaml")
    assert told["budget"]["carried"] > told["budget"]["asked"]
    _, text = run("loop.yaml")
    assert all(reason in " ".join(text.split()) for reason in told["budget"]["reasons"])


def test_a_short_reference_is_helped_by_a_longer_one(workplace):
    table(3000, every="1min").to_parquet("small.parquet")
    rare = "monitoring: {falseAlarmBudget: {max: 1, per: 365d}, "
    (workplace / "loop.yaml").write_text(LOOP.replace("monitoring: {", rare))
    told = run_json("loop.yaml")
    assert told["budget"]["asked"] == pytest.approx(30 / 365)
    assert told["budget"]["carried"] > 2 * told["budget"]["asked"]
    assert "too few for thresholds that rare" in told["budget"]["reasons"][0]
    longer = float(told["conclusions"][-1].partition("the budget carried is ")[2].split()[0])
    assert longer < told["budget"]["carried"] / 2


def test_without_times_independence_is_assumed_and_said(workplace):
    table().drop(columns="time").to_parquet("small.parquet")
    (workplace / "loop.yaml").write_text(LOOP.replace(", timeColumn: time", ""))
    told = run_json("loop.yaml")
    assert "no times" in told["budget"]["reasons"][0]
    assert list(told["budgets"]) == ["1h"]


@pytest.mark.parametrize("rows", [1, 12])
def test_a_handful_of_rows_is_no_crash(workplace, rows):
    table(rows).assign(late=[n % 2 == 0 for n in range(rows)]).to_parquet("small.parquet")
    code, text = run("loop.yaml")
    assert code in (0, 2), text
    assert "Traceback" not in text


def test_data_that_lie_elsewhere_are_told_with_the_way_out(workplace):
    code, text = run("loop.yaml")
    assert code == 2
    assert "must lie on this machine to be calibrated with" in text
    assert "driftloop estimate FILE" in text


def test_a_champions_baseline_is_a_reference(workplace):
    workspace = Workspace(workplace / "state")
    workspace.create()
    code, text = run("--workspace", str(workspace.root))
    assert code == 2
    loop, ledger = make_loop(monitoring={"window": {"duration": "1d"}}), Ledger(workspace.ledger)
    workspace.loop_file.write_text(loop.model_dump_json(by_alias=True, exclude_none=True))
    started = RunStarted(at=START, run_key="first", number=1, reason="x", data_uri="x")
    result = make_result("first")
    ledger.append(started)
    ledger.append(RunFinished(at=START, run_key="first", result=result))
    code, text = run("--workspace", str(workspace.root))
    assert (code, "no model serves yet" in text) == (2, True)
    ledger.append(Promoted(at=START, model=model_of(started, result), reason="first"))
    folder = workspace.baselines / result.bento_digest[:12]
    folder.mkdir(parents=True)
    baseline = traffic.baseline_of(traffic.rows(4000, seed=1))
    (folder / "baseline.json").write_text(baseline.model_dump_json(by_alias=True))
    told = run_json("--workspace", str(workspace.root), "--rows-per-hour", "100")
    assert told["reference"] == "4,000 rows behind v1 (aaaaaaaaaaaa)"
    assert "probability" in told["columns"]


def test_a_longer_reference_sees_no_less():
    baseline = traffic.baseline_of(traffic.rows(4000, seed=1))
    monitoring = MonitoringSpec.model_validate({"window": {"duration": timedelta(days=1)}})
    found = calibrate(reference_of_baseline(baseline, "v1"), monitoring, (100,))
    assert found.conclusions[-1].startswith("With 4 times the reference")
    assert all(0 < reach.power.shift_share <= 1 for reach in found.reaches if reach.power)

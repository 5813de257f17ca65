"""The command line on a loop that decides."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.cli.decisionestimation import DecisionFacts, rows_for_better, rows_for_fall, rows_for_value
from driftloop.spec import Task
from driftloop.spec.loading import read_modelloop


@pytest.fixture(autouse=True)
def offers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    pd.DataFrame(
        {
            "visit": [f"v{row}" for row in range(600)],
            "at": pd.date_range("2025-01-01", periods=600, freq="h"),
            "spend": random.normal(size=600),
            "offer": random.choice(["discount", "letter"], 600),
            "chance": 0.5,
            "earned": random.normal(1, 2, size=600),
        }
    ).to_csv("offers.csv", index=False)


def run(*words: str):
    return CliRunner().invoke(build_app(), [*words])


def init(*words: str):
    return run("init", "offers.csv", "--target", "earned", *words)


def test_init_writes_a_loop_of_logged_decisions() -> None:
    outcome = init("--action", "offer", "--propensity", "chance")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.splitlines()[0] == "wrote offers.yaml: Decision of 'earned' by doubly_robust"
    spec = read_modelloop(Path("offers.yaml")).spec
    assert spec.problem.task is Task.DECISION
    data = spec.data
    assert (data.action_column, data.propensity_column, data.time_column) == ("offer", "chance", "at")
    assert run("validate", "offers.yaml").stdout == "valid: offers\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--action", "offer"), "Name --propensity, too."),
        (("--propensity", "chance"), "Name --action, too."),
        (("--action", "ofer", "--propensity", "chance"), "Did you mean 'offer'?"),
        (("--action", "spend", "--propensity", "chance"), "must hold actions to choose from"),
        (("--action", "offer", "--propensity", "spend"), "must hold a probability above 0, up to 1"),
    ],
)
def test_init_tells_what_no_decisions_can_be_made_of(words, message) -> None:
    outcome = init(*words)
    assert outcome.exit_code != 0
    assert message in " ".join(outcome.stderr.split())


def test_explain_says_how_it_explores() -> None:
    init("--action", "offer", "--propensity", "chance")
    told = " ".join(run("explain", "offers.yaml").stdout.split())
    for words in ("90% of decisions take the action", "doubly_robust, the usual one for Decision", "ContextualBandit"):
        assert words in told


def test_estimate_says_how_many_decisions_to_log() -> None:
    init("--action", "offer", "--propensity", "chance")
    found = json.loads(run("estimate", "offers.yaml", "--json").stdout)
    assert [need["have"] for need in found["needs"]] == [90, 90, 90, None]
    assert all(need["rows"] > 0 for need in found["needs"])
    assert any("worth 2.0 of the logged ones" in sentence for sentence in found["assumptions"])


def test_a_replay_of_decisions_is_refused_with_the_reason() -> None:
    init("--action", "offer", "--propensity", "chance")
    outcome = run("replay", "offers.csv", "--file", "offers.yaml")
    assert outcome.exit_code != 0
    assert "labels that hold whatever was answered" in outcome.stderr


def test_the_rows_for_a_value_are_those_of_a_simulation() -> None:
    """Two actions drawn alike, rewards 0 or 1: of 2,000 estimates 95 % (± 2 %) lie within the width asked for."""
    rows, random = rows_for_value(DecisionFacts(), 0.05), np.random.default_rng(0)
    rewards, agrees = random.random((2_000, rows)) < 0.5, random.random((2_000, rows)) < 0.5
    estimates = (2.0 * agrees * rewards).mean(axis=1)
    assert (abs(estimates - 0.5) < 0.05).mean() == pytest.approx(0.95, abs=0.02)


def test_smaller_effects_need_more_rows_and_a_mean_reward_of_0_has_no_fall() -> None:
    facts = DecisionFacts()
    assert rows_for_better(facts, 0.01, 0.8, 0.8) == pytest.approx(4 * rows_for_better(facts, 0.02, 0.8, 0.8), rel=0.01)
    assert rows_for_fall(DecisionFacts(mean=0.0), 0.01, 0.8) is None

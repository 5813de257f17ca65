import json

import numpy as np
import pytest

from driftloop.serving.exploration import draw
from driftloop.serving.predictor import Predictor
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from tests.serving.test_app import JSON, ask, post, record

ACTIONS = ("call", "mail", "wait")
POLICY = [0.2, 0.7, 0.1]
SCHEMA = DataSchema(
    task=Task.DECISION,
    target=Target(name="gain", classes=ACTIONS),
    features=(Feature(name="age", type=FeatureType.NUMERIC, nullable=False),),
    action_column="action",
    propensity_column="chance",
)


class Policy:
    def predict_proba(self, frame):
        return np.tile(POLICY, (len(frame), 1))


PREDICTOR = Predictor(Policy(), SCHEMA, "0123456789ab")


def test_actions_are_drawn_as_often_as_the_policy_says() -> None:
    """10,000 draws: each share within 4 standard errors, but for once in 5,000 choices of ids."""
    ids = [f"9f-{number}" for number in range(10_000)]
    decisions = draw([POLICY] * len(ids), ids, ACTIONS)
    for action, share in zip(ACTIONS, POLICY, strict=True):
        found = decisions.actions.count(action) / len(ids)
        assert found == pytest.approx(share, abs=4 * (share * (1 - share) / len(ids)) ** 0.5)
    assert all(POLICY[ACTIONS.index(a)] == p for a, p in zip(decisions.actions, decisions.propensities, strict=True))


def test_a_draw_follows_from_the_predictions_id_alone() -> None:
    ids = [f"id {number}" for number in range(50)]
    whole = draw([POLICY] * 50, ids, ACTIONS)
    assert draw([POLICY] * 25, ids[25:], ACTIONS).actions == whole.actions[25:]
    assert len(set(whole.actions)) == 3


def test_an_action_of_probability_0_is_never_drawn_and_rounding_draws_the_last() -> None:
    ids = [str(number) for number in range(1_000)]
    assert set(draw([[0.0, 1.0]] * 1_000, ids, (False, True)).actions) == {True}
    assert set(draw([[0.0, 0.0, 1e-9]] * 1_000, ids, ACTIONS).actions) == {"wait"}


def test_an_answer_explores_and_says_with_which_distribution() -> None:
    _, _, body = post(PREDICTOR, {"rows": [{"age": 30}] * 200})
    answer = json.loads(body)
    assert set(answer["predictions"]) == set(ACTIONS)
    assert answer["probabilities"] == [POLICY] * 200
    assert answer["predictions"] == draw([POLICY] * 200, answer["predictionIds"], ACTIONS).actions


def test_a_probe_gets_the_best_action() -> None:
    _, _, body = post(PREDICTOR, {"rows": [{"age": 30}] * 50}, headers=JSON | {"driftloop-probe": "1"})
    assert json.loads(body)["predictions"] == ["mail"] * 50


def test_what_was_drawn_is_recorded_with_its_propensity(tmp_path) -> None:
    answers = []

    async def scenario(app):
        answers.append(await ask(app, "POST", "/predict", json.dumps({"rows": [{"age": 30}] * 20}).encode()))

    [message] = [m for m in record(PREDICTOR, tmp_path, scenario) if m["type"] == "predictions"]
    answer, outputs = json.loads(answers[0][2]), message["outputs"]
    assert outputs["prediction"] == answer["predictions"]
    assert outputs["probability"] == [POLICY] * 20
    assert outputs["propensity"] == [POLICY[ACTIONS.index(action)] for action in answer["predictions"]]

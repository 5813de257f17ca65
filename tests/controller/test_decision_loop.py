"""A loop that decides, end to end: it explores, rewards come late, their fall retrains from its own decisions."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pytest
import requests

from driftloop.controller.ledger import read_ledger
from driftloop.loop.history import Promoted, RunStarted
from driftloop.predictionlog import PredictionLogReader
from tests.controller.test_up import DAY, START, Loop, champion, verdicts

pytestmark = pytest.mark.local

ROWS_A_DAY, ROWS_A_REQUEST = 1_000, 50
EXPLORATION = 0.4
LOOP = f"""
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {{name: offers}}
spec:
  problem: {{task: Decision}}
  data:
    uri: offers.csv
    targetColumn: earned
    actionColumn: offer
    propensityColumn: chance
    timeColumn: at
    keyColumn: visit
    minRows: 2500
  training: {{maxTrialCount: 2, exploration: {EXPLORATION}}}
  monitoring:
    engine: SciPy
    window: {{duration: 1d, minRows: 100}}
    labels: {{expectedDelay: 1d}}
"""
OFFERS = ("discount", "letter")


def visitors(rows: int, seed: int) -> list[dict]:
    random = np.random.default_rng(seed)
    spend, channel = random.normal(size=rows), random.choice(["shop", "web"], size=rows)
    return [{"visit": f"{seed}-{row}", "spend": float(spend[row]), "channel": str(channel[row])} for row in range(rows)]


def earned(visitor: dict, offer: str, ruled_by: str, noise: float) -> float:
    wants_discount = visitor["spend"] < 0 if ruled_by == "spend" else visitor["channel"] == "web"
    return round(10.0 * (wants_discount == (offer == "discount")) + 2 * noise, 3)


@dataclass
class DecisionLoop(Loop):
    file: str = "offers.yaml"

    def live_through_day(self, day: int, *, ruled_by: str = "spend") -> list[float]:
        """A day of decisions; what they earned comes a day later, by the predictions' ids."""
        start, noise = START + day * DAY, np.random.default_rng(500 + day).normal(size=ROWS_A_DAY)
        rows, rewards, labels = visitors(ROWS_A_DAY, 100 + day), [], []
        for first in range(0, ROWS_A_DAY, ROWS_A_REQUEST):
            asked = rows[first : first + ROWS_A_REQUEST]
            answer = self.ask(asked, start + first * DAY / ROWS_A_DAY).json()
            for visitor, offer, identity in zip(asked, answer["predictions"], answer["predictionIds"], strict=True):
                rewards.append(earned(visitor, offer, ruled_by, noise[len(rewards)]))
                labels.append({"predictionId": identity, "label": rewards[-1], "time": (start + DAY).isoformat()})
        posted = requests.post(f"http://127.0.0.1:{self.labels_port}/labels", json={"labels": labels}, timeout=30)
        assert posted.json() == {"accepted": ROWS_A_DAY}
        through = start + DAY
        requests.post(f"{self.url}/watermark", json={"time": through.isoformat()}, timeout=30).raise_for_status()
        self.wait_for(
            lambda status: status["settledThrough"] and datetime.fromisoformat(status["settledThrough"]) >= through,
            seconds=300,
        )
        return rewards


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("offers")
    random = np.random.default_rng(0)
    lines = ["visit,spend,channel,offer,chance,earned,at"]
    for row, visitor in enumerate(visitors(3_000, 1)):
        offer = OFFERS[random.integers(2)]
        reward = earned(visitor, offer, "spend", random.normal())
        at = START - 30 * DAY + row * timedelta(minutes=14)
        lines.append(
            f"{visitor['visit']},{visitor['spend']},{visitor['channel']},{offer},0.5,{reward},{at.isoformat()}"
        )
    (folder / "offers.csv").write_text("\n".join(lines))
    (folder / "offers.yaml").write_text(LOOP)
    loop = DecisionLoop(folder)
    loop.start()
    yield loop
    if loop.process.poll() is None:
        loop.stop()


def test_a_fall_of_the_reward_retrains_from_the_loops_own_decisions_and_promotes(loop):
    days = [loop.live_through_day(day, ruled_by=rule) for day, rule in enumerate(["spend"] + 4 * ["channel"])]
    # 10 for the right offer; the policy knows it, and gives 40 % of answers at random.
    assert np.mean(days[0]) == pytest.approx(8.0, abs=0.5)
    assert np.mean(days[1]) == pytest.approx(5.0, abs=0.5)
    found = verdicts(loop)
    assert {v["verdict"] for v in found if v["window"]["start"] < (START + DAY).isoformat()} == {"Stable"}
    fallen = [v for v in found if v["kind"] == "performance" and v["verdict"] != "Stable"]
    assert "doubly_robust fell to" in fallen[0]["summary"]
    entries = read_ledger(loop.workspace.ledger)
    assert len([entry for entry in entries if isinstance(entry, RunStarted)]) == 2
    assert champion(loop)["label"] == "v2"
    comparison = [entry for entry in entries if isinstance(entry, Promoted)][-1].model.result.comparison
    assert comparison.metric == "doubly_robust"
    assert comparison.lower > 0
    assert np.mean(days[4]) > np.mean(days[1]) + 1


def test_propensities_are_logged_as_the_policy_gave_them(loop):
    log = PredictionLogReader(loop.workspace.log)
    rows = log.joined(START, START + DAY, labelled_by=START + 9 * DAY)
    assert set(rows["output.propensity"].round(9)) == {EXPLORATION / 2, 1 - EXPLORATION / 2}
    explored = (rows["output.propensity"] < 0.5).mean()
    assert explored == pytest.approx(EXPLORATION / 2, abs=4 * (0.16 / ROWS_A_DAY) ** 0.5)
    assert rows["label"].notna().all()

"""Which candidate is taken, when two or three are blended, and what the page says of all of them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import FunctionTransformer

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.blend import BLEND, MOST_PARTS, Blend, find_mixture
from driftloop.algorithms.metrics import Answers
from driftloop.spec import Task
from driftloop.stages.modelfile import load_model, save_model
from driftloop.stages.records import CandidateRecord, LeftOut, Plan, PlannedCandidate, TrialRecord
from driftloop.stages.select import Judgement, blend_chains, select
from driftloop.stages.selectionpage import build_selection_page
from driftloop.stages.train import build_chain
from tests.pagecheck import check_page

ROWS = 600
RANDOM = np.random.default_rng(0)
TRUTH = (RANDOM.random(ROWS) < 0.4).astype(float)


def noisy(noise: float, seed: int) -> Answers:
    """Answers that err by themselves, so that a mean of several is better than each."""
    signal = TRUTH - 0.5 + noise * np.random.default_rng(seed).normal(size=ROWS)
    share = 1 / (1 + np.exp(-2 * signal))
    return Answers((share > 0.5).astype(float), np.column_stack([1 - share, share]))


def record(algorithm: str, score: float, **fields) -> CandidateRecord:
    trial = TrialRecord(algorithm=algorithm, params={"C": 1.0}, score=score)
    known = {"train_score": score, "trials": 3, "fit_seconds": 1.5, "params": {"C": 1.0}, "history": (trial,)}
    return CandidateRecord(algorithm=algorithm, score=score, **known | fields)


def choose(candidates, answers, *, may_blend=True, truths=None):
    judged = [Judgement(truth, one) for truth, one in zip(truths or [TRUTH] * len(answers), answers, strict=True)]
    return select(candidates, judged, metric="roc_auc", may_blend=may_blend, seed=0)


def test_the_best_is_taken_and_of_equals_the_one_that_the_catalogue_lists_first():
    same = noisy(0.5, 1)
    candidates = [record("ExtraTrees", 0.7), record("HistGradientBoosting", 0.8), record("Linear", 0.8)]
    chosen = choose(candidates, [same] * 3)
    assert chosen.parts == (2,)
    assert [trial.algorithm for trial in chosen.record.history] == ["Linear", "HistGradientBoosting", "ExtraTrees"]


def test_candidates_that_err_on_different_rows_are_blended_and_one_that_adds_nothing_is_not():
    answers = [noisy(0.8, 1), noisy(0.8, 2), noisy(0.8, 3), noisy(0.8, 4), noisy(50, 5)]
    names = ["Linear", "KNeighbors", "RandomForest", "ExtraTrees", "NaiveBayes"]
    mixture = find_mixture("roc_auc", TRUTH, answers, seed=0)
    candidates = [record(name, 0.8) for name in names]
    chosen = choose(candidates, answers)
    assert 2 <= len(chosen.parts) <= MOST_PARTS
    assert 4 not in chosen.parts
    assert sum(chosen.weights) == pytest.approx(1)
    assert chosen.record.algorithm == "Blend"
    assert chosen.record.score == mixture.score
    assert mixture.gain > 0.02
    assert {part["algorithm"] for part in chosen.record.params["parts"]} == {names[part] for part in chosen.parts}
    assert "better than the best alone" in chosen.record.notes[-1]
    assert choose(candidates, answers, may_blend=False).record.algorithm == "Linear"


def test_what_is_not_better_by_more_than_chance_is_not_blended():
    assert find_mixture("roc_auc", TRUTH, [noisy(0.5, 1), noisy(40, 2)], seed=0) is None
    assert find_mixture("roc_auc", TRUTH, [noisy(0.5, 1)] * 3, seed=0) is None


def test_candidates_judged_on_other_rows_are_not_blended():
    answers = [noisy(0.8, 1), noisy(0.8, 2)]
    chosen = choose([record("Linear", 0.8), record("ExtraTrees", 0.7)], answers, truths=[TRUTH, 1 - TRUTH])
    assert chosen.parts == (0,)


def test_a_judgement_survives_its_file(tmp_path):
    for answers in (noisy(1, 1), Answers(TRUTH + 0.5)):
        Judgement(TRUTH, answers).save(tmp_path / "a")
        again = Judgement.load(tmp_path / "a")
        assert (again.truth == TRUTH).all()
        assert (again.answers.predictions == answers.predictions).all()
        assert (again.answers.probabilities is None) == (answers.probabilities is None)


@pytest.mark.parametrize("task", [Task.CLASSIFICATION, Task.REGRESSION])
def test_a_blended_chain_answers_with_the_mean_and_survives_its_file(task, tmp_path):
    x = np.random.default_rng(0).normal(size=(80, 3))
    is_classes = task is Task.CLASSIFICATION
    y = np.where(x[:, 0] > 0, "yes", "no") if is_classes else x[:, 0] * 3
    estimators = [LogisticRegression(), GaussianNB()] if is_classes else [Ridge(), Ridge(alpha=50)]
    links = FunctionTransformer().fit(x), FunctionTransformer().fit(x)
    chain = blend_chains([build_chain(*links, estimator.fit(x, y)) for estimator in estimators], (0.25, 0.75))
    save_model(chain, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    ask = "predict_proba" if is_classes else "predict"
    one, other = (getattr(estimator, ask)(x) for estimator in estimators)
    assert np.allclose(getattr(loaded, ask)(x), 0.25 * one + 0.75 * other)
    assert set(loaded.predict(x[:20])) <= set(y) or not is_classes
    save_model(loaded, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


def test_a_blend_can_be_fitted_again_from_its_record():
    parts = [
        {"algorithm": "Linear", "params": {"C": 1.0}, "weight": 0.5},
        {"algorithm": "KNeighbors", "params": {"n_neighbors": 5, "weights": "uniform", "p": 2}, "weight": 0.5},
    ]
    assert get_algorithm("Blend") is BLEND
    x = np.random.default_rng(0).normal(size=(200, 3))
    y = x[:, 0] > 0
    blend = BLEND.build(Task.CLASSIFICATION, {"parts": parts}, 0)
    assert isinstance(blend, Blend)
    blend.fit(x, y, sample_weight=np.ones(200))  # one of the parts takes none
    assert (blend.predict(x) == y).mean() > 0.9


def test_the_page_tells_all_candidates_and_what_was_left_out_and_why():
    answers = [noisy(0.8, 1), noisy(0.8, 2)]
    candidates = [record("Linear", 0.8, pruned=1, rows=400), record("ExtraTrees", 0.75, rows=300)]
    planned = [PlannedCandidate(algorithm=c.algorithm, reason="it is small", trials=3, seconds=9) for c in candidates]
    plan = Plan(
        effort="Tune",
        reason="Hyperparameters are tuned.",
        leaning="over-fitting",
        candidates=tuple(planned),
        left_out=(LeftOut(algorithm="KernelSVM", reason="there are more than 4,000 rows"),),
    )
    page = check_page(build_selection_page(plan, candidates, choose(candidates, answers), "roc_auc"))
    text = " ".join(page.texts)
    for told in ("Linear", "it is small", "3 (1 given up)", "KernelSVM", "more than 4,000 rows", "a simpler model"):
        assert told in text

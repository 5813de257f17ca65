"""One candidate: trials that grow, are given up or cut by the budget; weights, folds, warm start, shared studies."""

import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.algorithm import Algorithm, Growth, Range
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task, TrainingSpec
from driftloop.spec.training import STUDY_PASSWORD, StudySpec
from driftloop.stages.matrices import Matrices
from driftloop.stages.records import PlannedCandidate, SamplingRecord, TrialRecord
from driftloop.stages.resample import Sampling
from driftloop.stages.train import (
    Budget,
    Start,
    Study,
    StudyUnreachableError,
    TooFewRowsError,
    fit_candidate,
    shared_study,
)
from driftloop.stages.trial import Stopwatch, lay_out, run_trial
from tests.postgresserver import PASSWORD, USER, postgres_server

NO_SAMPLING = SamplingRecord(method="None", reason="nothing is rare")
HOUR = timedelta(hours=1)


def make_schema(task: Task, time_column: str = "") -> DataSchema:
    classes = ("no", "yes") if task is Task.CLASSIFICATION else ()
    return DataSchema(
        task=task,
        target=Target(name="y", classes=classes),
        features=(Feature(name="a", type=FeatureType.NUMERIC, nullable=False),),
        time_column=time_column or None,
    )


def make_matrices(
    task: Task = Task.CLASSIFICATION, rows: int = 400, validation: int = 100, columns: int = 4
) -> Matrices:
    random = np.random.default_rng(0)
    x = random.normal(size=(rows + validation, columns))
    signal = x[:, 0] + x[:, 1] * x[:, 2] + random.normal(size=len(x)) / 2
    y = np.where(signal > 0, "yes", "no") if task is Task.CLASSIFICATION else signal
    return Matrices(x[:rows], y[:rows], x[rows:], y[rows:])


def fit(algorithm: Algorithm | str, matrices: Matrices, *, trials: int = 3, task=Task.CLASSIFICATION, **options):
    chosen = get_algorithm(algorithm) if isinstance(algorithm, str) else algorithm
    options = {"sampling": Sampling(), "duration": HOUR, "metric": "roc_auc", "seed": 0} | options
    sampling, duration = options.pop("sampling"), options.pop("duration")
    schema = options.pop("schema", make_schema(task))
    return fit_candidate(
        matrices, sampling, NO_SAMPLING, schema, algorithm=chosen, budget=Budget(trials, duration), **options
    )


def bench_of(algorithm: Algorithm, matrices: Matrices, *, time_column: str = "", sampling: Sampling | None = None):
    return lay_out(
        matrices,
        sampling or Sampling(),
        make_schema(Task.CLASSIFICATION, time_column),
        algorithm=algorithm,
        metric="roc_auc",
        seconds=3600,
        seed=0,
    )


@pytest.mark.parametrize("name", ["HistGradientBoosting", "RandomForest", "ExtraTrees", "MLP"])
@pytest.mark.filterwarnings("ignore:.*hasn't converged")
def test_growing_piece_by_piece_ends_as_a_fit_in_one_go(name):
    algorithm, matrices = get_algorithm(name), make_matrices()
    params = algorithm.within(algorithm.defaults)
    with threadpool_limits(1):
        grown = run_trial(bench_of(algorithm, matrices), algorithm, params, seed=0, watch=Stopwatch(3600))
        again = run_trial(bench_of(algorithm, matrices), algorithm, grown.params, seed=0, watch=Stopwatch(3600))
    size = grown.params[algorithm.growth.parameter]
    assert size in algorithm.growth.sizes(params)
    inner = getattr(grown.estimator, "regressor", grown.estimator)
    assert inner.get_params()[algorithm.growth.parameter] == size
    assert not inner.get_params()["warm_start"]
    if name != "MLP":  # a network's optimiser starts anew with each piece
        asked = [model.predict_proba(matrices.validation_x) for model in (grown.estimator, again.estimator)]
        assert np.allclose(*asked)
    assert again.params == grown.params


class Clock:
    """Time that passes as estimators are fitted, by the pieces that they count."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow:
    """A classifier whose every piece takes a second, and that gets better with each."""

    def __init__(self, clock: Clock, quality: float = 1.0) -> None:
        self.clock, self.quality, self.pieces, self.made = clock, quality, 1, 0

    def set_params(self, **params) -> None:
        self.pieces = params.get("pieces", self.pieces)

    def fit(self, x, y):
        self.clock.now += self.pieces - self.made
        self.made = self.pieces
        return self

    def predict_proba(self, x):
        share = 1 / (1 + np.exp(-self.quality * self.made * x[:, 0]))
        noise = np.random.default_rng(0).normal(size=len(x)) * 2
        share = 1 / (1 + np.exp(-(self.quality * self.made * x[:, 0] + noise)))
        return np.column_stack([1 - share, share])


def slow_algorithm(clock: Clock, sizes=(1, 2, 4, 8)) -> Algorithm:
    return Algorithm(
        name="Linear",
        tasks=frozenset({Task.CLASSIFICATION}),
        reason="",
        defaults={"quality": 1.0},
        space={"quality": Range(0.01, 1.0)},
        build=lambda _task, params, _seed: Slow(clock, params["quality"]),
        seconds=lambda _: 0.0,
        growth=Growth("pieces", lambda _: sizes, can_harm=False),
    )


@pytest.mark.parametrize(("seconds", "expected"), [(100, 8), (8, 8), (7.9, 4), (3, 2), (0.5, 1)])
def test_a_piece_that_would_end_after_the_budget_is_not_begun(seconds, expected):
    clock = Clock()
    algorithm = slow_algorithm(clock)
    bench = bench_of(algorithm, make_matrices(validation=900))
    outcome = run_trial(bench, algorithm, {"quality": 1.0}, seed=0, watch=Stopwatch(seconds, clock))
    assert outcome.params["pieces"] == expected


def test_a_trial_behind_the_median_half_way_is_given_up(monkeypatch):
    monkeypatch.setattr("driftloop.stages.trial.copy.deepcopy", lambda estimator: estimator)
    algorithm = slow_algorithm(Clock())
    record = fit(algorithm, make_matrices(validation=900), trials=25).record
    assert record.trials == 25
    assert 0 < record.pruned < 20
    assert record.params["quality"] == 1.0


@pytest.mark.parametrize("name", ["HistGradientBoosting", "Linear"])
def test_the_budget_in_seconds_is_held(name):
    matrices = make_matrices(rows=3000, validation=900, columns=8)
    started = time.thread_time()
    record = fit(name, matrices, trials=10_000, duration=timedelta(seconds=1.5)).record
    assert record.trials < 10_000
    # By the processor's clock, too: another program's load is no fault of the budget.
    assert min(record.fit_seconds, time.thread_time() - started) < 1.5 * 1.1 + 0.2


def test_more_rows_than_the_time_allows_are_sampled_down_with_every_class():
    algorithm = replace(get_algorithm("Linear"), seconds=lambda shape: shape.rows / 100)
    matrices = make_matrices(rows=2000, validation=900)
    y = matrices.train_y.copy()
    y[:] = "no"
    y[:4] = "yes"
    record = fit(algorithm, replace(matrices, train_y=y), duration=timedelta(seconds=10), trials=1).record
    assert 300 < record.rows <= 505
    kernels = get_algorithm("KernelSVM")
    bench = bench_of(replace(kernels, most_rows=150), matrices)
    assert bench.rows == pytest.approx(150, abs=2)


def test_few_validation_rows_are_helped_by_folds_of_the_training_rows():
    algorithm, matrices = get_algorithm("Linear"), make_matrices(rows=400, validation=100)
    folded = bench_of(algorithm, matrices)
    assert len(folded.folds) == 5
    assert len(folded.truth) == 500
    assert "fold by fold" in folded.judged_by
    assert len(bench_of(algorithm, make_matrices(validation=900)).folds) == 1
    assert len(bench_of(algorithm, matrices, time_column="at").folds) == 1
    drawn = Sampling(rows=np.arange(400).repeat(2))
    assert len(bench_of(algorithm, matrices, sampling=drawn).folds) == 1


def test_an_algorithm_without_weights_gets_rows_drawn_by_them():
    matrices = make_matrices(rows=600, validation=900)
    positive = matrices.train_y == "yes"
    weighted = Sampling(weights=np.where(positive, 9.0, 1.0))
    algorithm = get_algorithm("KNeighbors")
    (fold,) = bench_of(algorithm, matrices, sampling=weighted).folds
    assert fold.weights is None
    assert (fold.y == "yes").mean() > 0.85
    candidate = fit(algorithm, matrices, sampling=weighted, trials=1)
    # Corrected back to the true shares.
    assert candidate.estimator.predict_proba(matrices.train_x)[:, 1].mean() == pytest.approx(positive.mean(), abs=0.15)


def test_too_few_rows_are_told_with_the_remedy():
    with pytest.raises(
        TooFewRowsError, match=r"KNeighbors needs at least 120 training rows. Got 100.*training.algorithms"
    ):
        fit("KNeighbors", make_matrices(rows=100))
    matrices = make_matrices()
    y = np.full(len(matrices.train_y), "no")
    y[:2] = "yes"
    with pytest.raises(TooFewRowsError, match=r"KernelSVM needs at least 3 training rows of each class. Got 2"):
        fit("KernelSVM", replace(matrices, train_y=y))


def test_a_refit_is_one_fit_with_the_given_hyperparameters():
    params = {"learning_rate": 0.2, "max_leaf_nodes": 7, "max_iter": 13, "min_samples_leaf": 20}
    start = Start(first=[params], is_refit=True)
    record = fit("HistGradientBoosting", make_matrices(), start=start).record
    assert record.params == params
    assert record.trials == 1


@pytest.mark.parametrize(
    ("name", "task", "metric", "rows", "columns"),
    [
        ("Linear", Task.CLASSIFICATION, "neg_log_loss", 80, 60),
        ("ElasticNet", Task.REGRESSION, "r2", 80, 60),
        ("KernelSVM", Task.REGRESSION, "r2", 300, 8),
    ],
)
def test_with_warm_start_the_previous_best_is_reached_at_least_three_times_sooner(name, task, metric, rows, columns):
    def trials_to(record, goal: float) -> int:
        return 1 + next(i for i, trial in enumerate(record) if trial.score >= goal - 1e-9)

    matrices = make_matrices(task, rows=rows, validation=900, columns=columns)
    cold = fit(name, matrices, task=task, metric=metric, trials=15)
    start = Start(first=[get_algorithm(name).within(cold.record.params)], known=cold.record.history)
    warm = fit(name, matrices, task=task, metric=metric, trials=5, start=start)
    assert trials_to(cold.made, cold.record.score) >= 3 * trials_to(warm.made, cold.record.score)
    assert warm.record.score >= cold.record.score


def test_known_trials_are_learned_from_and_not_counted():
    known = [TrialRecord(algorithm="Linear", params={"C": c}, score=0.5 + c / 100) for c in (0.1, 1.0, 10.0)]
    record = fit("Linear", make_matrices(), trials=3, start=Start(known=known)).record
    assert record.trials == 3


SHARE = """
import sys
from tests.stages.test_training import Study, fit, make_matrices
study = Study(sys.argv[1], "shared")
record = fit("Linear", make_matrices(rows=300), trials=10, study=study).record
print(record.trials, record.score, sorted(record.params.items()))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def study_uri(request, tmp_path, monkeypatch):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/study.db"
        return
    monkeypatch.setenv(STUDY_PASSWORD, PASSWORD)
    with postgres_server() as server:
        yield server.uri.replace("://", f"://{USER}@")


@pytest.mark.slow
def test_processes_that_share_a_study_share_its_trials_and_end_with_the_same_model(study_uri):
    uri = study_uri
    study_is_made = fit("Linear", make_matrices(rows=300), trials=1, study=Study(uri, "shared"))
    children = [
        subprocess.Popen([sys.executable, "-c", SHARE, uri], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    told = [child.communicate()[0].split(maxsplit=1) for child in children]
    assert all(child.returncode == 0 for child in children)
    trials = [int(made) for made, _ in told]
    # Two may begin the last one at once; each fits once more what the other found best.
    assert 10 <= study_is_made.record.trials + sum(trials) <= 13
    # Whoever ends last knows all; a process fits what another found best.
    late = fit("Linear", make_matrices(rows=300), trials=10, study=Study(uri, "shared"))
    best = max(float(rest.split()[0]) for _, rest in told)
    assert late.record.score == pytest.approx(best)


def test_a_study_that_does_not_answer_is_told_without_its_password():
    study = Study("postgresql+psycopg://optuna:secret@127.0.0.1:9/none", "x")
    with pytest.raises(StudyUnreachableError, match=r"Got 'postgresql\+psycopg://127.0.0.1:9/none': .*refused") as told:
        fit("Linear", make_matrices(), study=study)
    assert "secret" not in str(told.value)


def test_a_study_is_of_one_loop_algorithm_metric_and_content(tmp_path):
    planned = PlannedCandidate(algorithm="Linear", reason="", trials=1, seconds=1)
    make_matrices().save(tmp_path / "a")
    make_matrices(rows=401).save(tmp_path / "b")
    spec = TrainingSpec(study=StudySpec(uri="sqlite:///x"))
    one, other = (shared_study(spec, "loop", planned, "r2", tmp_path / name) for name in "ab")
    assert one.name.startswith("driftloop/loop/Linear/r2/")
    assert one.name != other.name
    assert shared_study(TrainingSpec(), "loop", planned, "r2", tmp_path / "a") is None

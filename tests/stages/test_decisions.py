"""A decision through the stages: read, checked, learned, judged, compared, described."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.tasks import set_up
from driftloop.spec import DataSchema, DataSpec, GovernanceSpec, PreparationSpec, ProblemSpec, Task, TrainingSpec
from driftloop.stages.assess import assess
from driftloop.stages.card import build_card
from driftloop.stages.clean import clean_training_rows
from driftloop.stages.decisions import ActionError, PropensityError
from driftloop.stages.evaluate import Champion, describe, evaluate
from driftloop.stages.evaluationpage import build_evaluation_page
from driftloop.stages.explain import explain
from driftloop.stages.feasibility import study
from driftloop.stages.matrices import Matrices
from driftloop.stages.modelfile import load_model, save_model
from driftloop.stages.policies import caution
from driftloop.stages.predict import build_sample
from driftloop.stages.profile import profile
from driftloop.stages.records import Assessment, Evaluation, SamplingRecord
from driftloop.stages.resample import resample
from driftloop.stages.split import split
from driftloop.stages.table import outcome, read_features, read_target
from driftloop.stages.targetcolumn import TargetError
from driftloop.stages.train import Budget, build_chain, fit_candidate
from driftloop.stages.transform import fit_transformer
from driftloop.stages.validate import validate
from tests.algorithms.simulatedlog import simulate
from tests.pagecheck import check_page

ROWS = 1_500
START = datetime(2024, 1, 1, tzinfo=UTC)
ACTIONS = np.array(["call", "mail", "wait"])
DATA = DataSpec(
    uri="x", target_column="gain", action_column="action", propensity_column="chance", time_column="at", key_column="id"
)


def make_table(rows: int = ROWS, seed: int = 0, **columns: object) -> pa.Table:
    log = simulate(rows, seed)
    number = log.x[:, 0].copy()
    number[::9] = np.nan
    return pa.table(
        {
            "number": number,
            **{f"x{index}": log.x[:, index] for index in range(1, 5)},
            "kind": [f"kind {index % 40}" for index in range(rows)],
            "action": ACTIONS[log.truth[:, 0].astype(int)],
            "gain": log.truth[:, 1],
            "chance": log.truth[:, 2],
            "at": [START + timedelta(minutes=row) for row in range(rows)],
            "id": [str(row) for row in range(rows)],
        }
        | columns
    )


class Prepared:
    def __init__(self, table: pa.Table, champion: DataSchema | None = None, data: DataSpec = DATA) -> None:
        self.validated = validate(table, task=Task.DECISION, data=data, champion=champion)
        self.schema = self.validated.schema
        self.parts = split(self.validated.table, self.schema, seed=0)
        train, validation = (read_features(part, self.schema) for part in (self.parts.train, self.parts.validation))
        cleaned = clean_training_rows(train, None, self.schema, PreparationSpec(), seed=0)
        self.cleaner = cleaned.cleaner
        y = read_target(self.parts.train, self.schema)
        made = fit_transformer(cleaned.frame, outcome(y, self.schema), self.schema, PreparationSpec(), seed=0)
        self.transformer, x = made.transformer, made.matrix
        validation_x = self.transformer.transform(self.cleaner.transform(validation))
        self.matrices = Matrices(x, y, validation_x, read_target(self.parts.validation, self.schema))

    def fit(self, metric: str = "doubly_robust", trials: int = 2, exploration: float = 0.1):
        training = TrainingSpec(exploration=exploration)
        sampling, record = resample(self.matrices.train_y, Task.DECISION, "Auto", seed=0)
        self.candidate = fit_candidate(
            self.matrices,
            sampling,
            record,
            self.schema,
            algorithm=set_up(get_algorithm("ContextualBandit"), training, metric, self.schema),
            metric=metric,
            budget=Budget(trials=trials, duration=timedelta(minutes=1)),
            seed=0,
        )
        return build_chain(self.cleaner, self.transformer, self.candidate.estimator)

    def judge(self, chain, champion: Champion | None = None):
        return evaluate(
            chain,
            self.parts.test,
            self.schema,
            record=self.candidate.record,
            metric="doubly_robust",
            trained_through=self.parts.trained_through.isoformat() if self.parts.trained_through else "",
            champion=champion,
            seed=0,
        )


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared(make_table())


@pytest.fixture(scope="module")
def chain(prepared: Prepared):
    return prepared.fit()


def test_action_reward_and_propensity_are_no_inputs(prepared: Prepared) -> None:
    assert prepared.schema.feature_names == ["number", "x1", "x2", "x3", "x4", "kind"]
    assert prepared.schema.target.classes == ("call", "mail", "wait")
    assert prepared.schema.target.name == "gain"
    assert prepared.matrices.train_y.shape[1] == 3


def test_a_policy_learned_from_the_log_earns_more_than_the_log(prepared: Prepared, chain) -> None:
    judged = prepared.judge(chain)
    served, logged, *_ = judged.evaluation.policies
    assert (served.name, logged.name) == ("as it serves", "as logged")
    assert served.lower > logged.upper
    assert judged.evaluation.score == pytest.approx(served.value)
    assert judged.evaluation.metrics.keys() == judged.evaluation.intervals.keys() == {"doubly_robust", "snips", "ips"}
    assert not caution(judged.evaluation)


@pytest.mark.parametrize("metric", ["ips", "snips"])
def test_every_metric_of_the_task_tunes(prepared: Prepared, metric: str) -> None:
    assert np.isfinite(prepared.fit(metric, trials=1).steps[-1][1].policy_).all()


def test_the_exploration_of_the_loop_is_the_policys(prepared: Prepared) -> None:
    policy = prepared.fit(trials=1, exploration=0.6)
    answers = policy.predict_proba(read_features(prepared.parts.test, prepared.schema))
    assert answers.min() == pytest.approx(0.2)


def test_the_chain_answers_the_same_after_it_was_stored_and_equal_runs_give_equal_bytes(
    prepared: Prepared, chain, tmp_path: Path
) -> None:
    save_model(chain, tmp_path / "a")
    save_model(Prepared(make_table()).fit(), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    sample = build_sample(chain, prepared.parts.test.to_pandas(), prepared.schema)
    assert build_sample(load_model(tmp_path / "a"), prepared.parts.test.to_pandas(), prepared.schema) == sample
    assert set(sample["predictions"]) <= {"call", "mail", "wait"}


def test_the_page_shows_what_policies_earn_and_which_actions_they_take(prepared: Prepared, chain) -> None:
    page = build_evaluation_page(prepared.judge(chain), prepared.schema, "loop")
    check_page(page)
    for text in ("Reward a decision", "as logged", "always", "Share of each action", "empirical Bernstein"):
        assert text in page


def test_what_the_policy_looks_at_is_explained(prepared: Prepared, chain) -> None:
    found = explain(chain, prepared.parts.test, prepared.schema, metric="doubly_robust", seed=0)
    importance = {column.column: column.importance for column in found.columns}
    assert importance["kind"] < max(importance.values())


def test_the_baseline_knows_the_actions_as_served_and_what_they_earn(prepared: Prepared, chain) -> None:
    judged = prepared.judge(chain)
    baseline = describe(
        judged, prepared.validated.table, prepared.parts.test, prepared.schema, window=timedelta(hours=2)
    )
    shares = judged.answers.probabilities.mean(axis=0)
    counts = next(column for column in baseline.outputs if column.name == "prediction").counts
    for action, share in zip(prepared.schema.target.classes, shares, strict=True):
        assert counts[action] / len(judged.truth) == pytest.approx(share, abs=0.08)
    assert baseline.metric_value == judged.evaluation.score
    assert baseline.label is baseline.answers is baseline.estimation is None
    assert baseline.errors.rows == 0


def test_a_challenger_is_compared_by_the_doubly_robust_difference_on_rows_new_to_the_champion(
    prepared: Prepared, chain
) -> None:
    poor = Prepared(make_table(300, seed=4)).fit(trials=1, exploration=1.0)
    champion = Champion(poor, prepared.schema, START)
    comparison = prepared.judge(chain, champion).against_champion.comparison
    assert comparison is not None
    assert comparison.lower > 0
    assert comparison.difference == pytest.approx(comparison.challenger - comparison.champion)


def test_a_champion_with_fewer_actions_can_be_compared_with(prepared: Prepared, chain) -> None:
    few = make_table(600, seed=5)
    few = few.filter(pa.array(np.array(few.column("action").to_pylist()) != "wait"))
    other = Prepared(few)
    champion = Champion(other.fit(trials=1), other.schema, START)
    assert prepared.judge(chain, champion).against_champion.comparison is not None


def test_too_few_effective_rows_are_told(prepared: Prepared, chain) -> None:
    rare = Prepared(make_table(chance=np.where(np.arange(ROWS) % 97 == 0, 1e-5, 0.9)))
    judged = rare.judge(rare.fit(trials=1), Champion(chain, rare.schema, START))
    assert "are worth only" in caution(judged.evaluation)
    assert "are worth only" in judged.against_champion.failure


def test_actions_of_the_champion_stay_though_none_of_these_rows_has_them(prepared: Prepared) -> None:
    table = make_table(600, seed=5)
    table = table.filter(pa.array(np.array(table.column("action").to_pylist()) != "wait"))
    assert Prepared(table, prepared.schema).fit(trials=1)[-1].actions == 3


def test_numbers_and_truth_values_can_be_actions() -> None:
    codes = np.searchsorted(ACTIONS, make_table().column("action").to_pylist())
    assert Prepared(make_table(action=codes.astype(float))).schema.target.classes == (0, 1, 2)
    assert Prepared(make_table(action=codes > 0)).schema.target.classes == (False, True)


def test_rows_without_times_are_split_at_random() -> None:
    data = DATA.model_copy(update={"time_column": None})
    one = Prepared(make_table().drop_columns(["at"]), data=data)
    assert one.judge(one.fit(trials=1)).evaluation.test_rows == pytest.approx(ROWS * 0.15, abs=2)


@pytest.mark.parametrize("wrong", [0.0, 1.2, -0.1, None, float("nan")])
def test_a_propensity_that_is_no_probability_is_refused_with_its_count(wrong: float | None) -> None:
    chances = [0.5] * ROWS
    chances[7] = chances[9] = wrong
    with pytest.raises(PropensityError, match=r"above 0, up to 1.* 2 of 1,500 rows have none") as caught:
        Prepared(make_table(chance=chances))
    assert "'data.propensityColumn' 'chance'" in str(caught.value)


def test_propensities_that_dont_add_up_are_doubted() -> None:
    notes = Prepared(make_table(chance=np.full(ROWS, 0.9))).validated.report.notes
    assert any("the propensities of the action" in note for note in notes)
    assert not any("propensities" in note for note in Prepared(make_table()).validated.report.notes)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (["call"] * ROWS, "at least two actions"),
        ([None] + ["call", "mail"] * (ROWS // 2 - 1) + ["call"], "in every row"),
        (["call"] * (ROWS - 3) + ["mail"] * 3, "at least 10 rows of each action"),
        (np.linspace(0, 1, ROWS), "numbers with fractions"),
        ([str(row % 500) for row in range(ROWS)], "at most 100 actions"),
    ],
)
def test_actions_that_are_no_choice_are_refused(actions: object, message: str) -> None:
    with pytest.raises(ActionError, match=message):
        Prepared(make_table(action=actions))


def test_rewards_must_be_numbers_that_vary() -> None:
    with pytest.raises(TargetError, match="Decision must hold numbers"):
        Prepared(make_table(gain=["good"] * ROWS))
    with pytest.raises(TargetError, match="must vary"):
        Prepared(make_table(gain=np.ones(ROWS)))
    assert Prepared(make_table(gain=np.arange(ROWS) % 2 == 0)).matrices.train_y[:, 1].max() == 1


def test_the_sampling_record_says_why_nothing_is_balanced() -> None:
    _, record = resample(np.zeros((10, 3)), Task.DECISION, "Auto", seed=0)
    assert record == SamplingRecord(method="None", reason="logged actions are weighted by their propensities")


def test_a_retraining_learns_from_the_actions_propensities_and_rewards_of_the_log(tmp_path: Path) -> None:
    from driftloop.predictionlog import PredictionLogReader, PredictionLogWriter
    from driftloop.spec import TrainingRows
    from driftloop.stages.loggedrows import logged_table
    from tests.predictionlog.samples import at, batch, label

    outputs = {"prediction": ["call", "mail"], "probability": [[0.9, 0.1]] * 2, "propensity": [0.9, 0.1]}
    with PredictionLogWriter(tmp_path, writer_id="monitor", sync=False) as writer:
        writer.append_predictions([batch(0, hours=1, outputs=outputs), batch(2, hours=2, outputs=outputs)])
        writer.append_labels([label(2.5, hours=5, key="k1"), label(-1, hours=5, prediction_id="p2")])
        writer.commit(at(6))
    rows = TrainingRows(log_uri=str(tmp_path), view=PredictionLogReader(tmp_path).view(), through=at(6))
    table = logged_table(rows, tmp_path, DATA)
    found = table.select(["id", "action", "chance", "gain"]).to_pylist()
    assert found == [
        {"id": "k1", "action": "mail", "chance": 0.1, "gain": 2.5},
        {"id": "k2", "action": "call", "chance": 0.9, "gain": -1.0},
    ]


def test_the_card_tells_what_policies_earn_and_when_that_is_hardly_known(prepared: Prepared, chain) -> None:
    def card(evaluation: Evaluation) -> str:
        return build_card(
            "loop",
            prepared.schema,
            evaluation,
            explain(chain, prepared.parts.test, prepared.schema, metric="ips", seed=0),
            Assessment(metric="ips"),
            problem=ProblemSpec(task=Task.DECISION),
            data=DATA,
            governance=GovernanceSpec(),
        )

    evaluation = prepared.judge(chain).evaluation
    assert "Takes one of 3 actions for the sake of `gain`" in card(evaluation)
    assert "| as logged |" in card(evaluation)
    served = evaluation.policies[0].model_copy(update={"effective_rows": 4.0})
    doubtful = evaluation.model_copy(update={"policies": (served, *evaluation.policies[1:])})
    assert "are worth only 4 decisions of this policy" in card(doubtful)
    assert "are worth only" not in card(evaluation)


def test_a_proof_of_concept_compares_with_the_best_constant_action_and_a_small_tree(prepared: Prepared, chain) -> None:
    evaluation = prepared.judge(chain).evaluation
    found = study(
        chain,
        prepared.matrices,
        prepared.parts.train,
        prepared.parts.test,
        prepared.schema,
        evaluation=evaluation,
        explanation=explain(chain, prepared.parts.test, prepared.schema, metric="doubly_robust", seed=0),
        training=TrainingSpec(),
    )
    assert found.over_dummy.lower > 0
    assert found.dummy_score < found.tree_score < evaluation.score
    assert found.curve.scores[-1] > found.curve.scores[0]
    assert found.rarest is None


def test_the_page_of_the_data_tells_the_roles_of_action_and_propensity(prepared: Prepared) -> None:
    found = profile(make_table(), prepared.validated, DATA)
    roles = {column.name: column.role for column in found.columns}
    assert (roles["action"], roles["chance"], roles["gain"]) == ("action", "propensity", "target")


def test_a_gap_a_new_category_and_a_single_row_are_answered(prepared: Prepared, chain) -> None:
    frame = read_features(prepared.parts.test.slice(0, 1), prepared.schema)
    frame = frame.assign(number=np.nan, kind="never seen")
    answers = chain.predict_proba(frame)
    assert answers.shape == (1, 3)
    assert answers.sum() == pytest.approx(1)


def test_the_policy_depends_on_the_training_rows_alone(prepared: Prepared, tmp_path: Path) -> None:
    newest = np.arange(ROWS) >= 0.7 * ROWS
    table = make_table()
    other = make_table(
        gain=np.where(newest, 99.0, table["gain"].to_numpy()),
        x1=np.where(newest, -5.0, table["x1"].to_numpy()),
        action=np.where(newest, "wait", table["action"].to_numpy()),
    )
    save_model(prepared.fit(trials=1), tmp_path / "a")
    save_model(Prepared(other).fit(trials=1), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("actions", [3, 2])
def test_groups_of_people_are_assessed_by_what_the_policy_earns_of_them(actions: int) -> None:
    table = make_table(sex=["wm"[row % 2] for row in range(ROWS)])
    if actions == 2:
        table = table.filter(pa.array(np.array(table["action"].to_pylist()) != "wait"))
    data = DATA.model_copy(update={"sensitive_columns": ("sex",)})
    one = Prepared(table, data=data)
    chain = one.fit(trials=1)
    assert "sex" not in one.schema.feature_names
    [column] = assess(
        lambda: chain, one.parts.test, one.schema, sensitive_columns=["sex"], metric="doubly_robust"
    ).columns
    assert {group.group for group in column.groups} == {"w", "m"}
    assert all(group.score is not None and group.base_rate is None for group in column.groups)
    assert not column.differences

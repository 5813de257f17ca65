"""The rule of decision: classes by what outcomes are worth, or by voters fitted under a fairness constraint."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from driftloop.algorithms.tasks import answer, decide
from driftloop.spec import (
    AcceptanceSpec,
    DataSchema,
    Feature,
    FeatureType,
    OutcomeValue,
    PreparationSpec,
    ProblemSpec,
    Target,
    Task,
)
from driftloop.stages.adjust import adjust, check_decision, is_needed
from driftloop.stages.clean import Cleaner
from driftloop.stages.decisionlinks import undecided
from driftloop.stages.matrices import Matrices
from driftloop.stages.mitigate import TooManyClassesError, mitigate
from driftloop.stages.modelfile import load_model, save_model
from driftloop.stages.outcomes import RepeatedOutcomeError, UnknownOutcomeError, value_matrix
from driftloop.stages.predict import predict
from driftloop.stages.records import CandidateRecord
from driftloop.stages.table import read_features

ROWS = 1500
SCHEMA = DataSchema(
    task=Task.CLASSIFICATION,
    target=Target(name="paid", classes=(False, True)),
    features=tuple(Feature(name=name, type=FeatureType.NUMERIC, nullable=True) for name in ("income", "debt")),
)
FAIR = {"fairness": {"mitigation": "ExponentiatedGradient", "metric": "demographic_parity_difference", "max": 0.05}}


def outcome(actual, predicted, value):
    return OutcomeValue(actual=actual, predicted=predicted, value=value)


def problem(*outcomes):
    return ProblemSpec(task=Task.CLASSIFICATION, outcome_values=outcomes)


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    group = random.random(ROWS) < 0.4
    income, debt = random.normal(size=ROWS) - group, random.normal(size=ROWS)
    income[::50] = np.nan
    paid = np.nan_to_num(income) - debt + random.normal(size=ROWS) > -0.5
    return pa.table({"income": income, "debt": debt, "group": np.where(group, "b", "a"), "paid": paid})


@pytest.fixture(scope="module")
def chain(table):
    cleaner, transform = Cleaner({"income": 0.0, "debt": 0.0}, []), StandardScaler()
    x = transform.fit_transform(cleaner.transform(read_features(table, SCHEMA)))
    estimator = LogisticRegression().fit(x, table.column("paid").to_numpy())
    return Pipeline([("clean", cleaner), ("transform", transform), ("estimator", estimator)])


def prepared(chain, table, rows=slice(None)):
    x = np.asarray(chain[:-1].transform(read_features(table, SCHEMA)))
    y = table.column("paid").to_numpy()
    return Matrices(x[rows], y[rows], x, y, train_rows=np.arange(ROWS)[rows])


def adjusted(chain, table, goal=None, acceptance=None, *, algorithm="Linear", sensitive=("group",)):
    return adjust(
        chain,
        CandidateRecord(algorithm=algorithm, trials=1, fit_seconds=0, params={"C": 1.0}),
        table,
        lambda: prepared(chain, table),
        SCHEMA,
        problem=goal or problem(),
        acceptance=AcceptanceSpec.model_validate(acceptance or {}),
        preparation=PreparationSpec(),
        sensitive_columns=sensitive,
        seed=0,
    )


def test_without_a_wish_nothing_is_needed():
    assert not is_needed(problem(), AcceptanceSpec())
    assert is_needed(problem(outcome("true", "true", 1)), AcceptanceSpec())
    assert is_needed(problem(), AcceptanceSpec.model_validate(FAIR))


def test_the_class_of_the_greatest_expected_value_is_answered(chain, table, tmp_path):
    lender = problem(outcome("true", "true", 1.0), outcome("false", "true", -4.0))
    model, record = adjusted(chain, table, lender)
    save_model(model, tmp_path / "model")
    model = load_model(tmp_path / "model")
    frame = read_features(table, SCHEMA)
    codes, probabilities = decide(model, frame)
    assert np.array_equal(codes == 1, probabilities[:, 1] > 0.8), "1 p - 4 (1 - p) > 0"
    assert np.allclose(probabilities, chain.predict_proba(frame)), "what is said with 30 % still means 30 %"
    assert np.array_equal(model.predict(frame), codes == 1)
    assert np.array_equal(answer(model, frame, Task.CLASSIFICATION).predictions, codes)
    assert predict(model, frame, SCHEMA).predictions == (codes == 1).tolist()
    assert predict(model, frame.head(1), SCHEMA).predictions == [bool(codes[0])]
    assert "greatest expected value" in record.decision


def test_a_second_rule_takes_the_place_of_the_first(chain, table):
    once, _ = adjusted(chain, table, problem(outcome("true", "true", 1.0)))
    again, _ = adjusted(once, table, problem(outcome("false", "false", 1.0)))
    assert undecided(again.steps[-1][1]) is chain.steps[-1][1]
    assert not decide(again, read_features(table, SCHEMA))[0].any(), "only the negatives are worth something"


def test_unknown_and_repeated_outcomes_are_refused_before_fitting():
    with pytest.raises(UnknownOutcomeError, match=r"Got 'late'\. Use: 'False', 'True'"):
        check_decision(problem(outcome("late", "true", 1)), AcceptanceSpec(), SCHEMA)
    with pytest.raises(RepeatedOutcomeError, match="twice"):
        value_matrix([outcome("true", "true", 1), outcome("True", "True", 2)], SCHEMA)
    three = SCHEMA.model_copy(update={"target": Target(name="paid", classes=("a", "b", "c"))})
    with pytest.raises(TooManyClassesError, match="Got 3 classes"):
        check_decision(problem(), AcceptanceSpec.model_validate(FAIR), three)


def parity(model, table):
    codes, _ = decide(model, read_features(table, SCHEMA))
    is_b = np.array(table.column("group").to_pylist()) == "b"
    return abs(codes[is_b].mean() - codes[~is_b].mean())


def test_mitigation_brings_the_groups_together_and_keeps_the_probabilities(chain, table, tmp_path):
    model, record = adjusted(chain, table, acceptance=FAIR)
    assert parity(chain, table) > 0.2
    assert parity(model, table) < 0.06
    frame = read_features(table, SCHEMA)
    assert np.allclose(model.predict_proba(frame), chain.predict_proba(frame))
    assert "exponentiated gradient" in record.decision
    save_model(model, tmp_path / "model")
    again, _ = adjusted(chain, table, acceptance=FAIR)
    save_model(again, tmp_path / "again")
    assert (tmp_path / "model").read_bytes() == (tmp_path / "again").read_bytes()
    assert np.array_equal(load_model(tmp_path / "model").predict(frame), model.predict(frame))


def test_what_serves_a_fair_decision_needs_no_fairlearn(chain, table, tmp_path):
    save_model(adjusted(chain, table, acceptance=FAIR)[0], tmp_path / "model")
    code = (
        "import sys; from pathlib import Path; from driftloop.stages.modelfile import load_model; import pandas\n"
        f"m = load_model(Path({str(tmp_path / 'model')!r}))\n"
        "m.predict(pandas.DataFrame({'income': [1.0], 'debt': [0.0]}))\n"
        "assert not {'fairlearn', 'imblearn', 'shap', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_equalized_odds_come_closer_too(chain, table):
    groups = np.array(table.column("group").to_pylist(), dtype=object)
    y = table.column("paid").to_numpy()
    x = np.asarray(chain[:-1].transform(read_features(table, SCHEMA)))
    fairness = AcceptanceSpec.model_validate({"fairness": {"max": 0.05}}).fairness
    found = mitigate(chain.steps[-1][1], LogisticRegression().fit, x, y, groups=[groups], fairness=fairness, seed=0)

    def odds(codes):
        rates = [[codes[(groups == g) & (y == label)].mean() for g in "ab"] for label in (0, 1)]
        return max(abs(a - b) for a, b in rates)

    before = chain.steps[-1][1].predict_proba(x).argmax(axis=1)
    assert odds(found.link.predict(x)) <= 0.05 < odds(before)


def test_any_algorithm_can_be_mitigated(chain, table):
    y, x = table.column("paid").to_numpy(), prepared(chain, table).train_x
    groups = [np.array(table.column("group").to_pylist(), dtype=object)]
    fairness = AcceptanceSpec.model_validate(FAIR).fairness
    neighbours = KNeighborsClassifier(30).fit(x, y)
    found = mitigate(neighbours, KNeighborsClassifier(30).fit, x, y, groups=groups, fairness=fairness, seed=0)
    codes = found.link.predict(x)
    assert abs(codes[groups[0] == "a"].mean() - codes[groups[0] == "b"].mean()) < 0.06


def test_rows_that_cleaning_left_out_are_no_trouble(chain, table):
    some = prepared(chain, table, rows=slice(100, ROWS))
    record = CandidateRecord(algorithm="Linear", trials=1, fit_seconds=0, params={"C": 1.0})
    fair = AcceptanceSpec.model_validate(FAIR)
    model, told = adjust(
        chain,
        record,
        table,
        lambda: some,
        SCHEMA,
        problem=problem(),
        acceptance=fair,
        preparation=PreparationSpec(),
        sensitive_columns=["group"],
        seed=0,
    )
    assert parity(model, table) < 0.08
    assert "1,400 training rows" in told.decision


def test_what_can_not_be_mitigated_is_said_and_the_model_stays(chain, table):
    model, record = adjusted(chain, table.drop_columns(["group"]), acceptance=FAIR)
    assert model.steps[-1][1] is chain.steps[-1][1]
    assert "the rows don't carry group" in record.decision
    alike = table.set_column(2, "group", pa.array(["a"] * ROWS))
    assert "fewer than two groups" in adjusted(chain, alike, acceptance=FAIR)[1].decision

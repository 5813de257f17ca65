"""The model card: what a reader learns of a model, and what it owns up to."""

from datetime import UTC, datetime

import pytest

from driftloop.spec import (
    ColumnImportance,
    DataSchema,
    DataSpec,
    Feature,
    FeatureType,
    GovernanceSpec,
    ProblemSpec,
    Target,
    Task,
)
from driftloop.stages.card import build_card
from driftloop.stages.records import Assessment, ColumnAssessment, Evaluation, Explanation, GroupMetrics

SCHEMA = DataSchema(
    task=Task.CLASSIFICATION,
    target=Target(name="late", classes=(False, True)),
    features=(Feature(name="a|b", type=FeatureType.NUMERIC, nullable=True),),
)
EVALUATION = Evaluation(
    algorithm="Linear",
    params={"C": 1.0},
    metric="roc_auc",
    score=0.7,
    standard_error=0.01,
    train_score=0.75,
    validation_score=0.72,
    metrics={"roc_auc": 0.7, "f1": 0.5},
    intervals={"roc_auc": (0.68, 0.72)},
    test_rows=500,
    trained_through=datetime(2013, 3, 1, tzinfo=UTC),
    sampling="None: nothing is rare",
)
WOMEN = GroupMetrics(group="w", rows=300, score=0.71, base_rate=0.4, selection_rate=0.35)
SMALL = GroupMetrics(group="x", rows=7, is_small=True)


def explanation(**facts) -> Explanation:
    columns = (
        ColumnImportance(column="a|b", importance=0.2, standard_deviation=0.01),
        ColumnImportance(column="noise", importance=0.001, standard_deviation=0.01),
    )
    return Explanation(metric="roc_auc", rows=500, repeats=10, score=0.7, columns=columns, **facts)


def card(evaluation=EVALUATION, explained=None, columns=(), **provenance) -> str:
    data = {"uri": "x", "targetColumn": "late", "provenance": provenance}
    return build_card(
        "flights",
        SCHEMA,
        evaluation,
        explained or explanation(),
        Assessment(metric="roc_auc", columns=columns),
        problem=ProblemSpec(task=Task.CLASSIFICATION, objective="Rebook in time"),
        data=DataSpec.model_validate(data),
        governance=GovernanceSpec(owner="operations", intended_use="Ranking"),
    )


@pytest.mark.parametrize(
    "line",
    [
        "| Objective | Rebook in time |",
        "| Intended use | Ranking |",
        "| Owner | operations |",
        "| roc_auc | 0.7000 | 0.6800 to 0.7200 |",
        "| f1 | 0.5000 | unknown |",
        "| a\\|b | 0.2000 ± 0.0100 |  |",
        "| noise | 0.0010 ± 0.0100 | not distinguishable from 0 |",
        "| Training rows | the oldest 70 %, through 2013-03-01T00:00:00+00:00 |",
        "| Sampling | None: nothing is rare |",
        "| Data licence | CC0 |",
        "| Data from | not stated |",
        "| a\\|b | numeric | yes |",
    ],
)
def test_the_card_tells_use_quality_making_and_inputs(line):
    assert line in card(licence="CC0").splitlines()


def test_groups_are_shown_with_their_differences():
    shown = card(
        columns=(
            ColumnAssessment(
                column="sex",
                groups=(WOMEN, SMALL),
                differences={"equalized_odds_difference": 0.08},
                not_compared=("x",),
                not_compared_in_odds=("y",),
            ),
        )
    )
    assert "### By `sex`" in shown
    assert "equalized_odds_difference 0.080." in shown
    assert "| w | 300 | 0.710 | 0.400 | 0.350 |" in shown
    assert "| x (small) | 7 |  |  |  |" in shown
    assert "- Groups of `sex` with too few rows were not compared: x." in shown
    assert "- Groups of `sex` with too few rows of each class were left out of equalized_odds_difference: y." in shown


def test_what_was_not_assessed_is_a_limit():
    assert "Not assessed: the loop names no sensitive columns." in card()
    assert "- Groups of people were not compared" in card()
    absent = card(columns=(ColumnAssessment(column="sex", not_assessed="these rows don't carry 'sex'"),))
    assert "- Groups by `sex` were not compared: these rows don't carry 'sex'." in absent
    assert "Groups of people were not compared" not in absent


def test_few_rows_no_time_and_a_leak_are_limits():
    known = card()
    weak = EVALUATION.model_copy(update={"test_rows": 60, "trained_through": None})
    rough = card(weak, explanation(leakage_suspect="a"))
    for limit in ("Only 60 test rows judged it", "Without a time column", "it may leak the answer"):
        assert limit not in known
        assert limit in rough


def test_an_equal_model_has_an_equal_card():
    assert card() == card()

"""Every kind of mistake is told in the house grammar: what, constraint, value, remedy."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftloop.spec.documents import Document
from driftloop.spec.loading import parse_modelloop

from .conftest import MINIMAL

SEASON = {"name": "Christmas", "start": "2026-12-20T00:00:00Z", "end": "2027-01-06T00:00:00Z"}


def put(document, path, value):
    """Return the document with `value` at a dotted path."""
    first, _, rest = path.partition(".")
    inner = document.get(first, {})
    return {**document, first: put(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


def tell(document):
    """Return the sentences about a document, without its place."""
    outcome = parse_modelloop(Document(document, {}, ()), "f")
    return [str(problem).removeprefix("f: ") for problem in outcome] if isinstance(outcome, list) else []


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("apiVersion", "v1", "must be driftloop.dev/v1alpha1. Got 'v1'."),
        ("metadata.name", "e" * 51, f"must have at most 50 characters. Got '{'e' * 51}'."),
        ("metadata.name", 2013, 'must be text. Got 2013. Quote it: "2013".'),
        ("metadata.labels.team", True, 'must be text. Got true. Quote it: "true".'),
        ("spec.suspend", "true", "must be true or false. Got 'true'."),
        (
            "spec.problem.task",
            "Forecasting",
            ("must be one of Classification, Regression, Clustering, AnomalyDetection, Decision. Got 'Forecasting'."),
        ),
        ("spec.problem.metric.threshold", "0.7", "must be a number. Got '0.7'. Remove the quotes: 0.7."),
        ("spec.data.uri", "", "must not be empty."),
        ("spec.data.keyColumn", "high", "must be another column than targetColumn. Got 'high'."),
        ("spec.data.minRows", 5, "must be at least 30. Got 5."),
        ("spec.data.minRows", 99.5, "must be a whole number. Got 99.5."),
        ("spec.data.sensitiveColumns", "sex", "must be a list. Got 'sex'."),
        ("spec.data.sensitiveColumns", ["high"], "must be other columns than targetColumn. Got a list."),
        ("spec.data.sensitiveColumns", ["a", "a"], "must name each column once. Got a list."),
        (
            "spec.acceptance.fairness",
            {"max": 0.1},
            "must have data.sensitiveColumns to compare groups of. Got a mapping. Name the columns there.",
        ),
        ("spec.training", [1], "must be a mapping. Got a list."),
        ("spec.training.algorithms", [], "must not be empty."),
        ("spec.training.maxTrialCount", 0, "must be at least 1. Got 0."),
        ("spec.training.timeout", 600, "must be a duration with its unit, such as '10m' or '30d'. Got 600."),
        ("spec.training.timeout", "0s", "must be a duration longer than 0. Got '0s'."),
        ("spec.acceptance.fairness.max", 2, "must be at most 1. Got 2."),
        ("spec.acceptance.maxGeneralizationGap", 0, "must be greater than 0. Got 0."),
        ("spec.serving.minReplicas", 3, "must be at most maxReplicas. Got 3. Raise maxReplicas, or lower it."),
        ("spec.serving.resources.limits.cpu", "x", "must be a Kubernetes quantity, such as '500m' or '2Gi'. Got 'x'."),
        ("spec.serving.rollout.stepWeights", [50, 10], "must rise from step to step. Got a list."),
        ("spec.monitoring.minEffectSize", 1, "must be less than 1. Got 1."),
        (
            "spec.monitoring.labels.uri",
            "truth.csv",
            (
                "must come with data.keyColumn: labels of a table are joined by it. Got 'truth.csv'. "
                "Add keyColumn to data, or remove uri and send labels by POST /labels."
            ),
        ),
        (
            "spec.monitoring.labels.query",
            "arrivals",
            "must come with a database as uri. Got 'arrivals'. Set uri to an SQLAlchemy URL.",
        ),
        ("spec.retraining.schedule", "daily", "must be a cron line of five fields, such as '0 3 1 * *'. Got 'daily'."),
    ],
)
def test_a_wrong_value_is_told_with_constraint_value_and_remedy(path, value, sentence):
    [told] = tell(put(MINIMAL, path, value))
    assert told.startswith(f"The '{path}'")
    assert told.endswith(sentence)


def test_a_database_of_labels_without_a_query_is_told():
    document = put(put(MINIMAL, "spec.data.keyColumn", "id"), "spec.monitoring.labels.uri", "postgresql+psycopg://h/db")
    assert tell(document) == [
        (
            "The 'spec.monitoring.labels.query' of ModelLoop 'energy' must be set where uri is a database. Got nothing."
            " Add the table's name, or a SELECT statement."
        )
    ]
    assert tell(put(document, "spec.monitoring.labels.query", "arrivals")) == []


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (
            "spec.preparation.sampling",
            "ClassWeights",
            "must be Auto or None for the task Regression. Got 'ClassWeights'. Remove it: no classes to balance.",
        ),
        (
            "spec.acceptance.fairness",
            {},
            "must be left out of the task Regression. Got a mapping. Remove it: only classes are compared.",
        ),
    ],
)
def test_what_is_for_classes_is_refused_for_a_regression(path, value, sentence):
    [told] = tell(put(put(MINIMAL, "spec.problem.task", "Regression"), path, value))
    assert told == f"The '{path}' of ModelLoop 'energy' {sentence}"


@pytest.mark.parametrize(
    ("path", "value", "remedy"),
    [
        ("spec.problem.task", "regression", "Did you mean 'Regression'?"),
        ("spec.training.algorithms", ["random_forest"], "Did you mean 'RandomForest'?"),
        ("spec.problem.metric.name", "r2", "Use one of: roc_auc, average_precision, accuracy, f1, neg_log_loss."),
        ("metadata.name", "Energy", "letters, digits and dashes, with a letter or digit at both ends. Got 'Energy'."),
        ("spec.training.timeout", "ten", "such as '90s', '10m', '12h', '30d' or '1h30m'. Got 'ten'."),
    ],
)
def test_a_wrong_word_is_told_with_the_right_ones(path, value, remedy):
    [told] = tell(put(MINIMAL, path, value))
    assert told.endswith(remedy)


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("spec.problem.metric.treshold", "Did you mean 'threshold'?"),
        ("spec.data.target_column", "Did you mean 'targetColumn'?"),
        ("spec.targetColumn", "Did you mean 'spec.data.targetColumn'?"),
        ("spec.promotion.zzz", "Known here: approval."),
        ("status", "Known here: apiVersion, kind, metadata, spec."),
    ],
)
def test_an_unknown_field_is_told_with_the_one_meant(path, remedy):
    assert tell(put(MINIMAL, path, "x")) == [f"The '{path}' of ModelLoop 'energy' is not a known field. {remedy}"]


@pytest.mark.parametrize(
    ("task", "what"),
    [("Classification", "column to predict"), ("Regression", "column to predict"), ("Decision", "reward")],
)
def test_a_task_that_needs_a_target_says_so(minimal, task, what):
    del minimal["spec"]["data"]["targetColumn"]
    minimal["spec"]["problem"] = {"task": task}
    [told] = tell(minimal)
    assert told == (
        f"The 'spec.data.targetColumn' of ModelLoop 'energy' must be set for the task {task}. Got nothing. "
        f"Name the {what}."
    )


@pytest.mark.parametrize("task", ["Clustering", "AnomalyDetection"])
def test_other_tasks_need_no_target(minimal, task):
    del minimal["spec"]["data"]["targetColumn"]
    minimal["spec"]["problem"] = {"task": task}
    assert tell(minimal) == []


def test_a_missing_field_is_told_with_its_meaning(minimal):
    del minimal["spec"]["problem"]["task"]
    assert tell(minimal) == [
        (
            "The 'spec.problem.task' of ModelLoop 'energy' must be set. Add it: Classification or Regression or "
            "Clustering or AnomalyDetection or Decision."
        ),
    ]


def test_items_of_a_list_are_named_by_position():
    [sentence] = tell(put(MINIMAL, "spec.retraining.triggers", ["ConceptDrift", "conceptdrift"]))
    assert sentence.startswith("The 'spec.retraining.triggers[1]'")
    assert sentence.endswith("Did you mean 'ConceptDrift'?")


def test_rules_within_one_group_are_told_together():
    data = {"uri": "x.csv", "targetColumn": "a", "timeColumn": "a", "keyColumn": "a", "minRows": 1}
    assert len(tell(put(MINIMAL, "spec.data", data))) == 3


def _paths(value, at=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from _paths(inner, (*at, key))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(data=st.data())
def test_no_mistake_shows_the_words_of_the_library(full, data):
    path = data.draw(st.sampled_from(sorted(_paths(full))))
    junk = st.sampled_from([True, -1, 0, 0.5, 10**12, "", "x", "10m", " ", [], [1], ["x"], [[]], {}, {"x": 1}])
    for sentence in tell(put(full, ".".join(path), data.draw(junk))):
        assert re.match(r"The '.+'( of ModelLoop '.+')? (must|is not a known field)", sentence)
        assert "Input should" not in sentence
        assert "valid (" not in sentence
        assert "pydantic" not in sentence


_TOO_LONG = "must leave time between two occurrences (7 days Weekly, 28 Monthly, 365 Yearly)."
_NO_TIME = "must be a time with its offset from UTC, such as '2026-12-24T00:00:00Z'."


@pytest.mark.parametrize(
    ("field", "change", "sentence"),
    [
        ("end", {"end": SEASON["start"]}, "must be after start. Got '2026-12-20T00:00:00Z'."),
        ("start", {"start": "2026-12-20T00:00:00"}, f"{_NO_TIME} Got '2026-12-20T00:00:00'."),
        ("start", {"start": "2026-12-20"}, f"{_NO_TIME} Got '2026-12-20'."),
        ("start", {"start": "2026-02-30T00:00:00Z"}, f"{_NO_TIME} Got '2026-02-30T00:00:00Z'."),
        ("start", {"start": 5}, f"{_NO_TIME} Got 5."),
        (
            "repeat",
            {"repeat": "Weekly"},
            f"{_TOO_LONG} Got 'Weekly'. Set an earlier end: what is always expected is never seen.",
        ),
        ("repeat", {"repeat": "Daily"}, "must be one of Weekly, Monthly, Yearly. Got 'Daily'."),
        ("name", {"name": ""}, "must not be empty."),
    ],
)
def test_an_expected_change_that_means_nothing_is_told(field, change, sentence):
    told = tell(put(MINIMAL, "spec.monitoring.expectedChanges", [SEASON | change]))
    assert told == [f"The 'spec.monitoring.expectedChanges[0].{field}' of ModelLoop 'energy' {sentence}"]


def test_expected_changes_have_names_of_their_own():
    told = tell(put(MINIMAL, "spec.monitoring.expectedChanges", [SEASON, SEASON | {"repeat": "Yearly"}]))
    (sentence,) = told
    assert sentence.endswith("of ModelLoop 'energy' must have another name for each change. Got a list.")

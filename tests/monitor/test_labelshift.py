"""Class frequencies, cases, concept, or a feed that mixes labels up: what the table of answers and labels tells."""

import numpy as np
import pandas as pd
import pytest

from driftloop.monitor.labelshift import build_answer_table, read_label_shift
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from tests.monitor import traffic

SEEDS = range(10)
TABLE = build_answer_table(traffic.rows(8000, 1)["label"], traffic.rows(8000, 1), traffic.SCHEMA)
LETTERS = DataSchema(
    task=Task.CLASSIFICATION,
    target=Target(name="y", classes=("a", "b", "c")),
    features=(Feature(name="x", type=FeatureType.NUMERIC, nullable=False),),
)


def shift(rows, schema=traffic.SCHEMA, table=TABLE):
    return read_label_shift(table, rows["label"], rows, schema)


def letters(count, seed):
    """A model of three classes that is right in 80 % of the rows."""
    random = np.random.default_rng(seed)
    truth = random.choice(["a", "b", "c"], count, p=[0.5, 0.3, 0.2])
    answers = np.where(random.random(count) < 0.8, truth, random.choice(["a", "b", "c"], count))
    return pd.DataFrame({"label": truth, "prediction": answers})


def often(found, most_misses=1):
    """Whether it holds in all but so many of the ten seeds; a p-value of 0.1 % hardly misses one."""
    return sum(not bool(one) for one in found) <= most_misses


def test_usual_rows_have_nothing_exchanged():
    assert not any(shift(traffic.rows(500, seed)).exchanged for seed in SEEDS)


def test_other_class_frequencies_are_explained_by_the_prior():
    found = []
    for seed in SEEDS:
        rows = traffic.rows(4000, 100 + seed)
        late = rows["label"]
        found.append(shift(pd.concat([rows[late][:300], rows[~late][:200]])))
    assert often([one.by_prior and not one.by_cases for one in found])


def test_other_cases_are_explained_by_the_cases():
    found = [shift((rows := traffic.rows(2000, 100 + seed))[rows["temp"] > 20][:500]) for seed in SEEDS]
    assert often([one.by_cases and not one.by_prior for one in found])


def test_classes_that_became_rarer_everywhere_have_the_same_odds_though_the_cases_stayed():
    found = [shift(traffic.rows(500, 100 + seed, rarity=3.0)) for seed in SEEDS]
    assert often([one.by_odds and not one.by_cases for one in found])


@pytest.mark.parametrize("concept", [0.0, -1.0])
def test_another_concept_is_explained_by_neither_and_is_no_exchange_of_labels(concept):
    found = [shift(traffic.rows(500, 100 + seed, concept=concept)) for seed in SEEDS]
    assert not any(one.by_prior or one.by_cases or one.by_odds or one.exchanged for one in found)


def test_exchanged_labels_are_found():
    rows = [traffic.rows(500, 100 + seed) for seed in SEEDS]
    assert all(shift(r.assign(label=~r["label"])).exchanged == ("false", "true") for r in rows)


def test_two_exchanged_classes_of_three_are_named():
    table = build_answer_table(letters(3000, 0)["label"], letters(3000, 0), LETTERS)
    for seed in SEEDS:
        rows = letters(400, 100 + seed)
        swapped = rows.assign(label=rows["label"].replace({"b": "c", "c": "b"}))
        assert shift(rows, LETTERS, table).exchanged == ()
        assert shift(swapped, LETTERS, table).exchanged == ("b", "c")


def test_missing_labels_and_answers_are_left_out():
    rows = traffic.rows(500, 2)
    gaps = rows.assign(
        label=rows["label"].astype(object).where(np.arange(500) % 3 > 0),
        probability=rows["probability"].where(np.arange(500) % 5 > 0),
    )
    assert shift(gaps) is not None
    assert shift(gaps.assign(probability=np.nan)) is None
    assert shift(rows[:0]) is None


def test_regression_and_rows_without_labels_have_no_table():
    regression = LETTERS.model_copy(update={"task": Task.REGRESSION, "target": Target(name="y")})
    assert build_answer_table(pd.Series([1.0]), pd.DataFrame({"prediction": [1.0]}), regression) is None
    assert build_answer_table(None, pd.DataFrame({"prediction": ["a"]}), LETTERS) is None

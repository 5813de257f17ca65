"""Free text is watched by numbers of it: its length and the words that training did not know."""

import json

import numpy as np
import pandas as pd
import pytest

from driftloop.monitor.baseline import build_baseline
from driftloop.monitor.checks.names import MISSING, STUCK
from driftloop.monitor.columns import ColumnKind, read_features, unknown_words, word_count
from driftloop.monitor.engines import SciPyEngine
from driftloop.monitor.judge import Judge
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task, VerdictKind
from driftloop.spec.words import decode_vocabulary, encode_vocabulary, share_unknown, words_of
from tests.monitor import traffic

VOCABULARY = [f"word{number}" for number in range(400)]
LENGTHS, UNKNOWN = word_count("note"), unknown_words("note")


def texts(count, seed, *, length=12, words=VOCABULARY):
    """Texts in which words are as unevenly frequent as in a language (Zipf)."""
    random = np.random.default_rng(seed)
    chances = 1 / np.arange(1, len(words) + 1)
    return [" ".join(random.choice(words, random.poisson(length) + 1, p=chances / chances.sum())) for _ in range(count)]


def rows(count, seed, **how):
    return traffic.rows(count, seed).assign(note=texts(count, seed, **how))


@pytest.fixture(scope="module")
def reference():
    return rows(6000, 1)


@pytest.fixture(scope="module")
def schema(reference):
    vocabulary = encode_vocabulary(reference["note"])
    return DataSchema(
        task=Task.CLASSIFICATION,
        target=Target(name="late", classes=(False, True)),
        features=(
            Feature(name="temp", type=FeatureType.NUMERIC, nullable=True, minimum=-20, maximum=60),
            Feature(name="note", type=FeatureType.TEXT, nullable=True, vocabulary=vocabulary),
        ),
        time_column="time",
    )


@pytest.fixture(scope="module")
def baseline(reference, schema):
    known = reference.rename(columns={"label": "late"})
    return build_baseline(
        known,
        known,
        reference[["prediction", "probability"]],
        schema,
        metric="roc_auc",
        metric_value=0.8,
        metric_standard_error=0.01,
        window=traffic.DAY,
    )


@pytest.fixture(scope="module")
def judge(baseline, schema):
    return Judge("v1", schema, baseline, traffic.MONITORING, SciPyEngine())


def judged(judge, table):
    frame = traffic.as_logged(table)
    frame = frame.assign(**{"feature.note": table["note"]})
    return judge.judge_inputs(frame, traffic.window_of(frame))


def drifted(verdict):
    return {drift.feature for drift in verdict.features if drift.drifted} - {"(all)"}


def failed(verdict):
    return {(check.check, check.feature) for check in verdict.checks if not check.passed}


def test_usual_texts_are_stable_though_nearly_all_of_them_are_new(judge):
    verdicts = [judged(judge, rows(500, seed)) for seed in range(2, 12)]
    assert {verdict.verdict for verdict in verdicts} == {VerdictKind.STABLE}
    assert {LENGTHS, UNKNOWN} <= {drift.feature for drift in verdicts[0].features}


def test_another_length_and_other_words_are_covariate_drift(judge):
    assert drifted(judged(judge, rows(500, 3, length=20))) >= {LENGTHS}
    new = [f"news{number}" for number in range(60)] + VOCABULARY
    verdict = judged(judge, rows(500, 3, words=new))
    assert UNKNOWN in drifted(verdict)
    assert verdict.verdict is VerdictKind.COVARIATE_DRIFT
    assert failed(verdict) == set()


def test_missing_texts_and_one_text_for_all_are_faults(judge):
    table = rows(500, 4)
    gone = judged(judge, table.assign(note=table["note"].where(np.arange(500) % 2 == 0)))
    assert (MISSING, "note") in failed(gone)
    stuck = judged(judge, table.assign(note="the same for all of them"))
    assert (STUCK, "note") in failed(stuck)
    assert any("the same text" in check.message for check in stuck.checks)


def test_no_word_can_be_read_from_schema_or_baseline(schema, baseline, reference):
    written = json.dumps(schema.to_dict()) + baseline.model_dump_json()
    assert not [word for word in VOCABULARY if word in written]
    assert len(schema.features[1].vocabulary) < 30_000


def test_a_vocabulary_knows_what_occurs_often_and_little_else():
    bits = decode_vocabulary(encode_vocabulary(["late again today"] * 9 + ["only once here"]))
    assert share_unknown(words_of("late again"), bits) == 0
    assert share_unknown(words_of("only once, late"), bits) == pytest.approx(2 / 3)
    assert share_unknown(["anything"], decode_vocabulary("")) == 1


def test_texts_are_read_as_their_hash_and_two_numbers(schema):
    frame = pd.DataFrame({"temp": [1.0] * 4, "note": ["word1 word2 word3", "", None, 5]})
    columns = read_features(frame, schema, None)
    assert [*columns] == ["temp", "note", LENGTHS, UNKNOWN]
    assert columns["note"].kind is ColumnKind.PRESENCE
    assert columns["note"].present.tolist() == [True, False, False, False]
    assert columns["note"].unreadable == 1, "a number is no text"
    assert columns[LENGTHS].cells.tolist() == pytest.approx([3, np.nan, np.nan, np.nan], nan_ok=True)
    assert columns[UNKNOWN].cells[0] == 0

"""imbalanced-learn's samplers on the training matrix, and rows made of those that there are."""

import numpy as np
import pandas as pd
import pytest

from driftloop.spec import Task
from driftloop.stages.augment import AugmentationError, augment, drop_words
from driftloop.stages.matrices import Matrices, MatrixColumn, MatrixColumnKind
from driftloop.stages.records import SamplingRecord
from driftloop.stages.resample import Sampling, resample
from driftloop.stages.samplers import SamplerError

MAKING = ["SMOTE", "SMOTENC", "ADASYN", "SMOTEENN"]
LEAVING_OUT = ["NearMiss", "TomekLinks"]
COLUMNS = (
    MatrixColumn("size", "size", MatrixColumnKind.NUMBER),
    MatrixColumn("share", "share", MatrixColumnKind.NUMBER),
    MatrixColumn("colour = red", "colour", MatrixColumnKind.ONE_HOT),
    MatrixColumn("colour = blue", "colour", MatrixColumnKind.ONE_HOT),
    MatrixColumn("new", "new", MatrixColumnKind.BOOLEAN),
)


def matrices(rows: int = 300, rare: int = 40, columns: tuple[MatrixColumn, ...] = COLUMNS) -> Matrices:
    random = np.random.default_rng(0)
    y = np.arange(rows) < rare
    red = random.random(rows) < 0.5
    x = np.column_stack([random.normal(size=(rows, 2)) + y[:, np.newaxis], red, ~red, random.random(rows) < 0.2])
    return Matrices(x[:, : len(columns)].astype(np.float64), y, x[:9, : len(columns)], y[:9], columns)


def balance(method: str, parts: Matrices, seed: int = 0):
    return resample(parts.train_y, Task.CLASSIFICATION, method, seed=seed, load=lambda: parts)


@pytest.mark.parametrize("method", MAKING)
def test_rows_are_made_up_for_the_rare_class_and_repeat_themselves(method):
    parts = matrices()
    sampling, record = balance(method, parts)
    x, y = sampling.fit_on(parts)
    assert record.rows_made == len(sampling.made_y) > 100
    assert sampling.made_y.all()
    assert len(x) == len(y) == sum(record.rows_after.values())
    assert y.mean() > 2 * parts.train_y.mean()
    again, _ = balance(method, parts)
    np.testing.assert_array_equal(again.made_x, sampling.made_x)


@pytest.mark.parametrize("method", LEAVING_OUT)
def test_rows_of_the_frequent_class_are_left_out(method):
    parts = matrices()
    sampling, record = balance(method, parts)
    assert sampling.made_x is None
    assert record.rows_after["True"] == 40
    assert record.rows_after["False"] < 260


def test_a_made_up_row_of_smotenc_has_one_category_and_smotes_are_between():
    parts = matrices()
    nominal, plain = (balance(method, parts)[0].made_x for method in ("SMOTENC", "SMOTE"))
    assert set(np.unique(nominal[:, 2:])) == {0.0, 1.0}
    assert (nominal[:, 2:4].sum(axis=1) == 1).all()
    assert not set(np.unique(plain[:, 2])) <= {0.0, 1.0}


@pytest.mark.parametrize("method", [*MAKING, *LEAVING_OUT])
def test_a_class_of_one_row_is_told_with_what_works(method):
    with pytest.raises(SamplerError, match=r"at least 2 training rows of each class. Got 1 of True. Use RandomOver"):
        balance(method, matrices(rare=1))


def test_few_rows_of_a_class_have_few_neighbours():
    sampling, _ = balance("SMOTE", matrices(rare=3))
    assert sampling.made_y.all()


@pytest.mark.parametrize(("columns", "got"), [(COLUMNS[:2], "no categories"), (COLUMNS[2:4], "no numbers")])
def test_smotenc_needs_numbers_and_categories(columns, got):
    with pytest.raises(SamplerError, match=f"Got {got}. Use SMOTE for numbers"):
        balance("SMOTENC", matrices(columns=columns))


def test_probabilities_are_corrected_for_rows_made_up():
    parts = matrices()
    sampling, record = balance("SMOTE", parts)
    after = np.array([record.rows_after["False"], record.rows_after["True"]]) / sum(record.rows_after.values())
    expected = np.array([260, 40]) / 300 / after
    assert sampling.prior_factors(parts.train_y) == pytest.approx(expected)


def test_a_sampling_with_rows_made_up_survives_its_file(tmp_path):
    sampling, _ = balance("SMOTEENN", matrices())
    sampling.save(tmp_path / "sampling")
    again = Sampling.load(tmp_path / "sampling")
    for name, values in vars(sampling).items():
        np.testing.assert_array_equal(getattr(again, name), values)


ALL_ROWS = Sampling()
NOTHING_SAID = SamplingRecord(method="None", reason="x")


def grow(method: str, parts: Matrices, task: Task = Task.CLASSIFICATION, sampling: Sampling = ALL_ROWS):
    reworded = parts.train_x * 0.9
    return augment(sampling, NOTHING_SAID, method, parts, task, seed=0, reword=lambda _: reworded)


def test_jitter_moves_numbers_a_little_and_categories_not_at_all():
    parts = matrices()
    grown, record = grow("GaussianJitter", parts)
    moved = grown.made_x - parts.train_x
    assert moved[:, :2].std(axis=0) == pytest.approx(parts.train_x[:, :2].std(axis=0) / 10, rel=0.2)
    assert (moved[:, 2:] == 0).all()
    assert (grown.made_y == parts.train_y).all()
    assert record.augmentation == "GaussianJitter: 300 rows more, made of the 300 to fit on"


def test_mixtures_stay_in_their_class_and_mix_numbers():
    parts = matrices()
    classes, _ = grow("Mixup", parts)
    assert (classes.made_y == parts.train_y).all()
    numbers = Matrices(parts.train_x, parts.train_x[:, 0], parts.validation_x, parts.validation_x[:, 0], COLUMNS)
    mixed, _ = grow("Mixup", numbers, Task.REGRESSION)
    assert mixed.made_y == pytest.approx(mixed.made_x[:, 0])
    assert mixed.made_y.min() >= numbers.train_y.min()


def test_words_are_left_out_of_texts_alone():
    texts = pd.Series(["one two three four five six seven eight nine ten"] * 200 + ["alone"])
    shorter = drop_words(texts, np.random.default_rng(0))
    lengths = shorter.str.split().str.len()
    assert 8.5 < lengths[:200].mean() < 9.5
    assert shorter.iloc[200] == "alone"
    words = (*COLUMNS[:4], MatrixColumn("refund", "note", MatrixColumnKind.TEXT))
    grown, _ = grow("WordDropout", matrices(columns=words))
    assert len(grown.made_x) == 300


@pytest.mark.parametrize(
    ("method", "task", "sampling", "told"),
    [
        ("Mixup", Task.CLUSTERING, Sampling(), "The task Clustering has none"),
        ("WordDropout", Task.CLASSIFICATION, Sampling(), "needs a column of free text"),
        ("Mixup", Task.CLASSIFICATION, Sampling(weights=np.ones(300)), "Choose RandomOverSampler or SMOTE"),
    ],
)
def test_what_does_not_go_together_is_told(method, task, sampling, told):
    with pytest.raises(AugmentationError, match=told):
        grow(method, matrices(), task, sampling)


def test_rows_are_made_of_those_that_balancing_drew():
    parts = matrices()
    drawn, _ = balance("RandomUnderSampler", parts)
    grown, _ = grow("GaussianJitter", parts, sampling=drawn)
    x, y = grown.fit_on(parts)
    assert len(x) == len(y) == 160
    assert y.mean() == 0.5

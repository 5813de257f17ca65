"""The selected configuration, fitted again on other rows; for the learning curve and cross-validation of `evaluate`."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.metrics import Answers
from driftloop.algorithms.tasks import answer
from driftloop.spec import DataSchema, PreparationSpec
from driftloop.stages.clean import clean_training_rows
from driftloop.stages.matrices import Matrices, MatrixColumn
from driftloop.stages.records import CandidateRecord
from driftloop.stages.resample import PriorCorrection, Sampling, resample
from driftloop.stages.samplers import SamplerError
from driftloop.stages.table import read_features, read_target
from driftloop.stages.transform import fit_transformer


def fit_estimator(
    record: CandidateRecord,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[Any],
    schema: DataSchema,
    preparation: PreparationSpec,
    *,
    columns: tuple[MatrixColumn, ...],
    seed: int,
) -> Any:
    """Fit the selected algorithm with its hyperparameters on rows of these columns, balanced as the loop asks.

    Rows too few to be balanced (a small part of the learning curve) are taken as they are.
    """
    from sklearn.utils.validation import has_fit_parameter

    algorithm = get_algorithm(record.algorithm)
    matrices = Matrices(x, y, x[:0], y[:0], columns)
    try:
        sampling, _ = resample(y, schema.task, preparation.sampling, seed=seed, load=lambda: matrices)
    except SamplerError:
        sampling = Sampling()
    estimator = algorithm.build(schema.task, record.params, seed)
    is_weighted = sampling.weights is not None and has_fit_parameter(estimator, "sample_weight")
    weights = {"sample_weight": sampling.weights} if is_weighted else {}
    estimator.fit(*sampling.fit_on(matrices), **weights)
    factors = sampling.prior_factors(y)
    return estimator if factors is None else PriorCorrection(estimator, factors)


def fit_and_answer(
    record: CandidateRecord,
    fitted: pa.Table,
    judged: pa.Table,
    schema: DataSchema,
    preparation: PreparationSpec,
    *,
    seed: int,
) -> Answers:
    """Clean, transform, balance and fit on some rows; answer others."""
    frame, y = read_features(fitted, schema), read_target(fitted, schema)
    cleaned = clean_training_rows(frame, y, schema, preparation, seed=seed)
    y = y[cleaned.rows]
    made = fit_transformer(cleaned.frame, y, schema, preparation, seed=seed)
    estimator = fit_estimator(record, made.matrix, y, schema, preparation, columns=made.columns, seed=seed)
    prepared = made.transformer.transform(cleaned.cleaner.transform(read_features(judged, schema)))
    return answer(estimator, prepared, schema.task)

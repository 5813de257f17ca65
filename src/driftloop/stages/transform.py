"""Sixth stage: turns the cleaned columns into the matrix that estimators take, fitted on the training rows only.

The second link of the model's chain. It is applied once to the training and validation rows, so that candidates do
not repeat it. The matrix is dense; a text is reduced to few numbers inside its own block.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, FeatureType, PreparationSpec
from driftloop.spec.problem import SUPERVISED
from driftloop.stages.datenumbers import date_parts
from driftloop.stages.encoding import columns_of, plan_blocks
from driftloop.stages.matrices import MatrixColumn
from driftloop.stages.records import TransformationRecord, TransformedColumns
from driftloop.stages.reduction import reduce_columns

__all__ = ["Transformation", "date_parts", "fit_transformer"]  # model files of earlier versions name the function here


class TransformationError(InvalidInputError):
    """A choice of `preparation` does not fit the columns or the task."""

    def __init__(self, field: str, value: str, constraint: str, remedy: str) -> None:
        super().__init__(f"The 'preparation.{field}' '{value}' {constraint}. {remedy}")


@dataclass(frozen=True)
class Transformation:
    """A fitted transformer, and what it made of the training rows."""

    transformer: Any
    matrix: npt.NDArray[np.float64]
    """Of the training rows, shape (n_rows, n_columns). It is not `transformer.transform` of them: target encoding is
    cross-fitted, so that no row sees its own target (Micci-Barreca 2001; scikit-learn's TargetEncoder)."""
    columns: tuple[MatrixColumn, ...]
    record: TransformationRecord


def fit_transformer(
    cleaned: pd.DataFrame, y: npt.NDArray[Any] | None, schema: DataSchema, preparation: PreparationSpec, *, seed: int
) -> Transformation:
    """Fit on the cleaned training rows.

    Args:
        cleaned: output of the cleaner: features first, without those that it dropped, then flags.
        y: target, shape (n_rows,), classes or numbers; None where there is none.
        schema: types of the features.
        preparation: what to do.
        seed: of every random choice.

    Raises:
        TransformationError, ReductionError: a choice does not fit the columns or the task.
    """
    from sklearn.compose import ColumnTransformer

    _check(schema, y, preparation)
    blocks, left_out = plan_blocks(cleaned, y, schema, preparation, seed=seed)
    if not blocks:
        reasons = "; ".join(f"'{text.name}': {text.reason}" for text in left_out)
        raise TransformationError(
            "text", preparation.text, f"must leave at least one column ({reasons})", "Use TFIDF, or add columns."
        )
    columns = ColumnTransformer([block.entry for block in blocks], sparse_threshold=0)
    # Extreme numbers may pass a power's or a product's range on their way; what comes out is finite.
    with np.errstate(over="ignore", under="ignore"):
        matrix = np.asarray(columns.fit_transform(cleaned, y), dtype=np.float64)
    fitted = [entry[1] for entry in columns.transformers_]
    names = [column for block, step in zip(blocks, fitted, strict=False) for column in columns_of(block, step)]
    reduced = reduce_columns(columns, matrix, y, names, preparation, task=schema.task, seed=seed)
    record = TransformationRecord(
        columns=len(reduced.columns),
        parts=tuple(
            TransformedColumns(
                inputs=block.inputs, becomes=block.what, why=block.why, columns=len(columns_of(block, step))
            )
            for block, step in zip(blocks, fitted, strict=False)
        ),
        notes=(*(f"'{text.name}' is left out: {text.reason}." for text in left_out), *reduced.told),
    )
    return Transformation(reduced.transformer, reduced.matrix, reduced.columns, record)


def _check(schema: DataSchema, y: npt.NDArray[Any] | None, preparation: PreparationSpec) -> None:
    if preparation.encoding == "Target" and (y is None or schema.task not in SUPERVISED):
        raise TransformationError(
            "encoding", "Target", f"needs a target. The task {schema.task} has none", "Use OneHot or Ordinal."
        )
    has_text = any(feature.type is FeatureType.TEXT for feature in schema.features)
    if preparation.text in ("TFIDF", "TFIDFSVD") and not has_text:
        raise TransformationError(
            "text",
            preparation.text,
            "needs a column of free text (three words or more, most values different). There is none",
            "Remove it.",
        )

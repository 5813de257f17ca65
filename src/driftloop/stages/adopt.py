"""Stage `adopt`: makes a model that was trained elsewhere one of ours, after checking that it answers the data's rows.

First after `collect` in the adoption pipeline, where `validate` to `select` stand in the training pipeline. It fits
nothing: the estimator stays as it is, behind a first link that gives it its columns.
"""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftloop.algorithms.tasks import answer
from driftloop.errors import InvalidInputError
from driftloop.spec import SUPERVISED, DataSchema, DataSpec, FeatureType, Task
from driftloop.stages.foreigninputs import ForeignInputs
from driftloop.stages.frame import frame_to_model_frame
from driftloop.stages.records import CandidateRecord
from driftloop.stages.table import read_features
from driftloop.stages.validate import ValidatedData, validate

TOLERANCE = 1e-6
"""Largest difference between an answer of the model by itself and in the chain; relative for numbers above 1."""
MOST_COMPARED_ROWS = 10_000

_log = logging.getLogger(__name__)


class UnfitModelError(InvalidInputError):
    """The model can't be this loop's model."""

    def __init__(self, origin: str, constraint: str, got: str, remedy: str) -> None:
        super().__init__(f"The model of {origin} must {constraint}. Got {got}. {remedy}")


@dataclass(frozen=True)
class ForeignModel:
    """A fitted model that was made elsewhere."""

    estimator: Any
    origin: str
    """What it is and where it came from, as people read it."""
    inputs: Mapping[str, FeatureType | None]
    """Names of its columns in order, with their types where known; empty: it doesn't say."""
    notes: tuple[str, ...] = ()
    """What a person should know, in plain sentences."""
    schema: DataSchema | None = None
    """Set where the estimator is a whole chain of driftloop's own."""


@dataclass(frozen=True)
class Adopted:
    """The model as a candidate of the loop, and the rows that it is judged on."""

    chain: Any
    validated: ValidatedData
    record: CandidateRecord
    trained_through: str
    """Newest time in the rows (ISO 8601), because the model may have seen them all; empty without a time column."""


def adopt(
    model: ForeignModel, table: pa.Table, *, task: Task, data: DataSpec, input_columns: Sequence[str] = ()
) -> Adopted:
    """Check a model against the rows, and wrap it.

    Args:
        model: the model.
        table: the rows as they were collected.
        task: of the loop.
        data: names target, time and key column.
        input_columns: the model's columns, where the user names them.

    Raises:
        UnfitModelError: the model does another task, takes other columns, knows other classes, or answers otherwise
            than by itself.
        InvalidInputError: the rows don't suit; as `stages.validate.validate`.
    """
    _check_task(model, task)
    if model.schema:
        validated = validate(table, task=task, data=data, champion=_renamed(model.schema, data.target_column))
        chain = model.estimator
    else:
        inputs = _name_inputs(model, table, data, input_columns)
        validated = validate(table, task=task, data=data, inputs=inputs)
        as_array = getattr(model.estimator, "feature_names_in_", None) is None
        chain = _wrap(model.estimator, validated.schema, as_array=as_array)
    _check_classes(model, validated.schema)
    _check_answers(model, chain, table, validated)
    newest = pc.max(validated.table.column(data.time_column)).as_py() if data.time_column else None
    record = CandidateRecord(
        algorithm=_name(model.estimator),
        trials=0,
        fit_seconds=0,
        params={},
        origin=model.origin,
        notes=model.notes,
    )
    return Adopted(chain, validated, record, newest.isoformat() if newest else "")


def _check_task(model: ForeignModel, task: Task) -> None:
    is_classifier = hasattr(model.estimator, "classes_")
    if model.schema:
        fits, got = model.schema.task is task, f"a model for {model.schema.task}"
    elif not hasattr(model.estimator, "predict"):
        raise UnfitModelError(
            model.origin, "predict", f"a {_name(model.estimator)} without 'predict'", "Save the whole model, fitted."
        )
    else:
        fits = task in SUPERVISED and is_classifier is (task is Task.CLASSIFICATION)
        got = "a classifier" if is_classifier else f"a {_name(model.estimator)}, which has no classes"
    if not fits:
        raise UnfitModelError(
            model.origin, f"do the task {task}", got, "Correct 'problem.task', or name another model."
        )
    if task is Task.CLASSIFICATION and not hasattr(model.estimator, "predict_proba"):
        raise UnfitModelError(
            model.origin,
            "give probabilities ('predict_proba')",
            f"a {_name(model.estimator)} without them",
            "Wrap it in scikit-learn's CalibratedClassifierCV, and save that.",
        )


def _name_inputs(
    model: ForeignModel, table: pa.Table, data: DataSpec, input_columns: Sequence[str]
) -> Mapping[str, FeatureType | None]:
    estimator = model.estimator
    own = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    count = getattr(estimator, "n_features_in_", None)
    names = list(input_columns) or own or list(model.inputs)
    roles = (data.target_column, data.time_column, data.key_column)
    others = [name for name in table.column_names if name not in roles]
    if not names:
        raise UnfitModelError(
            model.origin,
            "say which columns it takes",
            "a model fitted on an array",
            f"Name its {count or ''} columns in its order in 'model.inputColumns'; the data have: {', '.join(others)}.",
        )
    if (own and set(names) != set(own)) or (count is not None and len(names) != count):
        named = f"; its own are: {', '.join(own)}" if own else ""
        raise UnfitModelError(
            model.origin,
            f"get the {count or len(own)} columns that it was fitted on",
            ", ".join(names),
            f"Correct 'model.inputColumns'{named}.",
        )
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise UnfitModelError(
            model.origin,
            "find its input columns in the data",
            f"no column {', '.join(map(repr, missing))}",
            f"Add them, or rename yours: {', '.join(name for name in others if name not in names) or 'none is left'}.",
        )
    if data.target_column in names:
        raise UnfitModelError(
            model.origin,
            "predict the target from other columns",
            f"'{data.target_column}' among its inputs",
            "Correct 'data.targetColumn'.",
        )
    return {name: model.inputs.get(name) for name in names}


def _renamed(schema: DataSchema, target_column: str) -> DataSchema:
    return schema.model_copy(update={"target": schema.target.model_copy(update={"name": target_column})})


def _wrap(estimator: Any, schema: DataSchema, *, as_array: bool) -> Any:
    from sklearn.pipeline import Pipeline

    kinds = {feature.name: feature.type.value for feature in schema.features}
    return Pipeline([("inputs", ForeignInputs(kinds, as_array=as_array)), ("model", estimator)])


def _check_classes(model: ForeignModel, schema: DataSchema) -> None:
    if schema.task is Task.REGRESSION:
        return
    ours = list(schema.target.classes)
    known = list(model.schema.target.classes) if model.schema else _plain(model.estimator.classes_)
    # False and 0 are one class to Python; a text is never a number.
    if [*map(_comparable, ours)] != [*map(_comparable, known)]:
        raise UnfitModelError(
            model.origin,
            f"know the classes of '{schema.target.name}': {_listed(ours)}",
            _listed(known),
            "Write the target as the model knows it, with rows of every class.",
        )


def _comparable(label: Any) -> tuple[bool, Any]:
    return isinstance(label, str), label


def _check_answers(model: ForeignModel, chain: Any, table: pa.Table, validated: ValidatedData) -> None:
    """Let the chain answer the rows, and hold its answers against the model's own on the rows as pandas reads them."""
    schema = validated.schema
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # new categories and the like; what counts are the answers
        try:
            ours = answer(chain, read_features(validated.table, schema), schema.task)
        except Exception as error:  # whatever an estimator made elsewhere may raise
            reason = str(error).strip().split("\n")[0]
            raise UnfitModelError(
                model.origin,
                "answer the rows of the data",
                f"{type(error).__name__}: {reason.rstrip('.')}",
                "Give the columns the types, and the missing values, that it was fitted with.",
            ) from error
        differing = 0 if model.schema else _count_differing(model.estimator, chain, table, schema)
    numbers = ours.predictions if ours.probabilities is None else ours.probabilities
    if not np.isfinite(numbers).all():
        raise UnfitModelError(
            model.origin, "answer every row with a number", "NaN or infinity", "Look at the rows with missing values."
        )
    if differing:
        raise UnfitModelError(
            model.origin,
            "answer alike by itself and behind driftloop, which says the most probable class and hands on texts, "
            "numbers, booleans and times",
            f"other answers for {differing} of {min(table.num_rows, MOST_COMPARED_ROWS)} rows",
            "Save it without a decision threshold of its own, fitted on columns of these types.",
        )


def _count_differing(estimator: Any, chain: Any, table: pa.Table, schema: DataSchema) -> int:
    """Count the rows that the estimator by itself answers otherwise; 0 where it can't answer raw rows at all."""
    raw = table.slice(0, MOST_COMPARED_ROWS).select(schema.feature_names).to_pandas()
    for name in raw.select_dtypes(object).columns:
        raw[name] = raw[name].where(raw[name].notna(), np.nan)  # as pandas reads a file
    as_array = chain.named_steps["inputs"].as_array
    try:
        predicted = estimator.predict(raw.to_numpy() if as_array else raw)
    except Exception:  # noqa: BLE001 (it can't take them as they are: what the chain makes of them is all there is)
        _log.info("The model takes no rows as they are in the file; its answers behind driftloop stand alone.")
        return 0
    ours = answer(chain, frame_to_model_frame(raw, schema), schema.task).predictions
    if schema.task is Task.REGRESSION:
        theirs = np.asarray(predicted, dtype=np.float64)
    else:
        theirs = np.searchsorted(estimator.classes_, predicted).astype(np.float64)
    return int((np.abs(theirs - ours) > TOLERANCE * np.maximum(1, np.abs(theirs))).sum())


def _plain(classes: Any) -> list[Any]:
    return list(np.asarray(classes).tolist())


def _listed(labels: Sequence[Any]) -> str:
    return ", ".join(repr(label) for label in labels)


def _name(estimator: Any) -> str:
    """Name the estimator that decides: of a pipeline the last one."""
    steps = getattr(estimator, "steps", None)
    return _name(steps[-1][1]) if steps else type(estimator).__name__

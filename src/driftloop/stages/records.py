"""What the stages tell one another in JSON. Light to import: a stage without a model loads no library for it."""

from datetime import datetime
from typing import Any

from pydantic import Field

from driftloop.spec import Comparison
from driftloop.spec.boundary import Boundary


class DroppedColumn(Boundary):
    """A column that is not used, and why."""

    name: str
    reason: str


class ValidationReport(Boundary):
    """What was left out."""

    rows: int
    """Rows that are used."""
    rows_without_target: int
    rows_without_time: int
    dropped_columns: tuple[DroppedColumn, ...]
    notes: tuple[str, ...]
    """What was read as missing, or kept for the champion's sake, in plain sentences."""


class CandidateRecord(Boundary):
    """What `train` says of its candidate; travels as the metadata of the model artifact."""

    algorithm: str
    score: float
    """The loop's metric on the validation rows."""
    train_score: float
    """The same on the training rows."""
    trials: int
    fit_seconds: float
    """Time spent on fitting and tuning."""
    params: dict[str, Any]


class Evaluation(Boundary):
    """What the test rows say of the selected candidate; travels in the Bento as `training.json`."""

    algorithm: str
    params: dict[str, Any]
    metric: str
    score: float
    """The loop's metric on the test rows."""
    standard_error: float
    train_score: float
    validation_score: float
    metrics: dict[str, float]
    """All metrics of the task on the test rows."""
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Their 95 % intervals by the bootstrap over rows; a metric that is undefined in some samples has none."""
    test_rows: int
    trained_through: datetime | None = None
    """Newest time in the rows that the model was fitted on."""


class ChampionComparison(Boundary):
    """How the candidate did against the champion. No part of `Evaluation`: a Bento knows only the champion's inputs."""

    comparison: Comparison | None = None
    """Absent for a first model, and where comparing failed."""
    failure: str = ""
    """Why there is a champion and no comparison; empty otherwise."""

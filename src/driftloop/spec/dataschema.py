"""The schema of the data a model was trained on: what serving accepts and what the monitor compares with.

Written by the stage `validate`, carried in the Bento as `schema.json`.
"""

from enum import StrEnum
from typing import Self

from driftloop.spec.boundary import Boundary
from driftloop.spec.problem import Task


class FeatureType(StrEnum):
    """How a column is read, cleaned, tested and served."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATE = "date"
    TEXT = "text"
    """Free text: several words, nearly every value another."""


class Feature(Boundary):
    """One input column of the model."""

    name: str
    type: FeatureType
    nullable: bool
    """Whether the rows of this run, or of a champion before it, had missing values; if not, serving refuses one."""
    categories: tuple[str, ...] = ()
    """Categorical: the values seen in training, as strings, most frequent first. New ones are served, and watched.
    Where a run had none, these and the range are the champion's."""
    is_hashed: bool = False
    """Categorical: values are replaced by hashes (`spec.pseudonyms`), in requests too, before anything keeps them."""
    minimum: float | None = None
    """Numeric: smallest training value. Date: the same in epoch seconds."""
    maximum: float | None = None
    """Numeric: largest training value. Date: the same in epoch seconds."""
    vocabulary: str = ""
    """Text: which words are known, as bits at the places of their hashes (`spec.words`); no word can be read from it.
    Live texts are watched for words that are not."""


class Target(Boundary):
    """The column to predict, or what the answers of a task without one look like."""

    name: str = ""
    """Empty where the rows have no such column: only tasks that learn without one may."""
    classes: tuple[str | bool | int, ...] = ()
    """Classification: the classes in the order of the model's probabilities (sorted). The last one is the positive
    class of a two-class problem. AnomalyDetection: false, true. Clustering: numbers of the model's clusters, known once
    it is trained; -1 for rows of no cluster. Decision: the actions, in the order of the policy's probabilities; the
    target itself is the reward, a number."""


class DataSchema(Boundary):
    """Inputs and target of a model."""

    format_version: int = 1
    task: Task
    target: Target
    features: tuple[Feature, ...]
    key_column: str | None = None
    time_column: str | None = None
    action_column: str | None = None
    """Decision: the action that was taken."""
    propensity_column: str | None = None
    """Decision: probability with which it was taken."""

    def with_classes(self, classes: tuple[int, ...]) -> Self:
        """Return the schema of a model that answers with these: the clusters, which only a trained model knows."""
        return self.model_copy(update={"target": self.target.model_copy(update={"classes": classes})})

    @property
    def feature_names(self) -> list[str]:
        """Names of the input columns, in the model's order."""
        return [feature.name for feature in self.features]

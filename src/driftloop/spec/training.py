"""Which models are tried, and for how long: group `training` of the ModelLoop.

Field docstrings are the reference documentation.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from driftloop.spec.boundary import CLUSTER_ONLY, Boundary, Duration
from driftloop.spec.data import SecretRef

# Names in `algorithms.CATALOGUE`; here so that schema, CRD and messages know them.
AlgorithmName = Literal[
    "Auto",
    "Linear",
    "Lasso",
    "ElasticNet",
    "NaiveBayes",
    "KNeighbors",
    "DecisionTree",
    "LinearSVM",
    "KernelSVM",
    "RandomForest",
    "ExtraTrees",
    "HistGradientBoosting",
    "MLP",
    "KMeans",
    "MiniBatchKMeans",
    "Agglomerative",
    "HDBSCAN",
    "GaussianMixture",
    "IsolationForest",
    "LocalOutlierFactor",
    "OneClassSVM",
    "EllipticEnvelope",
    "ContextualBandit",
]


Effort = Literal["Refit", "Tune", "Widen"]
"""Rungs of the ladder of improvement, the cheapest first."""


class ClusterCountSpec(Boundary):
    """How many clusters may be chosen."""

    min: Annotated[int, Field(ge=2, le=1000)] = 2
    """Fewest clusters."""
    max: Annotated[int, Field(ge=2, le=1000)] = 12
    """Most clusters."""


STUDY_PASSWORD = "PGPASSWORD"  # noqa: S105 - a name
"""Variable that PostgreSQL's clients take the password from, and key of the secret that holds it."""


class StudySpec(Boundary):
    """A database that candidates, runs and pods share their trials in."""

    uri: Annotated[str, Field(min_length=1)]
    """As Optuna's RDB storage takes it, e.g. `postgresql+psycopg://optuna@db/optuna`."""
    secret_ref: Annotated[SecretRef | None, CLUSTER_ONLY] = None
    """Secret with `PGPASSWORD`."""


class TrainingSpec(Boundary):
    """Which models are tried, and for how long."""

    algorithms: Annotated[tuple[AlgorithmName, ...], Field(min_length=1, max_length=30)] = ("Auto",)
    """Algorithms to try. Auto: those that fit task, number of rows and columns, and budget; the run's report says why
    each is in or out."""
    max_trial_count: Annotated[int, Field(ge=1, le=10000)] = 30
    """Trials of hyperparameters over all algorithms."""
    timeout: Duration = timedelta(minutes=10)
    """Longest time the trials may take, two candidates side by side; held within a tenth."""
    effort: Literal["Auto", "Refit", "Tune", "Widen"] = "Auto"
    """How much a rerun tries. Refit: the champion's algorithm and hyperparameters on the new rows. Tune: a search, as
    for a first model. Widen: more algorithms, larger spaces. Auto: Refit first, and one step further each time that
    the step before was not accepted; Tune after a change of the file."""
    blend: Literal["Auto", "None"] = "Auto"
    """Auto: answers of two or three candidates are averaged where that is better by more than chance; it costs the
    serving time of each. None: one candidate serves."""
    warm_start: Literal["Auto", "None"] = "Auto"
    """Auto: a rerun first tries what the champion's run found best, then goes on from its trials."""
    study: StudySpec | None = None
    """Shared trials. Absent: each candidate keeps its own."""
    clusters: ClusterCountSpec = ClusterCountSpec()
    """Clustering: number of clusters to choose from."""
    contamination: Annotated[float | None, Field(gt=0, le=0.5)] = None
    """AnomalyDetection: share of rows to call anomalous. Absent: 1 %, or the share of the labels
    where there are some."""
    exploration: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Decision: share of answers given at random over the actions, so that the next model can learn."""
    random_state: Annotated[int, Field(ge=0)] = 0
    """Seed of every random choice."""

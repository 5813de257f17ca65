"""What is in force for a ModelLoop and why: its fields with the value that counts, and what `Auto` comes to.

The reasons are the fields' own docstrings in `spec`; what depends on the task or the catalogue is worked out here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from driftloop.algorithms.catalogue import AUTO, get_algorithm, resolve_algorithms
from driftloop.spec import DataSchema, FeatureType, ModelLoop, Task
from driftloop.spec.problem import METRICS_BY_TASK, SUPERVISED
from driftloop.spec.reference import field_reference
from driftloop.stages.split import TRAIN_SHARE, VALIDATION_SHARE

_HIDDEN_GROUPS = ("apiVersion", "kind", "metadata")

METRIC_REASONS: Mapping[str, str] = {
    "roc_auc": "area under the ROC curve: the chance that a row of the class is ranked above one that is not; needs no "
    "threshold and does not depend on how rare the class is",
    "average_precision": "area under the precision-recall curve; for rare classes that must be found",
    "accuracy": "share of right answers; misleading where one class is rare",
    "f1": "harmonic mean of precision and recall at the usual threshold",
    "neg_log_loss": "log loss, negated; for probabilities that must be right, not only their order",
    "r2": "share of the target's variance that is explained; 0 is what the mean achieves, 1 is perfect",
    "neg_mean_absolute_error": "mean absolute error, negated; in the target's unit, and robust against outliers",
    "neg_root_mean_squared_error": "root mean squared error, negated; large errors count more",
    "silhouette": "how much closer rows are to their own cluster than to the next one; 1 is best, 0 is no clusters",
    "calinski_harabasz": "variance between the clusters over that within them",
    "neg_davies_bouldin": "mean likeness of each cluster to the one most like it, negated",
    "adjusted_rand": "agreement of the clusters with the known groups of data.targetColumn; 0 is chance, 1 is the same",
    "stability": "rank correlation of the scores of models fitted on halves of the rows; needs no labels",
    "doubly_robust": "estimated reward per case if the policy had decided, from a reward model corrected by the logged "
    "rewards; right if either is",
    "snips": "estimated reward per case by logged rewards, weighted to the policy and by the sum of the weights",
    "ips": "estimated reward per case by logged rewards, weighted to the policy; unbiased, and noisier",
}


@dataclass(frozen=True)
class Explanation:
    """One field as it is in force."""

    path: str
    value: Any
    """As in a file; None where nothing is set."""
    is_set: bool
    """Whether the file says so; otherwise it is the default."""
    reason: str
    resolved: str
    """What the value comes to for this loop; empty where it is plain."""
    note: str
    """Where the field has no effect; empty: it has one everywhere."""


@dataclass(frozen=True)
class ColumnExplanation:
    """One column of the data, and what preparation does to it."""

    name: str
    type: str
    preparation: str


def explain(loop: ModelLoop) -> list[Explanation]:
    """Return every field that has a value or could have one, in the order of the reference."""
    in_force = loop.model_dump(mode="json", by_alias=True)
    written = loop.model_dump(mode="json", by_alias=True, exclude_unset=True)
    notes = {field.path: field.note for field in field_reference().values() if field.note}
    explanations = []
    for field in field_reference().values():
        if field.type == "group" or field.path.startswith(_HIDDEN_GROUPS) or not _has(in_force, field.path):
            continue
        resolve = _RESOLUTIONS.get(field.path)
        explanations.append(
            Explanation(
                path=field.path,
                value=_get(in_force, field.path),
                is_set=_has(written, field.path),
                reason=field.description,
                resolved=resolve(loop) if resolve else "",
                note=next((note for path, note in notes.items() if field.path.startswith(path)), ""),
            )
        )
    return explanations


def matters(explanation: Explanation) -> bool:
    """Whether a person who asks for the gist wants to see it: it is set, or a default that changes what happens."""
    is_empty = explanation.value in (None, "", [], {}) and not explanation.resolved
    return explanation.is_set or not (explanation.note or is_empty)


def explain_columns(loop: ModelLoop, schema: DataSchema) -> list[ColumnExplanation]:
    """Return what the usual preparation does to each input column."""
    return [
        ColumnExplanation(
            feature.name,
            f"{feature.type}{f', {len(feature.categories)} categories' if feature.categories else ''}",
            _prepare(loop, feature.type, nullable=feature.nullable, categories=len(feature.categories)),
        )
        for feature in schema.features
    ]


_FILLED = {
    "Auto": "the median, with a flag",
    "Mean": "the mean",
    "Median": "the median",
    "MostFrequent": "the most frequent value",
    "Constant": "the constant, with a flag",
    "KNN": "what the nearest rows have",
    "Iterative": "what the other columns predict",
    "DropRows": "the median (training rows are left out)",
}
_SCALED = {"None": "", "MinMax": "; between 0 and 1", "MaxAbs": "; divided by the largest", "Robust": "; by quartiles"}
_DATES = {"Cyclic": "days since 1970, and sine and cosine of year, week and day"}
_TEXTS = {"None": "left out", "TFIDF": "weights of words", "TFIDFSVD": "weights of words, reduced to 100 numbers"}


def _prepare(loop: ModelLoop, kind: FeatureType, *, nullable: bool, categories: int) -> str:
    preparation = loop.spec.preparation
    missing = preparation.missing
    scaled = _SCALED.get(preparation.scaling, "; standardised")
    match kind:
        case FeatureType.CATEGORICAL:
            gap = "a missing value is a category of its own; " if nullable else ""
            return gap + _encoded(loop, categories, scaled)
        case FeatureType.TEXT:
            return _TEXTS.get(preparation.text, "weights of words, reduced to 100 numbers where there are many")
    gap = ""
    if nullable and missing == "DropColumns":
        gap = "left out where training rows have gaps; "
    elif nullable:
        usual = kind is FeatureType.BOOLEAN and missing in ("Auto", "Mean", "Median", "Constant", "DropRows")
        filled = _FILLED[missing]
        gap = f"a missing value becomes {_most_frequent(missing) if usual else filled}; "
    match kind:
        case FeatureType.BOOLEAN:
            return gap + "0 or 1"
        case FeatureType.DATE:
            return gap + _DATES.get(preparation.dates, "days since 1970, day of the year, weekday and hour") + scaled
    return (gap.removesuffix("; ") or "as it is") + scaled


def _most_frequent(missing: str) -> str:
    return "the most frequent one" + (", with a flag" if missing in (AUTO, "Constant") else "")


def _encoded(loop: ModelLoop, categories: int, scaled: str) -> str:
    preparation = loop.spec.preparation
    by_target = "target-encoded, cross-fitted" + scaled
    match preparation.encoding:
        case "Target":
            return by_target
        case "Ordinal":
            return "its place in the alphabet" + scaled
        case "OneHot":
            return "one-hot encoded"
    few = categories <= preparation.max_one_hot_categories or loop.spec.problem.task not in SUPERVISED
    return "one-hot encoded" if few else by_target


def _metric(loop: ModelLoop) -> str:
    problem = loop.spec.problem
    name = problem.metric_name
    usual = "" if problem.metric.name else f"{name}, the usual one for {problem.task}: "
    others = ", ".join(other for other in METRICS_BY_TASK[problem.task] if other != name)
    return f"{usual}{METRIC_REASONS[name]}. Others: {others}"


def _algorithms(loop: ModelLoop) -> str:
    names = resolve_algorithms(loop.spec.training.algorithms, loop.spec.problem.task)
    told = "; ".join(f"{name}: {get_algorithm(name).reason.rstrip('.')}" for name in names)
    if AUTO not in loop.spec.training.algorithms:
        return told
    return (
        f"those of these that fit rows, columns and budget; the run's page `select` says why each is in or out. {told}"
    )


def _trials(_: ModelLoop) -> str:
    return "parted by what each algorithm has use for; a first model begins with each algorithm's own defaults"


def _split(loop: ModelLoop) -> str:
    train, validation = round(TRAIN_SHARE * 100), round(VALIDATION_SHARE * 100)
    how = "in time order, the newest for the test" if loop.spec.data.time_column else "at random"
    return f"rows are parted {train} : {validation} : {100 - train - validation} (training, validation, test) {how}"


def _exploration(loop: ModelLoop) -> str:
    if loop.spec.problem.task is not Task.DECISION:
        return "no effect: the task takes no actions"
    share = loop.spec.training.exploration
    return (
        f"{1 - share:.0%} of decisions take the action that is expected to earn most, {share:.0%} are drawn over all "
        "actions alike; what they cost is in the run's report"
    )


def _budget(loop: ModelLoop) -> str:
    monitoring = loop.spec.monitoring
    windows = monitoring.false_alarm_budget.per / monitoring.window.duration
    return f"half for inputs, half for performance, over {windows:.3g} windows, and shared by the tests of each"


def _triggers(_loop: ModelLoop) -> str:
    return "a data fault never retrains: the window is kept out of training"


_RESOLUTIONS: Mapping[str, Callable[[ModelLoop], str]] = {
    "spec.problem.metric.name": _metric,
    "spec.training.algorithms": _algorithms,
    "spec.training.maxTrialCount": _trials,
    "spec.training.exploration": _exploration,
    "spec.data.timeColumn": _split,
    "spec.monitoring.falseAlarmBudget.max": _budget,
    "spec.retraining.triggers": _triggers,
}


def _get(tree: Any, path: str) -> Any:
    for step in path.split("."):
        tree = tree[step]
    return tree


def _has(tree: Any, path: str) -> bool:
    for step in path.split("."):
        if not isinstance(tree, Mapping) or step not in tree:
            return False
        tree = tree[step]
    return True

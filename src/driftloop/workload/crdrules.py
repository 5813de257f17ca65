"""The rules of the validators in `spec`, once more in CEL, so that the API server itself refuses what breaks them.

One row a `RuleError`, under the type whose validator raises it; a test holds both to the same words and the same
verdicts. What a schema can express (types, bounds, choices) is in the types alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from driftloop.spec.data import DATA_VARIABLE_PREFIX, NAME_PATTERN, PASSWORD_PATTERN, SIMULATION
from driftloop.spec.messages import PATTERN_WORDS
from driftloop.spec.operation import DATABASES
from driftloop.spec.preparation import OUTLYING_ROWS, SELECTED_BY_TARGET
from driftloop.spec.problem import METRICS_BY_TASK, NEED_LABELS, NEEDS_TARGET, SUPERVISED, Task


@dataclass(frozen=True)
class Rule:
    """What must hold of an object, and what to tell of a field where it doesn't."""

    field: str
    """The field to blame, below the object that the rule is about; empty: the object itself."""
    expression: str
    """In CEL; true where all is well. Any field may be absent: the API server tries the rule on the group's default,
    too, before it fills in the fields' own."""
    constraint: str
    """As in `RuleError`."""
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as an item of `x-kubernetes-validations`."""
        told = f"{self.field.rpartition('.')[2]} {self.constraint}.".lstrip()
        path = {"fieldPath": f".{self.field}"} if self.field else {}
        return {
            "rule": self.expression,
            "message": f"{told} {self.remedy}".strip(),
            "reason": "FieldValueInvalid",
        } | path


def _is_set(field: str) -> str:
    return f"(has(self.{field}) && self.{field} != '')"


def _differs(column: str, other: str, other_name: str) -> Rule:
    return Rule(
        column,
        f"!has(self.{column}) || !has(self.{other}) || self.{column} != self.{other}",
        f"must be another column than {other_name}",
    )


def _not_sensitive(column: str) -> Rule:
    return Rule(
        "sensitiveColumns",
        f"!has(self.sensitiveColumns) || !has(self.{column}) || !(self.{column} in self.sensitiveColumns)",
        f"must be other columns than {column}",
    )


def _of_decisions(column: str) -> tuple[Rule, Rule]:
    named = _is_set(f"data.{column}")
    return (
        Rule(
            f"data.{column}",
            f"self.problem.task != 'Decision' || {named}",
            "must be set for the task Decision",
            "Name the logged column.",
        ),
        Rule(
            f"data.{column}",
            f"self.problem.task == 'Decision' || !{named}",
            "must be left out of all tasks but Decision",
            "Remove it.",
        ),
    )


def _without_target(task: Task) -> tuple[Rule, Rule]:
    return (
        Rule(
            "preparation.encoding",
            f"self.problem.task != '{task}' || self.preparation.encoding != 'Target'",
            f"must not be Target for the task {task}",
            "Use OneHot or Ordinal: no target to encode by.",
        ),
        Rule(
            "preparation.selection",
            f"self.problem.task != '{task}' || !(self.preparation.selection in {list(SELECTED_BY_TARGET)})",
            f"must be Auto, VarianceThreshold or None for the task {task}",
            "Use VarianceThreshold: no target to tell of.",
        ),
    )


def _queried(remedy: str) -> tuple[Rule, Rule]:
    return (
        Rule(
            "query",
            f"has(self.query) || !{_IS_DATABASE}",
            "must be set where uri is a database",
            "Add the table's name, or a SELECT statement.",
        ),
        Rule("query", f"!has(self.query) || {_IS_DATABASE}", "must come with a database as uri", remedy),
    )


_WITHOUT_CLASSES = tuple(task for task in Task if task is not Task.CLASSIFICATION)
_IS_DATABASE = f"(has(self.uri) && self.uri.matches('^({'|'.join(DATABASES)})([+:]|$)'))"

_SOURCE = (
    Rule(
        "uri",
        f"!has(self.uri) || !self.uri.matches('{PASSWORD_PATTERN}')",
        "must hold no password",
        f"Give it by {DATA_VARIABLE_PREFIX}DATABASE_PASSWORD in the environment, or by secretRef.",
    ),
    *_queried("Set uri to an SQLAlchemy URL, or remove it."),
)

RULES: Mapping[str, tuple[Rule, ...]] = {
    "ModelLoop": (  # the API server takes no path into metadata
        Rule("", f"self.metadata.name.matches('{NAME_PATTERN}')", f"metadata.name {PATTERN_WORDS[NAME_PATTERN]}"),
        Rule("", "self.metadata.name.size() <= 50", "metadata.name must have at most 50 characters"),
    ),
    "ModelLoopSpec": (
        Rule(
            "model",
            "!has(self.model) || self.maturity != 'ProofOfConcept'",
            "must be absent in a ProofOfConcept",
            "Remove it, or set maturity to Production: a model that exists proves the concept.",
        ),
        *(
            Rule(
                "data.targetColumn",
                f"self.problem.task != '{task}' || {_is_set('data.targetColumn')}",
                f"must be set for the task {task}",
                "Name the reward." if task is Task.DECISION else "Name the column to predict.",
            )
            for task in NEEDS_TARGET
        ),
        *(
            Rule(
                "data.targetColumn",
                f"self.problem.task != '{task}' || !has(self.problem.metric) || !{_is_set('problem.metric.name')}"
                f" || self.problem.metric.name != '{metric}' || {_is_set('data.targetColumn')}",
                f"must be set for the metric {metric} of the task {task}",
                f"Name the labels, or use {METRICS_BY_TASK[task][0]}.",
            )
            for task, metrics in NEED_LABELS.items()
            for metric in metrics
        ),
        *(rule for column in ("actionColumn", "propensityColumn") for rule in _of_decisions(column)),
        *(
            Rule(
                "preparation.sampling",
                f"self.problem.task != '{task}' || self.preparation.sampling in ['Auto', 'None']",
                f"must be Auto or None for the task {task}",
                "Remove it: no classes to balance.",
            )
            for task in _WITHOUT_CLASSES
        ),
        Rule(
            "preparation.noise",
            f"self.preparation.noise != 'Smooth' || {_is_set('data.timeColumn')}",
            "must come with data.timeColumn to smooth along",
            "Name the column that orders the rows, or remove Smooth.",
        ),
        *(
            Rule(
                "preparation.noise",
                f"self.problem.task != '{task}' || self.preparation.noise != 'LabelFilter'",
                f"must not be LabelFilter for the task {task}",
                "Remove LabelFilter: no classes to doubt.",
            )
            for task in _WITHOUT_CLASSES
        ),
        *(rule for task in Task if task not in SUPERVISED for rule in _without_target(task)),
        *(
            Rule(
                "acceptance.fairness",
                f"!has(self.acceptance.fairness) || self.problem.task != '{task}'",
                f"must be left out of the task {task}",
                "Remove it: only classes are compared.",
            )
            for task in _WITHOUT_CLASSES
        ),
        Rule(
            "acceptance.fairness",
            "!has(self.acceptance.fairness) || self.problem.task != 'Classification'"
            " || (has(self.data.sensitiveColumns) && self.data.sensitiveColumns.size() > 0)",
            "must have data.sensitiveColumns to compare groups of",
            "Name the columns there.",
        ),
        Rule(
            "acceptance.fairness.mitigation",
            "!has(self.acceptance.fairness) || !has(self.acceptance.fairness.mitigation)"
            " || self.acceptance.fairness.mitigation == 'None'"
            " || !has(self.problem.outcomeValues) || self.problem.outcomeValues.size() == 0",
            "must be None where problem.outcomeValues is set",
            "Remove one of them: the class is decided by value, or alike for groups.",
        ),
        Rule(
            "monitoring.labels.uri",
            "!has(self.monitoring.labels.uri) || has(self.data.keyColumn)",
            "must come with data.keyColumn: labels of a table are joined by it",
            "Add keyColumn to data, or remove uri and send labels by POST /labels.",
        ),
    ),
    "ProblemSpec": (
        *(
            Rule(
                "metric.name",
                f"self.task != '{task}' || !{_is_set('metric.name')} || self.metric.name in {list(metrics)}",
                f"must be a metric of the task {task}",
                f"Use one of: {', '.join(metrics)}.",
            )
            for task, metrics in METRICS_BY_TASK.items()
        ),
        *(
            Rule(
                "outcomeValues",
                f"!has(self.outcomeValues) || self.outcomeValues.size() == 0 || self.task != '{task}'",
                f"must be left out of the task {task}",
                "Remove it: only classes have outcomes.",
            )
            for task in _WITHOUT_CLASSES
        ),
    ),
    "JoinSpec": (
        *_SOURCE,
        Rule(
            "timeColumn",
            "has(self.timeColumn) || (has(self.by) && self.by.size() > 0)",
            "must be set where by is empty",
            "Name the columns to join by, or the time column.",
        ),
        Rule(
            "within",
            "!has(self.within) || has(self.timeColumn)",
            "must come with timeColumn",
            "Name the column that tells the age, or remove it.",
        ),
    ),
    "HistorySpec": (
        Rule(
            "windows",
            "(has(self.lags) && self.lags.size() > 0) || (has(self.windows) && self.windows.size() > 0)",
            "must be set where lags is empty",
            "Name at least one lag or one window.",
        ),
    ),
    "SimulatedColumn": (
        Rule(
            "categories",
            "!(self.kind in ['Category', 'Text']) || (has(self.categories) && self.categories.size() > 0)",
            "must be set for the kinds Category and Text",
            "List the values, or the words.",
        ),
    ),
    "SimulationSpec": (
        Rule(
            "columns",
            "self.columns.all(x, self.columns.exists_one(y, x.name == y.name))",
            "must have another name for each column",
        ),
    ),
    "DataSpec": (
        *_SOURCE,
        Rule(
            "simulation",
            f"has(self.simulation) || !has(self.uri) || self.uri != '{SIMULATION}'",
            f"must be set where uri is '{SIMULATION}'",
            "Declare the columns, or set uri to where the data are.",
        ),
        Rule(
            "simulation",
            f"!has(self.simulation) || (has(self.uri) && self.uri == '{SIMULATION}')",
            f"must come with '{SIMULATION}' as uri",
            f"Set uri to '{SIMULATION}', or remove it.",
        ),
        Rule(
            "timeColumn",
            "has(self.timeColumn) || ((!has(self.history) || self.history.size() == 0)"
            " && (!has(self.joins) || !self.joins.exists(x, has(x.timeColumn))))",
            "must be set where joins or history look back in time",
            "Name the column that says when each row happened.",
        ),
        _differs("timeColumn", "targetColumn", "targetColumn"),
        _differs("keyColumn", "targetColumn", "targetColumn"),
        _differs("keyColumn", "timeColumn", "timeColumn"),
        _not_sensitive("targetColumn"),
        _not_sensitive("timeColumn"),
        _not_sensitive("keyColumn"),
        Rule(
            "sensitiveColumns",
            "!has(self.sensitiveColumns) || self.sensitiveColumns.all(x, self.sensitiveColumns.exists_one(y, x == y))",
            "must name each column once",
        ),
    ),
    "PreparationSpec": (
        Rule(
            "missingConstant",
            "!has(self.missingConstant) || self.missingConstant == 0.0"
            " || (has(self.missing) && self.missing == 'Constant')",
            "must come with missing: Constant",
            "Remove it, or set missing to Constant.",
        ),
        Rule(
            "outlierAction",
            "!has(self.outlierAction) || self.outlierAction == 'Auto'"
            " || (has(self.outliers) && !(self.outliers in ['Auto', 'None']))",
            "must come with outliers to act on",
            "Remove it, or set outliers.",
        ),
        Rule(
            "outlierAction",
            "!has(self.outlierAction) || self.outlierAction != 'Clip'"
            f" || !has(self.outliers) || !(self.outliers in {list(OUTLYING_ROWS)})",
            "must be Drop or Flag for whole rows",
            "Clip numbers by outliers: Clip.",
        ),
        Rule(
            "components",
            "!has(self.components) || (has(self.extraction) && !(self.extraction in ['Auto', 'None']))",
            "must come with extraction",
            "Remove it, or set extraction to PCA or TruncatedSVD.",
        ),
        Rule(
            "selectedColumns",
            f"!has(self.selectedColumns) || (has(self.selection) && self.selection in {list(SELECTED_BY_TARGET)})",
            "must come with selection MutualInformation or ANOVA",
            "Remove it, or set selection to one of the two.",
        ),
    ),
    "RolloutSpec": (
        Rule(
            "stepWeights",
            "!has(self.stepWeights) || (self.stepWeights.isSorted()"
            " && self.stepWeights.all(x, self.stepWeights.exists_one(y, x == y)))",
            "must rise from step to step",
        ),
    ),
    "ServingSpec": (
        Rule(
            "minReplicas",
            "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            "must be at most maxReplicas",
            "Raise maxReplicas, or lower it.",
        ),
    ),
    "LabelsSpec": (
        Rule(
            "query",
            f"has(self.query) || !{_IS_DATABASE}",
            "must be set where uri is a database",
            "Add the table's name, or a SELECT statement.",
        ),
        Rule(
            "query",
            "!has(self.query) || (has(self.uri) && self.uri.matches('^[A-Za-z0-9_+]+:'))",
            "must come with a database as uri",
            "Set uri to an SQLAlchemy URL.",
        ),
    ),
    "ExpectedChange": (
        Rule("end", "self.start < self.end", "must be after start"),
        Rule(
            "repeat",
            "!has(self.repeat) || self.end - self.start < (self.repeat == 'Weekly' ? duration('168h') :"
            " self.repeat == 'Monthly' ? duration('672h') : duration('8760h'))",
            "must leave time between two occurrences (7 days Weekly, 28 Monthly, 365 Yearly)",
            "Set an earlier end: what is always expected is never seen.",
        ),
    ),
    "MonitoringSpec": (
        Rule(
            "expectedChanges",
            "!has(self.expectedChanges)"
            " || self.expectedChanges.all(x, self.expectedChanges.exists_one(y, x.name == y.name))",
            "must have another name for each change",
        ),
    ),
    "Toleration": (
        Rule(
            "operator",
            f"self.operator != 'Equal' || {_is_set('key')}",
            "must be Exists where key is empty",
            "Set key, or operator to Exists.",
        ),
        Rule(
            "value",
            f"self.operator != 'Exists' || !{_is_set('value')}",
            "must be left out where operator is Exists",
            "Remove it, or set operator to Equal.",
        ),
    ),
    "DriftReportSpec": (
        Rule("", "self == oldSelf", "a drift report says what was seen, and never changes", "Delete it instead."),
    ),
}

"""Puts together what `driftloop estimate` tells: the loop and its data, if there are any, into the planning formulas.

The mathematics is in `algorithms.samplesize` and `monitor.power`; this module chooses what to ask them and says what it
assumed.
"""

from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from driftloop.adapters.datasource import collect_data
from driftloop.algorithms.anomaly import USUAL_CONTAMINATION
from driftloop.algorithms.samplesize import (
    Requirement,
    comparison_power,
    has_closed_form,
    rows_for_flexible_models,
    rows_for_power,
    rows_for_width,
    rows_to_cluster,
    rows_to_learn_classes,
    rows_to_learn_numbers,
    rows_to_set_threshold,
)
from driftloop.cli.decisionestimation import (
    DecisionFacts,
    read_decisions,
    rows_for_better,
    rows_for_fall,
    rows_for_value,
)
from driftloop.errors import InvalidInputError
from driftloop.monitor.budget import Share, share_of_window
from driftloop.monitor.drift import MAXIMUM_REFERENCE_ROWS
from driftloop.monitor.performance import material_drop
from driftloop.monitor.power import (
    ks_power,
    rows_to_see_drift,
    rows_to_see_drop,
    shortest_window,
    significance_of_test,
)
from driftloop.spec import DataSchema, FeatureType, ModelLoop, MonitoringSpec, Task
from driftloop.spec.boundary import format_duration
from driftloop.spec.problem import NEEDS_TARGET, SUPERVISED
from driftloop.stages.encoding import TEXT_COMPONENTS
from driftloop.stages.learningcurve import CurvePoint, gain_of_last_doubling, learning_curve
from driftloop.stages.snapshot import NoDataError
from driftloop.stages.split import TRAIN_SHARE, VALIDATION_SHARE
from driftloop.stages.validate import ValidatedData, validate

TEST_SHARE = 1 - TRAIN_SHARE - VALIDATION_SHARE
POWERS = (0.8, 0.9)
CORRELATION = 0.8
"""Of two good models' scores over samples of rows. Hanley and McNeil 1983 tabulate .5 to .9 for such pairs."""
_USUAL_FEATURES = 10
_USUAL_SCORES = {Task.CLASSIFICATION: 0.75, Task.REGRESSION: 0.3}
_DATE_PARTS = 4


@dataclass(frozen=True)
class Given:
    """What the person who asks knows."""

    effect: float
    score: float | None
    rate: float | None
    features: int | None
    rows_per_day: float | None
    width: float
    curve: bool = False
    """Whether to spend the time on a learning curve."""


@dataclass(frozen=True)
class Need:
    """One requirement, beside what there is."""

    purpose: str
    rows: int | None
    """None: there is no formula, or no number suffices."""
    source: str
    have: int | None = None

    @property
    def is_enough(self) -> bool | None:
        """Whether there are so many rows; None where nobody knows."""
        return None if self.have is None or self.rows is None else self.have >= self.rows


@dataclass(frozen=True)
class Estimate:
    """What is needed, and on which assumptions."""

    needs: list[Need]
    per_class: dict[str, tuple[int, int | None]]
    """Class → rows to learn from, rows there are."""
    curve: list[CurvePoint]
    conclusions: list[str]
    assumptions: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        needs = [{**asdict(need), "enough": need.is_enough} for need in self.needs]
        per_class = {name: {"rows": rows, "have": have} for name, (rows, have) in self.per_class.items()}
        return {
            "needs": needs,
            "perClass": per_class,
            "curve": [asdict(point) for point in self.curve],
            "conclusions": self.conclusions,
            "assumptions": self.assumptions,
        }


@dataclass
class _Facts:
    """What is known or assumed; assumptions are written down as they are made."""

    rows: int | None = None
    shares: dict[str, float] = field(default_factory=dict)
    """Class → share of the rows."""
    parameters: int = 0
    features: int = 0
    assumptions: list[str] = field(default_factory=list)
    data: ValidatedData | None = None

    @property
    def rate(self) -> float:
        """Share of the rarest class; a half where there are none."""
        return min(self.shares.values(), default=0.5)


def estimate_rows(loop: ModelLoop, given: Given) -> Estimate:
    """Return what the loop needs. Data that can't be read are an assumption more, not an error."""
    facts = _gather(loop, given)
    metric, task = loop.spec.problem.metric_name, loop.spec.problem.task
    if task is Task.DECISION:
        return _estimate_decisions(loop, facts, given)
    score = given.score if given.score is not None else _USUAL_SCORES.get(task, 0.5)
    if given.score is None and not metric.startswith("neg_") and (task in NEEDS_TARGET or has_closed_form(metric)):
        facts.assumptions.append(f"{metric} will be about {score} (--score).")
    needs = [*_to_learn(loop, facts, score), *_to_judge(metric, score, facts, given)]
    learning, tested = (
        needs[0].rows or 0,
        [need.rows for need in needs if need.purpose.startswith("test") and need.rows],
    )
    total = max(round(learning / TRAIN_SHARE), *(round(rows / TEST_SHARE) for rows in tested[:2]), 0)
    traffic = _Traffic(
        loop, reference=min(facts.rows or total, MAXIMUM_REFERENCE_ROWS), tests=sum(_watched(loop, facts))
    )
    per_class = {}
    if task is Task.CLASSIFICATION:
        per_class = {
            label: (round(learning * share), None if facts.rows is None else round(facts.rows * share))
            for label, share in facts.shares.items()
        }
    kind = "labelled rows" if task in NEEDS_TARGET else "rows"
    conclusions = [
        f"Collect about {total:,} {kind}: {TRAIN_SHARE:.0%} of them are learned from, {TEST_SHARE:.0%} judge."
    ]
    if not tested:
        conclusions.append(f"There is no closed form for {metric}; the test rows are for you to judge.")
    elif facts.rows is not None:
        rows = max(int(facts.rows * TEST_SHARE), 4)
        power = comparison_power(metric, score, given.effect, rows, rate=facts.rate, correlation=CORRELATION)
        conclusions.append(
            f"With the {facts.rows:,} rows there are, a challenger better by {given.effect:g} is noticed in "
            f"{power:.0%} of cases."
        )
    facts.assumptions += [
        f"Two models' scores over samples of rows are correlated by {CORRELATION}.",
        "Rows are independent of one another; those that resemble their neighbours in time count for fewer.",
    ]
    if facts.rows is None:
        facts.assumptions.append(
            f"Windows are compared with {traffic.reference:,} rows: what you were told to collect."
        )
    curve = _curve(loop, facts.data) if given.curve and facts.data and task in SUPERVISED else []
    gain = gain_of_last_doubling(curve)
    if gain is not None:
        helps = "more rows still help" if gain > max(curve[-2].spread, 0.005) else "more rows like these help little"
        conclusions.append(f"The last doubling of the rows brought {gain:+.3f} in {metric}: {helps} a linear model.")
    return Estimate(
        needs=[*needs, *_to_watch(traffic, score, facts.rate)],
        per_class=per_class,
        curve=curve,
        conclusions=[*conclusions, *_conclude_on_windows(traffic, given.rows_per_day)],
        assumptions=facts.assumptions,
    )


def _estimate_decisions(loop: ModelLoop, facts: _Facts, given: Given) -> Estimate:
    """Return what a loop that decides needs."""
    logged = read_decisions(facts.data.table, loop.spec.data) if facts.data else DecisionFacts()
    have = None if facts.rows is None else int(facts.rows * TEST_SHARE)
    source = "importance weighting, normal approximation"
    better = [
        Need(
            f"test: a policy that earns {given.effect:g} more, seen in {power:.0%} of cases",
            rows_for_better(logged, given.effect, power, CORRELATION),
            source,
            have,
        )
        for power in POWERS
    ]
    value = rows_for_value(logged, given.width)
    traffic = _Traffic(loop, reference=min(facts.rows or MAXIMUM_REFERENCE_ROWS, MAXIMUM_REFERENCE_ROWS), tests=1)
    length = format_duration(traffic.monitoring.window.duration)
    total = max(round(rows / TEST_SHARE) for rows in (value, better[0].rows or 0))
    return Estimate(
        needs=[
            Need(f"test: reward of a policy to ± {given.width:g} (95 %)", value, source, have),
            *better,
            Need(
                f"window of {length}: the reward fell by 5 %, seen in {POWERS[0]:.0%} (decisions with a reward)",
                rows_for_fall(logged, traffic.drop_significance, POWERS[0]),
                "one-sided",
            ),
        ],
        per_class={},
        curve=[],
        conclusions=[
            f"Log about {total:,} decisions: {TRAIN_SHARE:.0%} of them are learned from, {TEST_SHARE:.0%} judge.",
            "The more alike the logging policy draws its actions, the fewer are needed.",
        ],
        assumptions=[*facts.assumptions, logged.told, f"Two policies' values are correlated by {CORRELATION}."],
    )


def _curve(loop: ModelLoop, data: ValidatedData) -> list[CurvePoint]:
    spec = loop.spec
    return learning_curve(
        data.table,
        data.schema,
        spec.preparation,
        metric=spec.problem.metric_name,
        seed=spec.training.random_state,
    )


def _gather(loop: ModelLoop, given: Given) -> _Facts:
    facts = _Facts()
    schema = _read_data(loop, facts)
    if schema:
        facts.features = len(schema.features)
        facts.parameters = sum(_parameters(loop, schema))
    if given.features or not schema:
        facts.features = facts.parameters = given.features or _USUAL_FEATURES
        if not given.features:
            facts.assumptions.append(f"There are {_USUAL_FEATURES} input columns, each one number (--features).")
    if loop.spec.problem.task is Task.ANOMALY_DETECTION:
        odd = given.rate or loop.spec.training.contamination or USUAL_CONTAMINATION
        facts.shares = {"anomalous": odd, "others": 1 - odd}
    if loop.spec.problem.task is Task.CLASSIFICATION:
        if given.rate is not None:
            facts.shares = {"rarest class": given.rate, "all others": 1 - given.rate}
        elif not facts.shares:
            facts.shares = {"each of two classes": 0.5}
            facts.assumptions.append("There are two classes, equally frequent (--positive-rate).")
    return facts


def _read_data(loop: ModelLoop, facts: _Facts) -> DataSchema | None:
    """Look at local data as far as they are there."""
    data = loop.spec.data
    nothing = f"There are no data yet at '{data.uri}' that could be looked at."
    if not data.is_here:
        facts.assumptions.append(nothing)
        return None
    try:
        few = data.model_copy(update={"min_rows": 1})
        validated = validate(collect_data(data, loop.spec.problem.task), task=loop.spec.problem.task, data=few)
    except NoDataError:
        facts.assumptions.append(nothing)
        return None
    except InvalidInputError as error:
        facts.assumptions.append(f"The data could not be used: {error}")
        return None
    facts.rows, facts.data = validated.report.rows, validated
    if validated.schema.task is Task.CLASSIFICATION:
        counts = validated.table.column(data.target_column).value_counts().to_pylist()
        facts.shares = {str(count["values"]): count["counts"] / facts.rows for count in counts}
    return validated.schema


def _parameters(loop: ModelLoop, schema: DataSchema) -> list[int]:
    """Return the columns of the prepared matrix that each input becomes."""
    most = loop.spec.preparation.max_one_hot_categories

    def of(kind: FeatureType, categories: int, *, nullable: bool) -> int:
        if kind is FeatureType.CATEGORICAL:
            return categories - 1 + nullable if categories <= most else 1
        if kind is FeatureType.TEXT:
            return TEXT_COMPONENTS
        return (_DATE_PARTS if kind is FeatureType.DATE else 1) + nullable

    return [of(one.type, len(one.categories), nullable=one.nullable) for one in schema.features]


def _to_learn(loop: ModelLoop, facts: _Facts, score: float) -> list[Need]:
    count = max(facts.parameters, 3)
    have = None if facts.rows is None else int(facts.rows * TRAIN_SHARE)
    if loop.spec.problem.task is Task.CLUSTERING:
        rows = rows_to_cluster(count)
        purpose = f"learning ({count} model inputs): clusters that are found again"
        return [Need(purpose, rows, "Dolnicar et al. 2014", have)]
    if loop.spec.problem.task is Task.ANOMALY_DETECTION:
        rows = rows_to_set_threshold(facts.rate)
        return [Need(f"learning: the threshold of {facts.rate:.3g} to within half of itself", rows, "binomial", have)]
    if loop.spec.problem.task is Task.CLASSIFICATION:
        found, source = rows_to_learn_classes(count, facts.rate), "Riley et al. 2020"
        rate = facts.rate
    else:
        r2 = score if loop.spec.problem.metric_name == "r2" else _USUAL_SCORES[Task.REGRESSION]
        found, source, rate = rows_to_learn_numbers(count, r2), "Riley et al. 2019", 0.5
    worst: Requirement = max(found, key=lambda requirement: requirement.rows)
    flexible = rows_for_flexible_models(count, rate)
    return [
        Need(f"learning ({count} model inputs), linear: {worst.purpose}", worst.rows, source, have),
        Need("learning, forests and boosting: stable", flexible, "van der Ploeg et al. 2014", have),
    ]


def _to_judge(metric: str, score: float, facts: _Facts, given: Given) -> list[Need]:
    have = None if facts.rows is None else int(facts.rows * TEST_SHARE)
    unit = " of itself" if metric.startswith("neg_") else ""
    rate = facts.rate
    sources = {"roc_auc": "Hanley & McNeil 1982, 1983", "average_precision": "Boyd et al. 2013"}
    source = sources.get(metric, "large-sample variance")
    needs = [
        Need(
            f"test: {metric} to ± {given.width:g}{unit} (95 %)",
            rows_for_width(metric, score, given.width, rate),
            source,
            have,
        )
    ]
    for power in POWERS:
        rows = rows_for_power(metric, score, given.effect, power, rate=rate, correlation=CORRELATION)
        purpose = f"test: a challenger better by {given.effect:g}{unit}, seen in {power:.0%} of cases"
        needs.append(Need(purpose, rows, source, have))
    return needs


@dataclass(frozen=True)
class _Traffic:
    """What windows of live traffic are judged by."""

    loop: ModelLoop
    reference: int
    """Rows that windows are compared with."""
    tests: int
    """Tests of a window that share the budget."""

    @property
    def monitoring(self) -> MonitoringSpec:
        return self.loop.spec.monitoring

    @property
    def significance(self) -> float:
        """p-value below which one column is significant."""
        return significance_of_test(self.monitoring.false_alarm_budget, self.monitoring.window.duration, self.tests)

    @property
    def drop_significance(self) -> float:
        """p-value below which a drop of the metric is significant."""
        return share_of_window(self.monitoring.false_alarm_budget, self.monitoring.window.duration, Share.DROP)


def _watched(loop: ModelLoop, facts: _Facts) -> tuple[int, int]:
    """Return how many inputs and answers are watched; more than two classes have a probability each."""
    if loop.spec.problem.task in {Task.REGRESSION, Task.CLUSTERING}:
        return facts.features, 1
    classes = len(facts.shares)
    return facts.features, 1 + classes if classes > 2 else 2  # noqa: PLR2004 - two classes have one probability


def _to_watch(traffic: _Traffic, score: float, rate: float) -> list[Need]:
    metric, effect = traffic.loop.spec.problem.metric_name, traffic.monitoring.min_effect_size
    drop = material_drop(metric, 1.0)
    length = format_duration(traffic.monitoring.window.duration)
    needs = [
        Need(
            f"window of {length}: {effect:.0%} of a number's values moved, seen in {POWERS[0]:.0%}",
            rows_to_see_drift(effect, traffic.reference, traffic.significance, POWERS[0]),
            f"Kolmogorov-Smirnov, {traffic.tests} tests, {traffic.reference:,} reference rows",
        ),
        Need(
            f"window of {length}: {metric} fell by {drop:g}, seen in {POWERS[0]:.0%} (labelled rows)",
            rows_to_see_drop(metric, score, drop, traffic.drop_significance, POWERS[0], rate=rate),
            "one-sided",
        ),
    ]
    is_measurable = traffic.loop.spec.problem.task in NEEDS_TARGET or has_closed_form(metric)
    return needs if is_measurable else needs[:1]


def _conclude_on_windows(traffic: _Traffic, rows_per_day: float | None) -> list[str]:
    if rows_per_day is None:
        return ["State your traffic with --rows-per-day to learn how long a window must be."]
    window, effect = traffic.monitoring.window, traffic.monitoring.min_effect_size
    rows = int(rows_per_day * (window.duration / timedelta(days=1)))
    chance = ks_power(effect, max(rows, 1), traffic.reference, traffic.significance)
    sentences = [
        (
            f"A window of {format_duration(window.duration)} holds about {rows:,} rows: a drift of {effect:.0%} in one "
            f"number is seen in at least {min(chance, 0.99):.0%} of cases."
        )
    ]
    if rows < window.min_rows:
        sentences.append(f"That is fewer than window.minRows ({window.min_rows}): no verdict until more have come.")
    shortest = shortest_window(
        effect,
        traffic.reference,
        traffic.monitoring.false_alarm_budget,
        tests=traffic.tests,
        rows_per_day=rows_per_day,
        power=POWERS[0],
    )
    sentences.append(
        f"The shortest window that sees it in {POWERS[0]:.0%} of cases: {format_duration(shortest)}."
        if shortest
        else f"No window within a year sees it in {POWERS[0]:.0%} of cases: baseline or traffic has too few rows."
    )
    return sentences

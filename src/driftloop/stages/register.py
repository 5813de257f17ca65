"""Last stage: holds the candidate against the acceptance rules and writes the run's one result. It promotes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

from driftloop.errors import DriftloopError
from driftloop.spec import AcceptanceSpec, Comparison, FeasibilityResult, GroupDifferences, RunResult, RunVerdict
from driftloop.spec.problem import CLUSTERING_METRICS
from driftloop.stages.records import SHARE_ERROR, Assessment, ChampionComparison, Evaluation, Explanation
from driftloop.stages.store import ObjectStore

COLUMNS_IN_RESULT = 5
FEWEST_AGREEMENT = 0.5
"""Rank correlation below which two detectors mean different things by anomalous, so that only labels can decide."""
FEWEST_STABILITY = 0.6
"""Adjusted Rand index of two halves' clusters below which clusters are not to be relied on; Hennig, "Cluster-wise
assessment of cluster stability", 2007, draws that line for the Jaccard index."""


class ResultExistsError(DriftloopError):
    """The run has a result already."""

    def __init__(self, uri: str) -> None:
        super().__init__(
            f"The result '{uri}' must be written once. There is one already, and it is left as it is. "
            "Start another run with another run key."
        )


@dataclass(frozen=True)
class Findings:
    """What the stages before found out about the candidate."""

    evaluation: Evaluation
    against_champion: ChampionComparison
    explanation: Explanation
    assessment: Assessment
    latency_seconds: float
    """95th percentile of a one-row prediction."""


@dataclass(frozen=True)
class Judgement:
    """Whether the candidate may serve, and why."""

    verdict: RunVerdict
    reasons: tuple[str, ...]
    """Every rule, held or not, as a plain sentence."""


@dataclass(frozen=True)
class RunFacts:
    """What the result says of the run rather than of the model."""

    loop: str
    run_key: str
    run_id: str
    bento_tag: str
    bento_uri: str
    bento_digest: str
    data_digest: str
    rows: int
    """Rows with a target that the run used."""
    runtime_image: str


def build_result(
    findings: Findings, acceptance: AcceptanceSpec, facts: RunFacts, *, threshold: float | None
) -> RunResult:
    """Judge the candidate and put everything known of it into one record; arguments as of `judge`."""
    judgement = judge(findings, acceptance, threshold=threshold)
    evaluation = findings.evaluation
    summarised = GroupDifferences.model_fields
    return RunResult(
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        algorithm=evaluation.algorithm,
        metric=evaluation.metric,
        test_score=evaluation.score,
        metrics=evaluation.metrics,
        comparison=findings.against_champion.comparison,
        importance=findings.explanation.columns[:COLUMNS_IN_RESULT],
        assessment=tuple(
            GroupDifferences(**{name: getattr(column, name) for name in summarised})
            for column in findings.assessment.columns
        ),
        trained_through=evaluation.trained_through,
        origin=evaluation.origin,
        **vars(facts),
    )


def judge(findings: Findings, acceptance: AcceptanceSpec, *, threshold: float | None) -> Judgement:
    """Apply the acceptance rules.

    Args:
        findings: what is known of the candidate.
        acceptance: the loop's rules.
        threshold: smallest value of the metric (`problem.metric.threshold`); None for no minimum.
    """
    rules = [
        *_origin_rules(findings.evaluation),
        *_score_rules(findings.evaluation, threshold),
        *_champion_rules(findings.evaluation, findings.against_champion, acceptance),
        *_gap_rules(findings.evaluation, acceptance),
        *_latency_rules(findings.latency_seconds, acceptance),
        *_fairness_rules(findings.assessment, acceptance),
    ]
    verdict = RunVerdict.ACCEPTED if all(held for held, _ in rules) else RunVerdict.REJECTED
    return Judgement(verdict, tuple(f"{'Held' if held else 'Not held'}: {text}." for held, text in rules))


def _origin_rules(evaluation: Evaluation) -> Iterator[tuple[bool, str]]:
    if evaluation.origin:
        figures = f"{evaluation.metric} {evaluation.score:.4f} on {evaluation.judged_on}"
        yield True, ". ".join((f"adopted from {evaluation.origin}; {figures}", *evaluation.notes))


def _score_rules(evaluation: Evaluation, threshold: float | None) -> Iterator[tuple[bool, str]]:
    score = evaluation.score
    if threshold is not None:
        yield score >= threshold, f"{evaluation.metric} {score:.4f} on the test rows, at least {threshold:g} wanted"


def _champion_rules(
    evaluation: Evaluation, against_champion: ChampionComparison, acceptance: AcceptanceSpec
) -> Iterator[tuple[bool, str]]:
    comparison = against_champion.comparison
    if comparison:
        rows = "labelled rows" if comparison.agreement is None else "rows"
        figures = (
            f"{comparison.metric} {comparison.challenger:.4f} against the champion's {comparison.champion:.4f} on the "
            f"newest {comparison.rows} {rows} (difference {comparison.difference:+.4f}, "
            f"95 % interval {comparison.lower:+.4f} to {comparison.upper:+.4f})"
        )
        if acceptance.champion_comparison == "Better":
            yield comparison.lower > 0, f"{figures}, interval above 0 wanted"
        else:
            yield comparison.difference >= 0, f"{figures}, difference of at least 0 wanted"
        yield from _trust_rules(evaluation, comparison)
    elif against_champion.failure:
        yield False, against_champion.failure
    else:
        yield True, "there is no champion to compare with; it is the first model"


def _trust_rules(evaluation: Evaluation, comparison: Comparison) -> Iterator[tuple[bool, str]]:
    """Return what a challenger must show besides, where a champion serves: whether it holds, and in words."""
    agreement = comparison.agreement
    if comparison.metric == SHARE_ERROR and agreement is not None:
        told = f"scores of challenger and champion have the rank correlation {agreement:.2f}"
        yield agreement >= FEWEST_AGREEMENT, f"{told}, at least {FEWEST_AGREEMENT} wanted where no labels decide"
    elif comparison.metric in CLUSTERING_METRICS:
        stability = evaluation.metrics.get("stability", 0.0)
        told = f"clusters of models fitted on halves of the rows agree by {stability:.2f} (adjusted Rand index)"
        yield stability >= FEWEST_STABILITY, f"{told}, at least {FEWEST_STABILITY} wanted"


def _gap_rules(evaluation: Evaluation, acceptance: AcceptanceSpec) -> Iterator[tuple[bool, str]]:
    limit = acceptance.max_generalization_gap
    if limit is not None and evaluation.train_score is not None:
        gap = evaluation.train_score - evaluation.score
        figures = f"{evaluation.metric} is {gap:.4f} higher on training than on test rows"
        yield gap <= limit, f"{figures}, at most {limit:g} wanted"


def _latency_rules(latency_seconds: float, acceptance: AcceptanceSpec) -> Iterator[tuple[bool, str]]:
    if acceptance.max_latency is not None:
        limit_ms, latency_ms = acceptance.max_latency.total_seconds() * 1e3, latency_seconds * 1e3
        yield latency_ms <= limit_ms, f"one row takes {latency_ms:.1f} ms (p95), at most {limit_ms:g} ms wanted"


def _fairness_rules(assessment: Assessment, acceptance: AcceptanceSpec) -> Iterator[tuple[bool, str]]:
    """A limit that can't be checked is not held: who declares one wants no model to serve that was not assessed."""
    fairness = acceptance.fairness
    if fairness is None:
        return
    if not assessment.columns:
        yield False, f"{fairness.metric} is limited, and there are no sensitive columns to assess it by"
    for column in assessment.columns:
        difference = column.differences.get(fairness.metric)
        if difference is None:
            reason = (
                column.not_assessed or f"'{column.column}' has fewer than two groups with enough rows of each class"
            )
            yield False, f"{fairness.metric} not assessed: {reason}"
            continue
        groups = ", ".join(column.left_out(fairness.metric))
        left_out = f" ({groups} left out: too few rows)" if groups else ""
        figures = f"{fairness.metric} {difference:.4f} between the groups of '{column.column}'{left_out}"
        remedy = "" if fairness.mitigation != "None" else "; acceptance.fairness.mitigation can bring groups closer"
        is_held = difference <= fairness.max
        yield is_held, f"{figures}, at most {fairness.max:g} wanted{'' if is_held else remedy}"


def write_result(store: ObjectStore, result_uri: str, result: RunResult | FeasibilityResult) -> None:
    """Write the record that the controller reads.

    Raises:
        ResultExistsError: the run has one already.
    """
    try:
        store.create(result_uri, result.model_dump_json(by_alias=True, exclude_none=True, indent=2).encode())
    except FileExistsError as error:
        raise ResultExistsError(result_uri) from error

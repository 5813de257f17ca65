"""Last stage: holds the candidate against the acceptance rules and writes the run's one result. It promotes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

from driftloop.errors import DriftloopError
from driftloop.spec import AcceptanceSpec, RunResult, RunVerdict
from driftloop.stages.records import ChampionComparison, Evaluation
from driftloop.stages.store import ObjectStore


class ResultExistsError(DriftloopError):
    """The run has a result already."""

    def __init__(self, uri: str) -> None:
        super().__init__(
            f"The result '{uri}' must be written once. There is one already, and it is left as it is. "
            "Start another run with another run key."
        )


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
    evaluation: Evaluation,
    against_champion: ChampionComparison,
    acceptance: AcceptanceSpec,
    facts: RunFacts,
    *,
    threshold: float | None,
    latency_seconds: float,
) -> RunResult:
    """Judge the candidate and put everything known of it into one record; arguments as of `judge`."""
    judgement = judge(evaluation, against_champion, acceptance, threshold=threshold, latency_seconds=latency_seconds)
    return RunResult(
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        algorithm=evaluation.algorithm,
        metric=evaluation.metric,
        test_score=evaluation.score,
        metrics=evaluation.metrics,
        comparison=against_champion.comparison,
        trained_through=evaluation.trained_through,
        **vars(facts),
    )


def judge(
    evaluation: Evaluation,
    against_champion: ChampionComparison,
    acceptance: AcceptanceSpec,
    *,
    threshold: float | None,
    latency_seconds: float,
) -> Judgement:
    """Apply the acceptance rules.

    Args:
        evaluation: what the test rows say.
        against_champion: how the candidate did against the model that serves.
        acceptance: the loop's rules.
        threshold: smallest value of the metric (`problem.metric.threshold`); None for no minimum.
        latency_seconds: 95th percentile of a one-row prediction.
    """
    rules = list(_rules(evaluation, against_champion, acceptance, threshold, latency_seconds))
    verdict = RunVerdict.ACCEPTED if all(held for held, _ in rules) else RunVerdict.REJECTED
    return Judgement(verdict, tuple(f"{'Held' if held else 'Not held'}: {text}." for held, text in rules))


def _rules(
    evaluation: Evaluation,
    against_champion: ChampionComparison,
    acceptance: AcceptanceSpec,
    threshold: float | None,
    latency_seconds: float,
) -> Iterator[tuple[bool, str]]:
    metric, score = evaluation.metric, evaluation.score
    if threshold is not None:
        yield score >= threshold, f"{metric} {score:.4f} on the test rows, at least {threshold:g} wanted"
    comparison = against_champion.comparison
    if comparison:
        figures = (
            f"{metric} {comparison.challenger:.4f} against the champion's {comparison.champion:.4f} on the newest "
            f"{comparison.rows} labelled rows (difference {comparison.difference:+.4f}, "
            f"95 % interval {comparison.lower:+.4f} to {comparison.upper:+.4f})"
        )
        if acceptance.champion_comparison == "Better":
            yield comparison.lower > 0, f"{figures}, interval above 0 wanted"
        else:
            yield comparison.difference >= 0, f"{figures}, difference of at least 0 wanted"
    elif against_champion.failure:
        yield False, against_champion.failure
    else:
        yield True, "there is no champion to compare with; it is the first model"
    if acceptance.max_generalization_gap is not None:
        gap = evaluation.train_score - score
        limit = acceptance.max_generalization_gap
        yield gap <= limit, f"{metric} is {gap:.4f} higher on training than on test rows, at most {limit:g} wanted"
    if acceptance.max_latency is not None:
        limit_ms = acceptance.max_latency.total_seconds() * 1e3
        latency_ms = latency_seconds * 1e3
        yield latency_ms <= limit_ms, f"one row takes {latency_ms:.1f} ms (p95), at most {limit_ms:g} ms wanted"


def write_result(store: ObjectStore, result_uri: str, result: RunResult) -> None:
    """Write the record that the controller reads.

    Raises:
        ResultExistsError: the run has one already.
    """
    try:
        store.create(result_uri, result.model_dump_json(by_alias=True, exclude_none=True, indent=2).encode())
    except FileExistsError as error:
        raise ResultExistsError(result_uri) from error

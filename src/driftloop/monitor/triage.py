"""Triage: what kind of change the evidence of a window adds up to, whether it does harm, and why, in plain words.

A pure function of its evidence. The rules stand in order, and the first that fits decides: a feed that is broken
explains everything else, and no run may be trained on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from driftloop.monitor.labelshift import LabelShift
from driftloop.monitor.performance import material_drop
from driftloop.spec import (
    CheckResult,
    ErrorChange,
    Estimate,
    FeatureDrift,
    Harm,
    Performance,
    Power,
    ReportKind,
    Segment,
    VerdictKind,
)

_NAMED = 3
_PAIR = " ~ "
_SURE = 1.645
"""Standard errors to the unlucky end of a one-sided 95 % interval."""
_BOTH_SIDES = 1.96
"""The same of a two-sided one, as it stands behind '±'."""
_SMALLEST_P_VALUE = 1e-9
"""Below, the number of windows means nothing to people."""

Triage = tuple[VerdictKind, Harm | None, str]


@dataclass(frozen=True)
class Evidence:
    """Everything that was found in a window."""

    rows: int
    checks: Sequence[CheckResult] = ()
    inputs: Sequence[FeatureDrift] = ()
    """Tests of the features, largest effect first."""
    outputs: Sequence[FeatureDrift] = ()
    """Tests of predictions and probabilities, largest effect first."""
    joint: FeatureDrift | None = None
    """Test of all features together, named `(all)`."""
    pairs: Sequence[FeatureDrift] = ()
    """Tests of how two features go together, named `a ~ b`."""
    unjudged: Sequence[str] = ()
    """Columns with too few independent values for a test."""
    label: FeatureDrift | None = None
    """Test of the label's distribution; absent while inputs are judged, or without a baseline of labels."""
    label_shift: LabelShift | None = None
    """How answers and labels go together; absent without labels, and for regression."""
    performance: Performance | None = None
    estimate: Estimate | None = None
    errors: ErrorChange | None = None
    segment: Segment | None = None
    """Where it is worst."""
    power: Power | None = None
    """What would have been seen."""
    learned_without_target: bool = False
    """Whether the model's answers are nothing but a description of its inputs: clusters, anomalies."""


def triage(evidence: Evidence, kind: ReportKind) -> Triage:
    """Judge a window; return the verdict, the harm of covariate drift (else None), and the summary."""
    if kind is ReportKind.PERFORMANCE and evidence.performance is not None:
        return _triage_performance(evidence.performance, evidence)
    return _triage_inputs(evidence)


def _triage_inputs(evidence: Evidence) -> Triage:  # noqa: PLR0911 - one return per rule
    inputs, outputs = _drifted(evidence.inputs), _drifted(evidence.outputs)
    fault = _fault(evidence)
    if fault:
        return VerdictKind.DATA_FAULT, None, _told(fault, _basis(evidence))
    if outputs and evidence.learned_without_target:
        moved = f"The answers moved{_over(outputs)}: {_shifts(outputs)}."
        also = f"So did the inputs: {_shifts(inputs)}." if inputs else "No input did by itself."
        return VerdictKind.PRIOR_SHIFT, None, _told(moved, also, _estimated(evidence), _basis(evidence))
    if inputs:
        harm = _expected_harm(evidence.estimate)
        also = "So did the predictions." if outputs else "The predictions kept their distribution."
        moved = f"The inputs moved{_over(inputs)}: {_shifts(inputs)}."
        return VerdictKind.COVARIATE_DRIFT, harm, _told(moved, also, _estimated(evidence), _basis(evidence))
    if evidence.joint is not None and evidence.joint.drifted:
        most = f", most of all {_shifts(evidence.inputs)}" if evidence.inputs else ""
        also = "So did the predictions." if outputs else ""
        moved = f"The inputs moved together{_over([evidence.joint])}, though none of them by itself{most}."
        summary = _told(moved, also, _estimated(evidence), _basis(evidence))
        if outputs or _got_worse(evidence.estimate):
            return VerdictKind.COVARIATE_DRIFT, _expected_harm(evidence.estimate), summary
        return VerdictKind.UNKNOWN, None, summary
    if outputs:
        moved = f"The predictions moved{_over(outputs)} while no input did: {_shifts(outputs)}."
        return VerdictKind.PRIOR_SHIFT, None, _told(moved, _estimated(evidence), _basis(evidence))
    if _got_worse(evidence.estimate):
        moved = "The model is less sure of its answers, though neither inputs nor predictions moved by themselves."
        return VerdictKind.UNKNOWN, None, _told(moved, _estimated(evidence), _basis(evidence))
    stable = "Inputs and predictions look as the model knows them."
    if evidence.unjudged:
        stable = "Nothing that can be judged moved."
    return VerdictKind.STABLE, None, _told(stable, _reach(evidence), _basis(evidence))


def _triage_performance(performance: Performance, evidence: Evidence) -> Triage:
    inputs, metric = _drifted(evidence.inputs), performance.metric
    figures = _figures(performance)
    if evidence.label_shift is not None and evidence.label_shift.exchanged:
        names = _names(evidence.label_shift.exchanged)
        fault = f"The labels {names} look exchanged: put back, the answers are as good as ever."
        return VerdictKind.DATA_FAULT, None, _told(fault, f"As they are, {metric} is {figures}.")
    fallen = f"{metric} fell to {figures}." if performance.dropped else ""
    risen = _errors(evidence.errors)
    if fallen or risen:
        return _triage_fall(" ".join(clause for clause in (fallen, risen) if clause), evidence)
    holds = f"{metric} holds: {figures}."
    if _drifted([evidence.label] if evidence.label else []) and not _failed(evidence):
        found = _triage_labels(holds, evidence)
        if found is not None:
            return found
    if inputs:
        harm = Harm.HARMLESS if _is_no_worse(performance, metric) else Harm.UNKNOWN
        moved = f"The inputs moved{_over(inputs)}: {_shifts(inputs)}."
        safe = "They do no harm that matters." if harm is Harm.HARMLESS else "More labels would tell whether they harm."
        return VerdictKind.STABLE, harm, _told(holds, moved, safe)
    return VerdictKind.STABLE, None, _told(holds, _reach(evidence))


def _triage_fall(fall: str, evidence: Evidence) -> Triage:
    """Judge answers that got worse."""
    inputs, shift = _drifted(evidence.inputs), evidence.label_shift
    fault = _fault(evidence)
    if fault:
        return VerdictKind.DATA_FAULT, None, _told(fall, fault)
    label = _drifted([evidence.label] if evidence.label else [])
    if label and shift is not None and shift.by_prior:
        why = f"The labels moved: {_shifts(label)}; given the label, the answers are what they were."
        return VerdictKind.PRIOR_SHIFT, None, _told(fall, why, _basis(evidence))
    if inputs:
        moved = f"Meanwhile the inputs moved{_over(inputs)}: {_shifts(inputs)}."
        return VerdictKind.PERFORMANCE_DROP, Harm.HARMFUL, _told(fall, moved, _explained(evidence), _where(evidence))
    meaning = "No input moved: what they mean has changed."
    return VerdictKind.CONCEPT_DRIFT, None, _told(fall, meaning, _where(evidence), _basis(evidence))


def _triage_labels(holds: str, evidence: Evidence) -> Triage | None:
    """Judge labels that moved while the metric holds; None where other cases explain them."""
    inputs, shift, label = _drifted(evidence.inputs), evidence.label_shift, evidence.label
    moved = _told(f"The labels moved: {_shifts([label] if label else [])}.", holds)
    if (not inputs) if shift is None else shift.by_prior or (shift.by_odds and not inputs):
        return VerdictKind.PRIOR_SHIFT, None, _told(moved, _basis(evidence))
    if inputs or shift is None or shift.by_cases:
        return None
    why = "No input moved, and their frequency alone does not explain it: what the inputs mean has changed."
    return VerdictKind.CONCEPT_DRIFT, None, _told(moved, why, _basis(evidence))


def _fault(evidence: Evidence) -> str:
    """Return what is broken in the feed, or nothing.

    Two columns that no longer go together though each is what it was: the world moves columns, a join shuffles rows.
    """
    failed = _failed(evidence)
    if failed:
        return _told("The feed is broken.", _messages(failed), _where(evidence))
    moved = {drift.feature for drift in _drifted(evidence.inputs)}
    torn = [pair for pair in _drifted(evidence.pairs) if moved.isdisjoint(pair.feature.split(_PAIR))]
    if torn:
        sets = [set(pair.feature.split(_PAIR)) for pair in torn]
        common = set.intersection(*sets) if len(torn) > 1 else set()
        which = f"the values of {' and '.join(sorted(common))} look" if common else "one of them looks"
        return (
            f"The feed is broken. Columns no longer go together though each by itself is what it was: "
            f"{_shifts(torn)}; {which} shuffled, or joined to other rows."
        )
    return ""


def _expected_harm(estimate: Estimate | None) -> Harm:
    if estimate is None:
        return Harm.UNKNOWN
    if estimate.changed:
        return Harm.HARMFUL
    return Harm.HARMLESS if _is_no_worse(estimate, estimate.metric) else Harm.UNKNOWN


def _is_no_worse(found: Estimate | Performance, metric: str) -> bool:
    """Return whether the metric is sure not to be materially below its reference: a test of non-inferiority."""
    if found.value is None or found.standard_error is None:
        return False
    return found.reference - found.value + _SURE * found.standard_error < material_drop(metric, found.reference)


def _got_worse(estimate: Estimate | None) -> bool:
    return estimate is not None and estimate.changed


def _failed(evidence: Evidence) -> list[CheckResult]:
    return [check for check in evidence.checks if not check.passed]


def _drifted(drifts: Sequence[FeatureDrift]) -> list[FeatureDrift]:
    return sorted((drift for drift in drifts if drift.drifted), key=lambda drift: (-drift.effect_size, drift.feature))


def _told(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _messages(failed: Sequence[CheckResult]) -> str:
    return " ".join(check.message for check in failed[:_NAMED]) + _and_more(len(failed))


def _shifts(drifts: Sequence[FeatureDrift]) -> str:
    return "; ".join(_shift(drift) for drift in drifts[:_NAMED]) + _and_more(len(drifts))


def _shift(drift: FeatureDrift) -> str:
    if not drift.moved:
        return f"{drift.feature} ({drift.effect_size:.0%} of the traffic)"
    return drift.moved if drift.moved.startswith(f"{drift.feature}:") else f"{drift.feature}: {drift.moved}"


def _names(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names[: _NAMED + 1]]
    return ", ".join(quoted[:-1]) + f" and {quoted[-1]}"


def _and_more(count: int) -> str:
    return f" (and {count - _NAMED} more)" if count > _NAMED else ""


def _over(drifts: Sequence[FeatureDrift]) -> str:
    """Say since how many windows, where no single window would have told."""
    windows = min(drift.windows for drift in drifts)
    return f" over the last {windows} windows" if windows > 1 else ""


def _figures(performance: Performance) -> str:
    value = "nothing" if performance.value is None else f"{performance.value:.3f}"
    error = f" ± {_BOTH_SIDES * performance.standard_error:.3f}" if performance.standard_error is not None else ""
    return f"{value}{error}, {performance.reference:.3f} on the model's own test rows"


def _errors(errors: ErrorChange | None) -> str:
    if errors is None or not errors.changed or errors.after <= errors.before:
        return ""
    since = f" since {errors.since:%Y-%m-%d %H:%M}" if errors.since else ""
    return f"The mean error rose from {errors.before:.3g} to {errors.after:.3g}{since}."


def _estimated(evidence: Evidence) -> str:
    """Say what the drift does to the metric, as far as can be told without labels."""
    found = evidence.estimate
    if found is None or found.value is None:
        return ""
    figures = f"{found.metric} is estimated at {found.value:.3f}"
    if found.standard_error is not None:
        figures += f" ± {_BOTH_SIDES * found.standard_error:.3f}"
    figures += f" without labels, {found.reference:.3f} on the test rows"
    if found.changed:
        return f"{figures}: answers get worse."
    if _is_no_worse(found, found.metric):
        return f"{figures}: no harm is expected."
    return f"{figures}: too uncertain to say whether it harms."


def _explained(evidence: Evidence) -> str:
    found = evidence.estimate
    if found is None or found.value is None:
        return ""
    return f"The new cases alone would give {found.value:.3f} by the model's own probabilities."


def _where(evidence: Evidence) -> str:
    return evidence.segment.message if evidence.segment else ""


def _reach(evidence: Evidence) -> str:
    power = evidence.power
    if power is None:
        return ""
    size = f"{power.shift_share:.0%} of the traffic" if power.shift_sd is None else f"{power.shift_sd:.2g} sd"
    return f"A shift of {size} would have been seen with probability {power.probability:.2g}."


def _basis(evidence: Evidence) -> str:
    tests = len(evidence.inputs) + len(evidence.outputs)
    basis = f"Judged on {evidence.rows} rows by {tests} tests."
    drifted = _drifted([*evidence.inputs, *evidence.outputs])
    if drifted and drifted[0].p_value > _SMALLEST_P_VALUE:
        basis += f" Chance alone would show this once in {1 / drifted[0].p_value:,.0f} windows."
    if evidence.unjudged:
        names = ", ".join(evidence.unjudged[:_NAMED]) + _and_more(len(evidence.unjudged))
        basis += f" Too few independent values to judge {names}."
    return basis

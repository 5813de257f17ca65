"""Triage: what kind of change the tests of one window add up to, and why, in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

from driftloop.monitor.drift import ColumnDrift
from driftloop.spec import CheckResult, Performance, VerdictKind

_NAMED = 3


@dataclass(frozen=True)
class Evidence:
    """Everything that was found in a window."""

    rows: int
    checks: Sequence[CheckResult]
    inputs: Sequence[ColumnDrift]
    """Tests of the features, largest effect first."""
    outputs: Sequence[ColumnDrift]
    """Tests of predictions and probabilities, largest effect first."""
    unjudged: Sequence[str] = ()
    """Columns with too few independent values for a test."""
    label: ColumnDrift | None = None
    """Test of the label's distribution; absent while inputs are judged, or without a baseline of labels."""


def triage_inputs(evidence: Evidence) -> tuple[VerdictKind, str]:
    """Judge features and predictions: data fault, covariate drift, prior shift or stable; and say why."""
    failed = _failed(evidence)
    inputs, outputs = _drifted(evidence.inputs), _drifted(evidence.outputs)
    if failed:
        return VerdictKind.DATA_FAULT, f"The feed is broken. {_messages(failed)} {_basis(evidence)}"
    if inputs:
        also = " So did the predictions." if outputs else " The predictions kept their distribution."
        return VerdictKind.COVARIATE_DRIFT, f"The inputs moved: {_shifts(inputs)}.{also} {_basis(evidence)}"
    if outputs:
        return (
            VerdictKind.PRIOR_SHIFT,
            f"The predictions moved while no single input did: {_shifts(outputs)}. {_basis(evidence)}",
        )
    return VerdictKind.STABLE, f"Inputs and predictions look as the model knows them. {_basis(evidence)}"


def triage_performance(performance: Performance, evidence: Evidence) -> tuple[VerdictKind, str]:
    """Judge the metric by what happened to the inputs in the same window; and say why."""
    failed, inputs = _failed(evidence), _drifted(evidence.inputs)
    figures = _figures(performance)
    if performance.dropped:
        fall = f"{performance.metric} fell to {figures}"
        if failed:
            return VerdictKind.DATA_FAULT, f"{fall}, on a broken feed. {_messages(failed)}"
        if inputs:
            return VerdictKind.PERFORMANCE_DROP, f"{fall}, while the inputs moved: {_shifts(inputs)}."
        return (
            VerdictKind.CONCEPT_DRIFT,
            f"{fall}, though no input moved: what they mean has changed. {_basis(evidence)}",
        )
    moved = _drifted([evidence.label] if evidence.label else [])
    if moved and not failed and not inputs:
        summary = f"The labels moved while no input did: {_shifts(moved)}. {performance.metric} holds: {figures}."
        return VerdictKind.PRIOR_SHIFT, f"{summary} {_basis(evidence)}"
    return VerdictKind.STABLE, f"{performance.metric} holds: {figures}."


def _failed(evidence: Evidence) -> list[CheckResult]:
    return [check for check in evidence.checks if not check.passed]


def _drifted(drifts: Sequence[ColumnDrift]) -> list[ColumnDrift]:
    return [drift for drift in drifts if drift.result.drifted]


def _messages(failed: Sequence[CheckResult]) -> str:
    return " ".join(check.message for check in failed[:_NAMED]) + _and_more(len(failed))


def _shifts(drifts: Sequence[ColumnDrift]) -> str:
    return "; ".join(drift.shift for drift in drifts[:_NAMED]) + _and_more(len(drifts))


def _and_more(count: int) -> str:
    return f" (and {count - _NAMED} more)" if count > _NAMED else ""


def _figures(performance: Performance) -> str:
    value = "nothing" if performance.value is None else f"{performance.value:.3f}"
    error = f" ± {performance.standard_error:.3f}" if performance.standard_error is not None else ""
    return f"{value}{error}, {performance.reference:.3f} on the model's own test rows"


def _basis(evidence: Evidence) -> str:
    tests = len(evidence.inputs) + len(evidence.outputs)
    basis = f"Judged on {evidence.rows} rows by {tests} tests."
    if evidence.unjudged:
        names = ", ".join(evidence.unjudged[:_NAMED]) + _and_more(len(evidence.unjudged))
        basis += f" Too few independent values to judge {names}."
    return basis

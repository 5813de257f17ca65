"""The typed objects of driftloop: the one source of validation, defaults, documentation and error texts."""

from driftloop.spec.dataschema import DataSchema, Feature, FeatureType, Target
from driftloop.spec.driftreport import (
    CheckResult,
    DriftReport,
    FeatureDrift,
    Performance,
    ReportKind,
    Verdict,
    VerdictKind,
    Window,
)
from driftloop.spec.modelloop import (
    AcceptanceSpec,
    DataSpec,
    Maturity,
    ModelLoop,
    ModelLoopSpec,
    MonitoringSpec,
    PreparationSpec,
    ProblemSpec,
    RetrainingSpec,
    Task,
    TrainingSpec,
    Trigger,
)
from driftloop.spec.runresult import Comparison, RunResult, RunVerdict

__all__ = [
    "AcceptanceSpec",
    "CheckResult",
    "Comparison",
    "DataSchema",
    "DataSpec",
    "DriftReport",
    "Feature",
    "FeatureDrift",
    "FeatureType",
    "Maturity",
    "ModelLoop",
    "ModelLoopSpec",
    "MonitoringSpec",
    "Performance",
    "PreparationSpec",
    "ProblemSpec",
    "ReportKind",
    "RetrainingSpec",
    "RunResult",
    "RunVerdict",
    "Target",
    "Task",
    "TrainingSpec",
    "Trigger",
    "Verdict",
    "VerdictKind",
    "Window",
]

"""The verdict on one closed window of one model version: the way from the prediction log's rows to a `Verdict`.

The false-alarm budget is spent here: half on inputs, half on performance, each shared by the tests of a window.
"""

from dataclasses import dataclass

from pandas import DataFrame

from driftloop.monitor.baseline import Baseline
from driftloop.monitor.budget import count_tests, window_significance
from driftloop.monitor.checks import check_inputs
from driftloop.monitor.columns import read_features, read_outputs, read_target
from driftloop.monitor.drift import ColumnDrift, Sensitivity, compare_columns
from driftloop.monitor.engines import DriftTest
from driftloop.monitor.performance import Measurement, Reference, Spread, has_fallen, measure
from driftloop.monitor.triage import Evidence, triage_inputs, triage_performance
from driftloop.predictionlog.columns import FEATURE_PREFIX, LABEL, OUTPUT_PREFIX, TIME
from driftloop.spec import (
    DataSchema,
    FeatureDrift,
    MonitoringSpec,
    Performance,
    ReportKind,
    Verdict,
    VerdictKind,
    Window,
)


def not_enough_data(kind: ReportKind, model_version: str, window: Window, summary: str) -> Verdict:
    """Return the verdict on a window that can't be judged, with the reason."""
    return Verdict(
        kind=kind, model_version=model_version, window=window, verdict=VerdictKind.NOT_ENOUGH_DATA, summary=summary
    )


@dataclass(frozen=True)
class Judge:
    """Judges windows of one model version."""

    model_version: str
    schema: DataSchema
    baseline: Baseline
    monitoring: MonitoringSpec
    engine: DriftTest

    def judge_inputs(self, frame: DataFrame, window: Window) -> Verdict:
        """Judge features and predictions.

        `frame` holds the window's rows of the model version as `PredictionLogReader.predictions` returns them.
        """
        if len(frame) < self.monitoring.window.min_rows:
            return self._too_few_rows(ReportKind.INPUTS, len(frame), window)
        evidence = self._gather(frame, window)
        verdict, summary = triage_inputs(evidence)
        return self._verdict(ReportKind.INPUTS, window, verdict, summary, evidence)

    def judge_performance(self, frame: DataFrame, window: Window) -> Verdict:
        """Judge the answers by their labels, and by what the inputs did in the same window.

        `frame` holds the window's rows of the model version as `PredictionLogReader.joined` returns them. Labels for
        half of `minRows` are enough: some never arrive.
        """
        labelled = frame[frame[LABEL].notna()]
        window = window.model_copy(update={"labelled_rows": len(labelled)})
        if len(frame) < self.monitoring.window.min_rows:
            return self._too_few_rows(ReportKind.PERFORMANCE, len(frame), window)
        metric = self.baseline.metric
        measured = measure(metric, labelled[LABEL], unprefixed(labelled, OUTPUT_PREFIX), self.schema)
        if measured.rows < self.monitoring.window.min_rows / 2:
            summary = f"{measured.rows} usable labels in the window; a verdict needs half of minRows."
            return not_enough_data(ReportKind.PERFORMANCE, self.model_version, window, summary)
        performance = self._performance(measured, window)
        if performance.standard_error is None:
            summary = f"{metric} can't be measured on {measured.rows} labelled rows: too few of one class."
            verdict = not_enough_data(ReportKind.PERFORMANCE, self.model_version, window, summary)
            return verdict.model_copy(update={"performance": performance})
        evidence = self._gather(frame, window, self._label_drift(labelled, window))
        kind, summary = triage_performance(performance, evidence)
        verdict = self._verdict(ReportKind.PERFORMANCE, window, kind, summary, evidence)
        return verdict.model_copy(update={"performance": performance})

    def _gather(self, frame: DataFrame, window: Window, label: ColumnDrift | None = None) -> Evidence:
        features = read_features(unprefixed(frame, FEATURE_PREFIX), self.schema, frame[TIME])
        outputs = read_outputs(unprefixed(frame, OUTPUT_PREFIX), self.schema)
        tests = count_tests(len(self.baseline.features), len(self.baseline.outputs))
        sensitivity = self._sensitivity(window, tests)
        input_drifts, unjudged_inputs = compare_columns(
            features, self.baseline.features, sensitivity=sensitivity, engine=self.engine
        )
        output_drifts, unjudged_outputs = compare_columns(
            outputs, self.baseline.outputs, sensitivity=sensitivity, engine=self.engine
        )
        return Evidence(
            rows=len(frame),
            checks=check_inputs(features, self.baseline, self.schema, sensitivity),
            inputs=input_drifts,
            outputs=output_drifts,
            unjudged=[*unjudged_inputs, *unjudged_outputs],
            label=label,
        )

    def _label_drift(self, labelled: DataFrame, window: Window) -> ColumnDrift | None:
        if self.baseline.label is None:
            return None
        column = {self.baseline.label.name: read_target(labelled[LABEL], self.schema)}
        drifts, _ = compare_columns(
            column,
            [self.baseline.label],
            sensitivity=self._sensitivity(window, self._performance_tests),
            engine=self.engine,
        )
        return drifts[0] if drifts else None

    def _performance(self, measured: Measurement, window: Window) -> Performance:
        baseline, dropped = self.baseline, False
        if measured.value is not None and measured.standard_error is not None:
            spread = Spread(baseline.metric_spread, baseline.metric_blocks)
            reference = Reference(baseline.metric_value, baseline.metric_standard_error, spread)
            significance = self._significance(window) / self._performance_tests
            variance = measured.standard_error**2
            dropped = has_fallen(baseline.metric, measured.value, variance, reference, significance)
        return Performance(
            metric=baseline.metric,
            value=measured.value,
            standard_error=measured.standard_error,
            reference=baseline.metric_value,
            dropped=dropped,
        )

    @property
    def _performance_tests(self) -> int:
        """The metric and, where the baseline knows them, the labels."""
        return 1 if self.baseline.label is None else 2

    def _sensitivity(self, window: Window, tests: int) -> Sensitivity:
        """Divide the window's share of the budget by its tests (Bonferroni)."""
        return Sensitivity(
            significance=self._significance(window) / tests,
            min_effect_size=self.monitoring.min_effect_size,
            durations=max(round((window.end - window.start) / self.monitoring.window.duration), 1),
        )

    def _significance(self, window: Window) -> float:
        """Return the share of one kind's half of the budget that falls to this window."""
        return window_significance(self.monitoring.false_alarm_budget, window.end - window.start)

    def _too_few_rows(self, kind: ReportKind, rows: int, window: Window) -> Verdict:
        summary = f"{rows} predictions in the window; a verdict needs {self.monitoring.window.min_rows}."
        return not_enough_data(kind, self.model_version, window, summary)

    def _verdict(
        self, kind: ReportKind, window: Window, verdict: VerdictKind, summary: str, evidence: Evidence
    ) -> Verdict:
        return Verdict(
            kind=kind,
            model_version=self.model_version,
            window=window,
            verdict=verdict,
            summary=summary,
            checks=tuple(evidence.checks),
            features=_results(evidence),
            engine=self.engine.name,
        )


def _results(evidence: Evidence) -> tuple[FeatureDrift, ...]:
    drifts = [*evidence.inputs, *evidence.outputs, *([evidence.label] if evidence.label else [])]
    return tuple(d.result for d in sorted(drifts, key=lambda d: (-d.result.effect_size, d.result.feature)))


def unprefixed(frame: DataFrame, prefix: str) -> DataFrame:
    """Return the columns of the prediction log whose names begin with the prefix, without it."""
    return frame.loc[:, frame.columns.str.startswith(prefix)].rename(columns=lambda name: name.removeprefix(prefix))

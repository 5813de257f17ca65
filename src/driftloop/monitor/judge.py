"""The verdict on one closed window of one model version: the way from the prediction log's rows to a `Verdict`.

The false-alarm budget is spent here: half on inputs, half on performance, each shared by the tests of a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pandas import DataFrame

from driftloop.monitor.baseline import Baseline
from driftloop.monitor.budget import SPENT_BY, Share, share_of_window
from driftloop.monitor.capacity import Capacity, assess_capacity
from driftloop.monitor.checks import Arrival, Stretch, check_inputs
from driftloop.monitor.columns import Column, column_of, read_features, read_outputs, read_target
from driftloop.monitor.detector import Detector
from driftloop.monitor.drift import DriftWatch
from driftloop.monitor.engines import DriftTest
from driftloop.monitor.errorstream import ErrorSums, error_sums, judge_errors, read_errors
from driftloop.monitor.estimate import estimate
from driftloop.monitor.explanations import explain
from driftloop.monitor.feed import seconds_of
from driftloop.monitor.labeldelay import label_delays
from driftloop.monitor.labelshift import LabelShift, read_label_shift
from driftloop.monitor.performance import Measurement, Reference, Spread, all_metrics, has_fallen, measure
from driftloop.monitor.power import blind_columns, power_of_window
from driftloop.monitor.scores import Sums
from driftloop.monitor.segments import row_errors, worst_of_errors, worst_of_window
from driftloop.monitor.triage import Evidence, triage
from driftloop.predictionlog.columns import FEATURE_PREFIX, LABEL, LABEL_TIME, OUTPUT_PREFIX, TIME
from driftloop.spec import (
    Budget,
    DataSchema,
    ErrorChange,
    Estimate,
    FeatureDrift,
    MonitoringSpec,
    Performance,
    ReportKind,
    Segment,
    Verdict,
    VerdictKind,
    Window,
)
from driftloop.spec.problem import UNSUPERVISED


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

    @cached_property
    def _watch(self) -> DriftWatch:
        """Watches features and answers."""
        answers = [column.model_copy(update={"name": self._apart(column.name)}) for column in self.baseline.outputs]
        columns = [*self.baseline.features, *answers]
        return DriftWatch(Detector(columns, self.baseline.pairs, self.baseline.joint), self.engine)

    @cached_property
    def _label_watch(self) -> DriftWatch | None:
        label = self.baseline.label
        return None if label is None else DriftWatch(Detector([label]), self.engine)

    def sums(self, frame: DataFrame, window: Window) -> Sums:
        """Sum up a window's features and answers; `frame` as in `judge_inputs`."""
        return self._watch.detector.scorer.sums(self._read(frame), window.start, window.end)

    def error_sums(self, frame: DataFrame, window: Window) -> ErrorSums:
        """Sum up a window's errors; `frame` as in `judge_performance`."""
        errors = read_errors(frame[LABEL], unprefixed(frame, OUTPUT_PREFIX), self.schema)
        seconds = seconds_of(frame[TIME])
        return error_sums(self.baseline.errors, errors, seconds, start=window.start, end=window.end)

    def judge_inputs(
        self, frame: DataFrame, window: Window, past: Sequence[Sums] = (), feed: Sequence[Stretch] = ()
    ) -> Verdict:
        """Judge features and predictions.

        Args:
            frame: the window's rows of the model version as `PredictionLogReader.predictions` returns them.
            window: the stretch of time.
            past: sums of the windows before, of the same model version, newest last.
            feed: how many predictions came before, whatever model answered, and in this window, the last; empty where
                that is not known.
        """
        if len(frame) < self.monitoring.window.min_rows:
            return self._too_few_rows(ReportKind.INPUTS, len(frame), window)
        evidence = self._gather(frame, window, past, feed)
        return self._verdict(ReportKind.INPUTS, window, evidence)

    def judge_performance(
        self,
        frame: DataFrame,
        window: Window,
        past: Sequence[Sums] = (),
        past_errors: Sequence[ErrorSums] = (),
    ) -> Verdict:
        """Judge the answers by their labels, and by what the inputs did in the same window.

        Labels for half of `minRows` are enough: some never arrive.

        Args:
            frame: the window's rows of the model version as `PredictionLogReader.joined` returns them.
            window: the stretch of time.
            past: sums of the windows before, of the same model version, newest last.
            past_errors: the same of their errors.
        """
        labelled = frame[frame[LABEL].notna()]
        window = window.model_copy(update={"labelled_rows": len(labelled)})
        if len(frame) < self.monitoring.window.min_rows:
            return self._too_few_rows(ReportKind.PERFORMANCE, len(frame), window)
        if self._learned_without_target and self.baseline.label is None:
            summary = "The model was trained without labels: there is no performance to compare answers with."
            return not_enough_data(ReportKind.PERFORMANCE, self.model_version, window, summary)
        metric = self.baseline.metric
        measured = measure(metric, labelled[LABEL], unprefixed(labelled, OUTPUT_PREFIX), self.schema)
        if measured.rows < self.monitoring.window.min_rows / 2:
            summary = f"{measured.rows} usable labels in the window; a verdict needs half of minRows."
            return not_enough_data(ReportKind.PERFORMANCE, self.model_version, window, summary)
        performance = self._performance(frame, measured, window)
        if performance.standard_error is None:
            summary = f"{metric} can't be measured on {measured.rows} labelled rows: too few of one class."
            verdict = not_enough_data(ReportKind.PERFORMANCE, self.model_version, window, summary)
            return verdict.model_copy(update={"performance": performance})
        evidence = replace(
            self._gather(frame, window, past),
            label=self._label_drift(labelled, window),
            label_shift=self._label_shift(labelled),
            performance=performance,
            errors=self._error_change(labelled, window, past_errors),
            segment=self._worst_answers(labelled),
        )
        return self._verdict(ReportKind.PERFORMANCE, window, evidence)

    def _read(self, frame: DataFrame) -> dict[str, Column]:
        features = read_features(unprefixed(frame, FEATURE_PREFIX), self.schema, frame[TIME])
        outputs = read_outputs(unprefixed(frame, OUTPUT_PREFIX), self.schema)
        return features | {self._apart(name): column for name, column in outputs.items()}

    def _apart(self, output: str) -> str:
        """Return what an answer is called beside the features."""
        return OUTPUT_PREFIX + output if output in self.schema.feature_names else output

    def _gather(self, frame: DataFrame, window: Window, past: Sequence[Sums], feed: Sequence[Stretch] = ()) -> Evidence:
        columns = self._read(frame)
        features = {reference.name for reference in self.baseline.features}
        sums = self._watch.detector.scorer.sums(columns, window.start, window.end)
        found = self._watch.compare(
            columns,
            [*past, sums],
            probability=self._share(window, Share.DRIFT),
            min_effect_size=self.monitoring.min_effect_size,
        )
        checks = check_inputs(
            {name: columns[name] for name in features},
            self.baseline,
            self.schema,
            Arrival(seconds_of(frame[TIME]), window.start, window.end, self.monitoring.window.duration, feed),
            significance=self._share(window, Share.CHECKS),
            min_effect_size=self.monitoring.min_effect_size,
        )
        inputs = [drift for drift in found.columns if drift.feature in features]
        if all(check.passed for check in checks):
            moved = [drift for drift in inputs if drift.drifted]
            references = {reference.name: reference for reference in self.baseline.features}
            checks = [*explain(moved, columns, references, self.schema), *checks]
        return Evidence(
            rows=len(frame),
            checks=checks,
            inputs=inputs,
            outputs=[drift for drift in found.columns if drift.feature not in features],
            pairs=found.pairs,
            joint=found.joint,
            unjudged=[*found.unjudged, *blind_columns(self._watch.detector, found.findings)],
            segment=worst_of_window(self.baseline.segments, columns, self.baseline.features, inputs, checks),
            power=power_of_window(self._watch.detector, found.findings, len(frame), self.monitoring.min_effect_size),
            estimate=self._estimate(frame, columns, window),
            learned_without_target=self._learned_without_target,
        )

    @property
    def _learned_without_target(self) -> bool:
        return self.schema.task in UNSUPERVISED

    def _estimate(self, frame: DataFrame, columns: dict[str, Column], window: Window) -> Estimate | None:
        if self.baseline.estimation is None:
            return None
        outputs, share = unprefixed(frame, OUTPUT_PREFIX), self._share(window, Share.ESTIMATE)
        return estimate(self.baseline.estimation, columns, outputs, self.schema, significance=share)

    def _worst_answers(self, labelled: DataFrame) -> Segment | None:
        features = read_features(unprefixed(labelled, FEATURE_PREFIX), self.schema, labelled[TIME])
        errors = row_errors(labelled[LABEL], unprefixed(labelled, OUTPUT_PREFIX), self.schema)
        return worst_of_errors(self.baseline.segments, features, errors)

    def _label_drift(self, labelled: DataFrame, window: Window) -> FeatureDrift | None:
        if self._label_watch is None or self.baseline.label is None:
            return None
        columns = {self.baseline.label.name: read_target(labelled[LABEL], self.schema)}
        found = self._label_watch.compare(
            columns,
            [self._label_watch.detector.scorer.sums(columns, window.start, window.end)],
            probability=self._share(window, Share.LABELS),
            min_effect_size=self.monitoring.min_effect_size,
        )
        return next(iter(found.columns), None)

    @cached_property
    def capacity(self) -> Capacity:
        """Which budget the reference can carry."""
        return assess_capacity(self.baseline, self.monitoring)

    def _error_change(self, labelled: DataFrame, window: Window, past: Sequence[ErrorSums]) -> ErrorChange | None:
        sums = [*past, self.error_sums(labelled, window)]
        return judge_errors(self.baseline.errors, sums, self._share(window, Share.ERRORS))

    def _share(self, window: Window, share: Share) -> float:
        return share_of_window(self.capacity.kept, window.end - window.start, share)

    def _budget(self, kind: ReportKind, window: Window) -> Budget:
        spent = sum(self._share(window, share) for share in SPENT_BY[kind])
        return self.capacity.budget.model_copy(update={"spent": spent})

    def _performance(self, frame: DataFrame, measured: Measurement, window: Window) -> Performance:
        baseline, labelled, dropped = self.baseline, frame[frame[LABEL].notna()], False
        if measured.value is not None and measured.standard_error is not None:
            spread = Spread(baseline.metric_spread, baseline.metric_blocks)
            reference = Reference(baseline.metric_value, baseline.metric_standard_error, spread)
            share, variance = self._share(window, Share.DROP), measured.standard_error**2
            dropped = has_fallen(baseline.metric, measured.value, variance, reference, share)
        known_through = window.end + self.monitoring.labels.expected_delay
        return Performance(
            metric=baseline.metric,
            value=measured.value,
            standard_error=measured.standard_error,
            reference=baseline.metric_value,
            dropped=dropped,
            metrics=all_metrics(labelled[LABEL], unprefixed(labelled, OUTPUT_PREFIX), self.schema),
            maturity=label_delays(frame[TIME], column_of(frame, LABEL_TIME), known_through),
        )

    def _too_few_rows(self, kind: ReportKind, rows: int, window: Window) -> Verdict:
        summary = f"{rows} predictions in the window; a verdict needs {self.monitoring.window.min_rows}."
        return not_enough_data(kind, self.model_version, window, summary)

    def _label_shift(self, labelled: DataFrame) -> LabelShift | None:
        if self.baseline.answers is None:
            return None
        outputs = unprefixed(labelled, OUTPUT_PREFIX)
        return read_label_shift(self.baseline.answers, labelled[LABEL], outputs, self.schema)

    def _verdict(self, kind: ReportKind, window: Window, evidence: Evidence) -> Verdict:
        verdict, harm, summary = triage(evidence, kind)
        return Verdict(
            kind=kind,
            model_version=self.model_version,
            window=window,
            verdict=verdict,
            summary=summary,
            checks=tuple(evidence.checks),
            features=_results(evidence),
            performance=evidence.performance,
            engine=self.engine.name,
            harm=harm,
            power=evidence.power,
            budget=self._budget(kind, window),
            estimate=evidence.estimate,
            errors=evidence.errors,
            segment=evidence.segment,
        )


def _results(evidence: Evidence) -> tuple[FeatureDrift, ...]:
    others = [drift for drift in (evidence.joint, evidence.label) if drift is not None]
    drifts = [*evidence.inputs, *evidence.outputs, *evidence.pairs, *others]
    return tuple(sorted(drifts, key=lambda drift: (-drift.effect_size, drift.feature)))


def unprefixed(frame: DataFrame, prefix: str) -> DataFrame:
    """Return the columns of the prediction log whose names begin with the prefix, without it."""
    columns = {name.removeprefix(prefix): frame[name] for name in frame.columns if name.startswith(prefix)}
    return DataFrame(columns, index=frame.index, copy=False)  # the cells are the frame's own

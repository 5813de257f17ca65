"""The triage's table: twelve kinds of fault and drift, and a thirteenth, on three data sets; what each is routed to.

Real models, trained by the platform's stages, answer the traffic; the real judge judges features and answers of each
window, with the sums of the windows before, and then the labels. A window's route is the verdict on its labels where
that alarms, unless its inputs are a data fault. A case is right when its first alarm is of an expected kind.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pandas as pd

from driftloop.monitor.scores import Sums
from driftloop.replay.injections import Injection, InjectionKind, inject
from driftloop.spec import Harm, Verdict, VerdictKind, Window
from driftloop.spec.operation import Trigger
from tools.bench_alarms.watchedmodels import TRUTH, WHEN, WINDOW, DataSet, WatchedModel, data_sets, train

SEEDS = (0, 1)
_CLEAN, _CHANGED, _ALL = 3, 4, 16
"""Windows before the injection, with it, and in all; the others lend rows to `class_prior`."""
_FAULT = {VerdictKind.DATA_FAULT}
_INPUTS = {VerdictKind.COVARIATE_DRIFT, VerdictKind.PERFORMANCE_DROP}
K = InjectionKind


@dataclass(frozen=True)
class Case:
    """An injection and the verdicts that are right."""

    kind: str
    injection: Injection
    expected: set[VerdictKind]


@dataclass
class Outcome:
    """What the windows of a case were called."""

    case: Case
    routes: list[VerdictKind] = field(default_factory=list)
    """One per changed window, labels known."""
    first_inputs: VerdictKind = VerdictKind.STABLE
    """First alarm without labels."""
    retrained: int = 0
    """Verdicts that may start a run."""

    @property
    def route(self) -> VerdictKind:
        """The first alarm."""
        return next((route for route in self.routes if route.is_alarm), VerdictKind.STABLE)

    @property
    def is_right(self) -> bool:
        """Whether the first alarm is of an expected kind, and no data fault may start a run."""
        is_fault = self.case.expected == _FAULT
        return self.route in self.case.expected and not (is_fault and self.retrained)


def cases(data: DataSet) -> Iterator[Case]:
    """Return the cases of a data set, up to three columns each."""

    def case(kind: str, injected: InjectionKind, expected: set[VerdictKind], *columns: str, **more: object) -> Case:
        start, end = _CLEAN / _ALL, (_CLEAN + _CHANGED) / _ALL
        return Case(kind, Injection(injected, columns, start=start, end=end, **more), expected)  # type: ignore[arg-type]

    for name in data.movable:
        yield case("mean shift", K.MEAN_SHIFT, _INPUTS, name, size=1.0)
        yield case("scale shift", K.SCALE_SHIFT, _INPUTS, name, size=2.0)
        yield case("null burst", K.NULL_BURST, _FAULT, name, size=0.4)
        yield case("stuck sensor", K.STUCK_SENSOR, _FAULT, name)
        yield case("gradual", K.MEAN_SHIFT, _INPUTS, name, size=1.5, ramp=_CHANGED * WINDOW)
        yield case("recurring", K.MEAN_SHIFT, _INPUTS, name, size=1.0, period=2 * WINDOW)
        yield case("concept (13th)", K.CONCEPT, {VerdictKind.CONCEPT_DRIFT}, name, size=0.6)
    for name in data.categories:
        yield case("new category", K.NEW_CATEGORY, _FAULT, name, size=0.3)
    for name, factor, offset in data.units:
        yield case("unit change", K.UNIT_CHANGE, _FAULT, name, size=factor, offset=offset)
    for one, other in data.swaps:
        yield case("column swap", K.COLUMN_SWAP, _FAULT, one, other)
    for name in data.related:
        yield case("feature permutation", K.FEATURE_PERMUTATION, _FAULT, name)
    yield case("label swap", K.LABEL_SWAP, _FAULT)
    yield case("class prior", K.CLASS_PRIOR, {VerdictKind.PRIOR_SHIFT}, size=data.prior)
    yield case("duplicated feed", K.DUPLICATED_FEED, _FAULT)


@dataclass
class Bench:
    """A model on its traffic; windows before any injection are judged once, for they are the same in every case."""

    model: WatchedModel
    past: list[Sums] = field(default_factory=list)
    false_alarms: int = 0

    def __post_init__(self) -> None:
        for number in range(_CLEAN):
            inputs, labels, sums = self._judge(self.model.live, number, self.past)
            self.false_alarms += inputs.verdict.is_alarm + labels.verdict.is_alarm
            self.past.append(sums)

    def run(self, case: Case, seed: int) -> Outcome:
        """Judge the windows with the injection."""
        rows = inject(self.model.live, case.injection, time_column=WHEN, target_column=TRUTH, seed=seed)
        if case.injection.kind in (K.MEAN_SHIFT, K.SCALE_SHIFT):  # ages move in whole years
            name = case.injection.columns[0]
            if (self.model.live[name] % 1 == 0).all():
                rows[name] = rows[name].round()
        outcome, past = Outcome(case), [*self.past]
        for number in range(_CLEAN, _CLEAN + _CHANGED):
            inputs, labels, sums = self._judge(rows, number, past)
            past.append(sums)
            is_labels = labels.verdict.is_alarm and inputs.verdict is not VerdictKind.DATA_FAULT
            outcome.routes.append(labels.verdict if is_labels else inputs.verdict)
            if not outcome.first_inputs.is_alarm and inputs.verdict.is_alarm:
                outcome.first_inputs = inputs.verdict
            outcome.retrained += sum(_may_retrain(verdict) for verdict in (inputs, labels))
        return outcome

    def _judge(self, rows: pd.DataFrame, number: int, past: Sequence[Sums]) -> tuple[Verdict, Verdict, Sums]:
        judge = self.model.judge
        start = (self.model.live[WHEN].iloc[0].floor("h") + number * WINDOW).to_pydatetime()
        within = rows[(rows[WHEN] >= start) & (rows[WHEN] < start + WINDOW)]
        window = Window(start=start, end=start + WINDOW, rows=len(within))
        frame = self.model.logged(within.reset_index(drop=True))
        inputs, labels = judge.judge_inputs(frame, window, past), judge.judge_performance(frame, window, past)
        return inputs, labels, judge.sums(frame, window)


def _may_retrain(verdict: Verdict) -> bool:
    return verdict.verdict in set(Trigger) and verdict.harm is not Harm.HARMLESS


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the confusion table in Markdown: kinds down, verdicts across."""
    kinds = list(dict.fromkeys(outcome.case.kind for outcome in outcomes))
    verdicts = [kind for kind in VerdictKind if any(outcome.route is kind for outcome in outcomes)]
    lines = [
        "| injected | expected | " + " | ".join(verdicts) + " | right | first without labels | fault may retrain |",
        "|---" * (len(verdicts) + 5) + "|",
    ]
    for kind in kinds:
        of_kind = [outcome for outcome in outcomes if outcome.case.kind == kind]
        counts = Counter(outcome.route for outcome in of_kind)
        inputs = Counter(outcome.first_inputs for outcome in of_kind).most_common()
        is_fault = of_kind[0].case.expected == _FAULT
        cells = [
            kind,
            " or ".join(sorted(of_kind[0].case.expected)),
            *(str(counts[verdict] or "") for verdict in verdicts),
            f"{sum(outcome.is_right for outcome in of_kind)} of {len(of_kind)}",
            ", ".join(f"{verdict} {count}" for verdict, count in inputs),
            str(sum(outcome.retrained > 0 for outcome in of_kind)) if is_fault else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    began = time.monotonic()
    outcomes: list[Outcome] = []
    wrong, false_alarms, clean = list[str](), 0, 0
    for data in data_sets():
        for seed in SEEDS:
            bench = Bench(train(data, seed=seed))
            false_alarms, clean = false_alarms + bench.false_alarms, clean + 2 * _CLEAN
            of_model = [bench.run(case, seed) for case in cases(data)]
            outcomes += of_model
            wrong += [
                f"{data.name}, seed {seed}: {found.case.kind} ({found.case.injection}): "
                + ", ".join(str(route) for route in found.routes)
                for found in of_model
                if not found.is_right
            ]
    listed = [outcome for outcome in outcomes if "13th" not in outcome.case.kind]
    right = sum(outcome.is_right for outcome in listed)
    retrained = sum(outcome.retrained > 0 for outcome in listed if outcome.case.expected == _FAULT)
    print("## Triage: what is injected, and what it is called\n")
    print(table(outcomes))
    print(f"\nRouted right: {right} of {len(listed)} ({right / len(listed):.1%}). ", end="")
    print(f"Data faults that may start a run: {retrained}. ", end="")
    print(f"Alarms before the change: {false_alarms} of {clean} verdicts. ", end="")
    print(f"{timedelta(seconds=round(time.monotonic() - began))} in all.\n")
    for line in wrong:
        print(f"- {line}")


if __name__ == "__main__":
    pd.set_option("future.no_silent_downcasting", True)
    main()

"""Stage `feasibility`: ends a proof of concept with go or no-go, by rules with figures, and what would help.

Last in the feasibility pipeline. The learning curve is fitted on training rows only and judged on the validation rows;
the comparisons with a dummy and with a simple tree are made on the test rows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.metrics import Interval, compare, score, standard_error
from driftloop.algorithms.tasks import answer, set_up
from driftloop.reports.curve import learning_curve
from driftloop.reports.page import fact_table, render_page
from driftloop.spec import DataSchema, FeasibilityResult, FeasibilityVerdict, Task, TrainingSpec
from driftloop.spec.problem import UNSUPERVISED
from driftloop.stages.baselines import dummy_answers
from driftloop.stages.feasibilitystructure import (
    StructureStudy,
    structure_advice,
    structure_rules,
    study_structure,
)
from driftloop.stages.matrices import Matrices
from driftloop.stages.policies import simple_policies
from driftloop.stages.records import Evaluation, Explanation
from driftloop.stages.sample import choose_rows
from driftloop.stages.table import encode_target, read_features, read_target

CURVE_SHARES = (0.125, 0.25, 0.5, 1.0)
FEWEST_CURVE_ROWS = 60
FEWEST_TEST_ROWS_OF_A_CLASS = 20
"""Of fewer rows, one more hit moves a rate by more than 5 %."""
TREE_DEPTH = 2
_MOST_DOUBLINGS = 6
"""A curve says nothing of more than 64 times its rows."""


@dataclass(frozen=True)
class Curve:
    """How the score grows with the training rows."""

    sizes: tuple[int, ...]
    scores: tuple[float, ...]
    """Mean on the validation rows."""
    error: float
    """Standard error of the last score."""

    @property
    def gain_per_doubling(self) -> float:
        """Mean gain of the last two doublings; 0 where there are fewer points."""
        steps = np.diff(self.scores)[-2:]
        return float(steps.mean()) if len(steps) else 0.0


@dataclass(frozen=True)
class Study:
    """What was measured."""

    evaluation: Evaluation
    explanation: Explanation
    curve: Curve
    dummy_score: float
    over_dummy: Interval
    tree_score: float
    over_tree: Interval
    rarest: tuple[str, int] | None
    """Class with the fewest test rows, and how many; None for a regression."""


def study(
    chain: Any,
    matrices: Matrices,
    train: pa.Table,
    test: pa.Table,
    schema: DataSchema,
    *,
    evaluation: Evaluation,
    explanation: Explanation,
    training: TrainingSpec,
) -> Study | StructureStudy:
    """Measure what the rules need.

    Args:
        chain: the selected model.
        matrices: its training and validation rows, prepared.
        train: all training rows themselves; the matrix may have fewer.
        test: rows that nothing was fitted or tuned on.
        schema: what the columns are.
        evaluation: what the test rows say of the model.
        explanation: what the model looks at.
        training: seed of every random choice, and what is not tuned.
    """
    metric, seed = evaluation.metric, training.random_state
    prepared = frame = read_features(test, schema)
    for _, step in chain.steps[:-1]:
        prepared = step.transform(prepared)
    if schema.task in UNSUPERVISED:
        return study_structure(
            matrices.train_x,
            np.asarray(prepared, dtype=np.float64),
            schema,
            evaluation=evaluation,
            explanation=explanation,
            training=training,
        )
    truth = encode_target(read_target(test, schema), schema)
    ours = answer(chain, frame, schema.task)
    if schema.task is Task.DECISION:
        dummy, tree = simple_policies(matrices, np.asarray(prepared), ours, schema, depth=TREE_DEPTH, training=training)
    else:
        dummy = dummy_answers(matrices.train_y, schema, metric, rows=len(truth))
        tree = answer(_fit_tree(matrices, schema, seed), prepared, schema.task)
    rarest = None
    if schema.task is Task.CLASSIFICATION:
        counts = np.bincount(truth.astype(np.int64), minlength=len(schema.target.classes))
        rarest = (str(schema.target.classes[int(counts.argmin())]), int(counts.min()))
    return Study(
        evaluation=evaluation,
        explanation=explanation,
        curve=_measure_curve(matrices, train, schema, evaluation, training),
        dummy_score=score(metric, truth, dummy),
        over_dummy=compare(metric, truth, ours, dummy, seed=seed),
        tree_score=score(metric, truth, tree),
        over_tree=compare(metric, truth, ours, tree, seed=seed),
        rarest=rarest,
    )


def judge(
    found: Study | StructureStudy,
    *,
    loop: str,
    run_key: str,
    run_id: str,
    data_digest: str,
    rows: int,
    all_rows: int,
    training: TrainingSpec,
    threshold: float | None,
) -> FeasibilityResult:
    """Return the verdict: go where every rule is held.

    Args:
        found: what was measured.
        loop: name of the ModelLoop.
        run_key: key of the run.
        run_id: id of the pipeline run.
        data_digest: digest of the data.
        rows: of the sample.
        all_rows: that it was drawn from.
        training: the budget.
        threshold: smallest useful value of the metric; None where the file names none.
    """
    if isinstance(found, StructureStudy):
        rules, advice = [*structure_rules(found, threshold)], tuple(structure_advice(found, threshold))
    else:
        rules, advice = [*_rules(found, threshold)], tuple(_advice(found, threshold, rows=rows, all_rows=all_rows))
    is_go = all(held for held, _ in rules)
    told = [f"{'Held' if held else 'Not held'}: {text}." for held, text in rules]
    evaluation = found.evaluation
    return FeasibilityResult(
        loop=loop,
        run_key=run_key,
        verdict=FeasibilityVerdict.GO if is_go else FeasibilityVerdict.NO_GO,
        reasons=(*told, _reduced(rows, all_rows, training)),
        advice=advice,
        algorithm=evaluation.algorithm,
        metric=evaluation.metric,
        test_score=evaluation.score,
        data_digest=data_digest,
        rows=rows,
        run_id=run_id,
    )


def build_page(result: FeasibilityResult, found: Study | StructureStudy, threshold: float | None) -> str:
    """Return the report as one self-contained page."""
    word = "Go" if result.verdict is FeasibilityVerdict.GO else "No-go"
    looked_at = {column.column: f"{column.importance:+.4f}" for column in found.explanation.columns[:10]}
    about = (
        f"Feasibility of {result.loop}: {word}",
        _bullets("Why", result.reasons),
        _bullets("What would help", result.advice),
    )
    ending = (
        "<h2>What the model looks at</h2>",
        fact_table(looked_at),
        "<p>A proof of concept promotes nothing. For a model that serves, set <code>maturity: Production</code>.</p>",
    )
    if isinstance(found, StructureStudy):
        return render_page(*about, fact_table({k: f"{v:.4f}" for k, v in found.evaluation.metrics.items()}), *ending)
    evaluation, curve = found.evaluation, found.curve
    levels = {"dummy": found.dummy_score}
    if threshold is not None:
        levels["threshold"] = threshold
    scores = {
        f"{evaluation.algorithm}, the best model": _figures(evaluation.score, evaluation.standard_error),
        f"A tree of depth {TREE_DEPTH}": f"{found.tree_score:.4f} (model {_interval(found.over_tree)})",
        "A dummy that looks at nothing": f"{found.dummy_score:.4f} (model {_interval(found.over_dummy)})",
        "Smallest useful value (problem.metric.threshold)": "not stated" if threshold is None else f"{threshold:g}",
    }
    if worth := evaluation.examination.worth:
        scores["Value per 1,000 cases (problem.outcomeValues)"] = (
            f"{worth.model:.1f}, 95 % interval {worth.lower:.1f} to {worth.upper:.1f}; a dummy {worth.dummy:.1f}"
        )
    return render_page(
        *about,
        f"<h2>{escape(evaluation.metric)} on {evaluation.test_rows:,} test rows</h2>",
        fact_table(scores),
        "<h2>Would more rows help?</h2>",
        learning_curve(curve.sizes, curve.scores, error=curve.error, metric=evaluation.metric, levels=levels)
        if len(curve.sizes) > 1
        else "<p>There are too few rows for a learning curve.</p>",
        *ending,
    )


def _rules(found: Study, threshold: float | None) -> Iterator[tuple[bool, str]]:
    metric, value = found.evaluation.metric, found.evaluation.score
    over = found.over_dummy
    figures = f"{metric} {value:.4f} against {found.dummy_score:.4f} of a dummy that looks at nothing"
    yield over.lower > 0, f"{figures} ({_interval(over)}), interval above 0 wanted"
    if threshold is not None:
        error = found.evaluation.standard_error
        yield value >= threshold, f"{metric} {value:.4f} ± {error:.4f}, at least {threshold:g} wanted"
    if worth := found.evaluation.examination.worth:
        figures = f"value per 1,000 cases {worth.model:.1f} against {worth.dummy:.1f} of the best single answer"
        reach = f"gain {worth.gain:+.1f}, 95 % interval {worth.gain_lower:+.1f} to {worth.gain_upper:+.1f}"
        yield worth.gain_lower > 0, f"{figures} ({reach}), interval above 0 wanted"
    if found.rarest:
        label, rows = found.rarest
        yield (
            rows >= FEWEST_TEST_ROWS_OF_A_CLASS,
            f"the rarest class '{label}' has {rows} test rows, at least {FEWEST_TEST_ROWS_OF_A_CLASS} wanted",
        )


def _reduced(rows: int, all_rows: int, training: TrainingSpec) -> str:
    taken = f"a sample of {rows:,} of {all_rows:,} rows" if rows < all_rows else f"all {rows:,} rows"
    minutes = training.timeout.total_seconds() / 60
    return f"Run small: {taken}, {training.max_trial_count} trials, at most {minutes:g} minutes of tuning."


def _advice(found: Study, threshold: float | None, *, rows: int, all_rows: int) -> Iterator[str]:
    metric, value = found.evaluation.metric, found.evaluation.score
    if found.explanation.leakage_suspect:
        yield found.explanation.leakage_note
    if found.over_dummy.lower <= 0:
        yield (
            "The columns say too little about the target. Add columns that a person would look at to decide, and check "
            "that the target is recorded as it is meant."
        )
    elif found.over_tree.lower <= 0:
        yield (
            f"A tree of {2**TREE_DEPTH - 1} questions does as well ({metric} {found.tree_score:.4f}, "
            f"{_interval(found.over_tree)}): plain rules may be all you need."
        )
    yield from _advice_on_rows(found, threshold, value, rows=rows, all_rows=all_rows)
    if found.rarest and found.rarest[1] < FEWEST_TEST_ROWS_OF_A_CLASS:
        label, count = found.rarest
        factor = FEWEST_TEST_ROWS_OF_A_CLASS / max(count, 1)
        yield (
            f"Collect about {math.ceil(factor)} times as many rows of '{label}', or merge it with another class: "
            f"figures from {count} test rows say little."
        )
    if threshold is None:
        yield "State the smallest useful value in problem.metric.threshold: without it, go means better than nothing."


def _advice_on_rows(found: Study, threshold: float | None, value: float, *, rows: int, all_rows: int) -> Iterator[str]:
    curve, metric = found.curve, found.evaluation.metric
    if len(curve.sizes) < len(CURVE_SHARES):
        yield f"{curve.sizes[-1]:,} training rows are too few for a learning curve. Collect more rows first."
        return
    gain = curve.gain_per_doubling
    if gain <= curve.error / 2:
        yield (
            f"More rows would help little: the last two doublings brought {gain:+.4f} of {metric} each, within the "
            f"noise of {curve.error:.4f}. Better columns would help more."
        )
        return
    told = f"More rows would help: each of the last two doublings brought {gain:+.4f} of {metric}"
    if threshold is not None and value < threshold:
        doublings = (threshold - value) / gain
        if doublings > _MOST_DOUBLINGS:
            yield f"{told}, but {threshold:g} is further away than rows alone can bring."
            return
        needed = int(float(f"{rows * 2**doublings:.1e}"))
        yield f"{told}; if it goes on so, {threshold:g} takes about {needed:,} rows."
    else:
        yield f"{told}; {2 * rows:,} rows would bring about as much again."
    if all_rows > rows:
        yield f"There are {all_rows:,} rows already: a run with maturity Production uses them all."


def _measure_curve(
    matrices: Matrices, train: pa.Table, schema: DataSchema, evaluation: Evaluation, training: TrainingSpec
) -> Curve:
    from threadpoolctl import threadpool_limits

    algorithm = set_up(get_algorithm(evaluation.algorithm), training, evaluation.metric, schema)
    seed = training.random_state
    truth = encode_target(matrices.validation_y, schema)
    sizes: list[int] = []
    scores: list[float] = []
    error = 0.0
    if matrices.train_rows is not None:
        train = train.take(pa.array(matrices.train_rows))
    for share in CURVE_SHARES:
        chosen = choose_rows(train, schema, int(share * train.num_rows), seed=seed)
        y = matrices.train_y[chosen]
        lacks_class = schema.task is Task.CLASSIFICATION and len(np.unique(y)) < len(schema.target.classes)
        if share < 1 and (len(chosen) < FEWEST_CURVE_ROWS or lacks_class):
            continue
        estimator = algorithm.build(schema.task, evaluation.params, seed)
        with threadpool_limits(limits=1):
            estimator.fit(matrices.train_x[chosen], y)
        answers = answer(estimator, matrices.validation_x, schema.task)
        sizes.append(len(chosen))
        scores.append(score(evaluation.metric, truth, answers))
        error = standard_error(evaluation.metric, truth, answers, seed=seed)
    return Curve(tuple(sizes), tuple(scores), error)


def _fit_tree(matrices: Matrices, schema: DataSchema, seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    tree = DecisionTreeClassifier if schema.task is Task.CLASSIFICATION else DecisionTreeRegressor
    return tree(max_depth=TREE_DEPTH, random_state=seed).fit(matrices.train_x, matrices.train_y)


def _interval(interval: Interval) -> str:
    return f"{interval.difference:+.4f}, 95 % interval {interval.lower:+.4f} to {interval.upper:+.4f}"


def _figures(value: float, error: float) -> str:
    return f"{value:.4f} ± {error:.4f}"


def _bullets(title: str, sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<h2>{escape(title)}</h2><ul>{items}</ul>" if items else ""

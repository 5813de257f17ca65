"""The page of the stage `evaluate`: how good the model is, how sure that is, where it errs, and against whom it won.

Draws what `evaluate` found; judges nothing itself.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from driftloop.algorithms.curves import (
    calibration_curve,
    positive_probability,
    precision_recall_curve,
    share_interval,
)
from driftloop.algorithms.metrics import class_roc_auc
from driftloop.reports import charts
from driftloop.reports.axes import number_axis, share_axis
from driftloop.reports.bars import Interval, interval_chart
from driftloop.reports.charts import Frame, Tone
from driftloop.reports.markup import NOTHING, figure, name, percent, plain
from driftloop.reports.page import Card, Header, cards, fact_table, figures, matrix_table, render_page, section, table
from driftloop.spec import Comparison, DataSchema, Task
from driftloop.stages.evaluate import Judged
from driftloop.stages.examinationpage import build_sections
from driftloop.stages.policypage import policy_section
from driftloop.stages.records import Evaluation
from driftloop.stages.unlabelledpage import build_sections as build_unlabelled

_TITLES = {
    Task.CLUSTERING: "Which groups are there?",
    Task.ANOMALY_DETECTION: "Which rows are odd?",
    Task.DECISION: "What does the policy earn of {}?",
}
_MOST_BINS = 30
_MOST_CLASSES_DRAWN = 20
"""A larger confusion matrix is left out; the table by class says more."""
_SQUARE = {"width": 400, "height": 340}
_LOSS = "neg_"
_WITHOUT_END = frozenset({"calinski_harabasz"})
"""Scores that may be however great."""
_LARGE = 100


def build_evaluation_page(judged: Judged, schema: DataSchema, loop: str) -> str:
    """Return the evaluation as one self-contained HTML page."""
    evaluation = judged.evaluation
    unlabelled, judged = _unlabelled(judged, schema), _known(judged)
    header = Header(
        _TITLES.get(schema.task, "How well is {} predicted?").format(schema.target.name),
        f"How good is the model on {evaluation.judged_on}, how sure is that, where does it err, and is it better than "
        "the champion?",
        {
            "Loop": loop,
            "Task": str(schema.task),
            "Algorithm": evaluation.algorithm,
            "Trained through": f"{evaluation.trained_through:%Y-%m-%d %H:%M}" if evaluation.trained_through else "",
        },
    )
    pictures = _regression_pictures(judged, schema) if schema.task is Task.REGRESSION else ()
    if schema.task in {Task.CLASSIFICATION, Task.ANOMALY_DETECTION} and judged.confusion:
        pictures = _two_class_pictures(judged, schema) if judged.roc else _many_class_pictures(judged)
    return render_page(
        header,
        _key_figures(judged),
        policy_section(judged, schema),
        section("Against the champion", _against_champion(judged)),
        section(
            "Metrics on the test rows",
            figures(_scores(evaluation), _gap(evaluation)),
            _metrics(evaluation),
            note="Greater is better for each; the intervals hold 95 % and come from drawing the test rows again.",
        ),
        unlabelled,
        section("Where it is right, and where it errs", figures(*pictures), _by_class(judged))
        if pictures or judged.confusion
        else "",
        *build_sections(evaluation),
        section(
            "How it was made",
            fact_table(
                {"sampling": evaluation.sampling, "decides": evaluation.decision, "adopted from": evaluation.origin}
                | {k: _setting(v) for k, v in evaluation.params.items()}
            ),
            note="How rare classes were sampled, and the hyperparameters that did best on the validation rows.",
        ),
    )


def _known(judged: Judged) -> Judged:
    """Return the rows whose truth is known."""
    known = ~np.isnan(judged.truth)
    if known.all() or not known.any():
        return judged
    return replace(judged, truth=judged.truth[known], answers=judged.answers.take(known))


def _unlabelled(judged: Judged, schema: DataSchema) -> str:
    if judged.frame is None:
        return ""
    notes = "".join(f"<p>{plain(note, 300)}</p>" for note in judged.evaluation.notes)
    return notes + build_unlabelled(judged.answers, judged.truth, judged.frame, schema, judged.wanted_share)


def _setting(value: object) -> str:
    return figure(value) if isinstance(value, float) else str(value)


def _key_figures(judged: Judged) -> str:
    evaluation = judged.evaluation
    interval = evaluation.intervals.get(evaluation.metric)
    sure = f"95 %: {_score(interval[0])} to {_score(interval[1])}" if interval else "interval unknown"
    shown = [Card(f"{evaluation.metric}, judged", _score(evaluation.score), sure, "a")]
    if evaluation.validation_score is not None:
        shown.append(
            Card(f"{evaluation.metric}, validation", _score(evaluation.validation_score), "rows it was tuned on")
        )
    if evaluation.train_score is not None:
        gap = f"{evaluation.train_score - evaluation.score:+.3g} against test"
        shown.append(Card(f"{evaluation.metric}, training", _score(evaluation.train_score), gap))
    return cards(*shown, Card("Rows judged on", f"{evaluation.test_rows:,}", evaluation.judged_on))


def _against_champion(judged: Judged) -> str:
    comparison = judged.against_champion.comparison
    if comparison is None:
        failure = judged.against_champion.failure
        return f"<p>{plain(failure[:1].upper() + failure[1:] if failure else 'There is no champion yet')}.</p>"
    verdict = _verdict(comparison)
    bounds = (comparison.lower, comparison.upper, comparison.difference)
    tone: Tone = "good" if comparison.lower > 0 else "bad" if comparison.upper < 0 else "ref"
    return f"<p>{plain(verdict)}</p>" + interval_chart(
        f"Gain in {comparison.metric} over the champion",
        [
            Interval(
                "challenger - champion",
                comparison.difference,
                comparison.lower,
                comparison.upper,
                f"{comparison.difference:+.3g}",
                tone,
            )
        ],
        number_axis(f"difference in {comparison.metric}", bounds, include=0.0, room=0.15),
        alt=verdict,
        zero=0.0,
    )


def _verdict(comparison: Comparison) -> str:
    if comparison.lower > 0:
        word = "The challenger is better"
    elif comparison.upper < 0:
        word = "The challenger is worse"
    else:
        word = "No difference is proven"
    return (
        f"{word}: {comparison.metric} {_score(comparison.challenger)} against {_score(comparison.champion)}, "
        f"{comparison.difference:+.4f} (95 % interval {comparison.lower:+.4f} to {comparison.upper:+.4f}) on "
        f" {comparison.rows:,} rows that neither was fitted on."
    )


def _scores(evaluation: Evaluation) -> str:
    """Draw the scores that end at 1, or the rewards; losses have units of their own."""
    scores = {
        key: value for key, value in evaluation.metrics.items() if not key.startswith(_LOSS) and key not in _WITHOUT_END
    }
    rows = []
    for key, value in scores.items():
        low, high = evaluation.intervals.get(key, (value, value))
        rows.append(Interval(key, value, low, high, _score(value), "a" if key == evaluation.metric else "ref"))
    limits = [bound for row in rows for bound in (row.low, row.high)]
    if not rows:
        return ""
    is_reward = bool(evaluation.policies)
    return interval_chart(
        "Reward a decision, by each estimator" if is_reward else "Scores (1 is perfect)",
        rows,
        number_axis("", [*limits, *([] if is_reward else [1.0])], room=0.0),
        alt=f"{len(rows)} scores with their 95 % intervals",
    )


def _gap(evaluation: Evaluation) -> str:
    """Draw what the model loses from the rows it was fitted on to those it has never seen; nothing if not known."""
    train, validation = evaluation.train_score, evaluation.validation_score
    if train is None or validation is None:  # a model made elsewhere
        return ""
    low, high = evaluation.intervals.get(evaluation.metric, (evaluation.score, evaluation.score))
    rows = [
        Interval("training", train, train, train, _score(train), "ref"),
        Interval("validation", validation, validation, validation, _score(validation), "ref"),
        Interval("test", evaluation.score, low, high, _score(evaluation.score)),
    ]
    return interval_chart(
        f"{evaluation.metric} on rows fitted on, tuned on, never seen",
        rows,
        number_axis("", [train, validation, low, high], room=0.05),
        alt=f"{evaluation.metric}: training {_score(train)}, validation {_score(validation)}, test "
        f"{_score(evaluation.score)}",
        note="A model that is far better in training than in test has learned its rows by heart.",
    )


def _metrics(evaluation: Evaluation) -> str:
    cells = [(plain(key), _score(value), _interval_text(evaluation, key)) for key, value in evaluation.metrics.items()]
    return table(("Metric", "Value", "95 % interval"), cells, numbers=(1,))


def _score(value: float) -> str:
    """Return a score with as many digits as its like, so that they compare at a glance."""
    return f"{value:.3f}" if abs(value) < _LARGE else figure(value)


def _interval_text(evaluation: Evaluation, key: str) -> str:
    interval = evaluation.intervals.get(key)
    return f"{_score(interval[0])} to {_score(interval[1])}" if interval else "unknown"


def _two_class_pictures(judged: Judged, schema: DataSchema) -> tuple[str, ...]:
    negative, positive = (str(label) for label in schema.target.classes)
    share = float(judged.truth.mean())
    evaluation = judged.evaluation
    false_rate, true_rate, _ = judged.roc or ([], [], [])
    square = Frame(share_axis("false alarms: share of the others"), share_axis("found: share of them"), **_SQUARE)
    roc = charts.chart(
        f"ROC: finding {positive}",
        square,
        (charts.diagonal(square), charts.line(square, false_rate, true_rate)),
        alt=f"ROC curve, area {figure(evaluation.metrics.get('roc_auc', float('nan')))}; the diagonal is guessing",
        note="Each point is a threshold. The diagonal is guessing.",
    )
    recall, precision = precision_recall_curve(judged.truth, judged.answers)
    square = Frame(share_axis("recall: share found"), share_axis("precision: share right"), **_SQUARE)
    precision_recall = charts.chart(
        "Precision and recall",
        square,
        (charts.rule(square, y=share, label=f"guessing {percent(share)}"), charts.line(square, recall, precision)),
        alt=f"Precision against recall; {percent(share)} of the test rows are {positive}",
        note=f"Of the rows taken for {positive}, how many are; against how many of all are found.",
    )
    return (
        roc,
        precision_recall,
        matrix_table("Confusion matrix (true class down, predicted across)", *judged.confusion)
        if judged.confusion
        else "",
        _calibration(judged, positive),
        _probabilities(judged, negative, positive),
    )


def _calibration(judged: Judged, positive: str) -> str:
    groups = calibration_curve(judged.truth, judged.answers)
    said, came = [group.probability for group in groups], [group.share for group in groups]
    highest = max(*said, *(group.high for group in groups), 0.1)
    frame = Frame(share_axis("probability, mean of a tenth", highest), share_axis("came true", highest), **_SQUARE)
    marks = (
        charts.diagonal(frame),
        charts.whiskers(frame, said, [group.low for group in groups], [group.high for group in groups]),
        charts.line(frame, said, came),
        charts.dots(frame, said, came, radius=4),
    )
    off = max(abs(group.share - group.probability) for group in groups)
    return charts.chart(
        "Calibration",
        frame,
        marks,
        alt=f"Probability of {positive} against what came true in ten groups; the largest gap is {percent(off)}",
        note="On the diagonal, what is said with 30 % comes true in 30 of 100. Whiskers: 95 % intervals.",
    )


def _probabilities(judged: Judged, negative: str, positive: str) -> str:
    probability = positive_probability(judged.answers)
    edges = np.linspace(0, 1, _bins(len(probability)) + 1)
    sides: list[tuple[Tone, str, npt.NDArray[np.float64]]] = []
    for tone, label, code in (("ref", negative, 0), ("b", positive, 1)):
        counts = np.histogram(probability[judged.truth == code], edges)[0]
        sides.append((tone, label, counts / max(counts.sum(), 1)))  # type: ignore[arg-type]
    highest = float(max(shares.max() for _, _, shares in sides))
    frame = Frame(share_axis(f"probability of {positive}"), share_axis("share of the class", highest), **_SQUARE)
    return charts.chart(
        "Probabilities by true class",
        frame,
        [
            charts.histogram(frame, edges.tolist(), shares.tolist(), tone, outline=tone == "b")
            for tone, _, shares in sides
        ],
        alt=f"How often each probability was given, for rows that are {negative} and rows that are {positive}",
        legend=[(tone, f"truly {label}") for tone, label, _ in sides],
        note="The further apart the two lie, the better the model tells them apart.",
    )


def _many_class_pictures(judged: Judged) -> tuple[str, ...]:
    if judged.confusion is None or len(judged.confusion[0]) > _MOST_CLASSES_DRAWN:
        return ()
    return matrix_table("Confusion matrix (true class down, predicted across)", *judged.confusion), _found(judged)


def _found(judged: Judged) -> str:
    """Draw the share found of each class, with how sure it is."""
    labels, counts = judged.confusion or ([], [])
    rows = []
    for label, code_counts, code in zip(labels, counts, range(len(labels)), strict=True):
        if total := sum(code_counts):
            low, high = share_interval(code_counts[code], total)
            share = code_counts[code] / total
            rows.append(Interval(label, share, low, high, percent(share)))
    rows.sort(key=lambda row: row.value)
    return interval_chart(
        "Found of each class, the weakest first",
        rows,
        share_axis(""),
        alt=f"Share found of {len(rows)} classes with 95 % intervals",
        note="Whiskers: 95 % intervals. The fewer test rows a class has, the less is known.",
    )


def _by_class(judged: Judged) -> str:
    """Precision and recall of each class, the weakest first, with its area under the ROC curve against the rest."""
    if judged.confusion is None or judged.answers.probabilities is None:
        return ""
    labels, counts = judged.confusion
    matrix = np.array(counts)
    found = np.diag(matrix)
    true, taken = matrix.sum(axis=1), matrix.sum(axis=0)
    rows = []
    for code in np.argsort(found / np.maximum(true, 1), kind="stable"):
        recall = found[code] / true[code] if true[code] else float("nan")
        precision = found[code] / taken[code] if taken[code] else float("nan")
        wrong = matrix[code].copy()
        wrong[code] = 0
        mistaken = f"{name(labels[int(wrong.argmax())])} ({wrong.max():,})" if wrong.any() else NOTHING
        area = class_roc_auc(int(code), judged.truth, judged.answers)
        rows.append(
            (name(labels[code]), f"{true[code]:,}", percent(recall), percent(precision), _score(area), mistaken)
        )
    columns = (
        "Class",
        "Test rows",
        "Found (recall)",
        "Right (precision)",
        "AUC, one against the rest",
        "Taken most for",
    )
    return "<h3>By class, the weakest first</h3>" + table(columns, rows, numbers=(1, 2, 3, 4), most=100)


def _regression_pictures(judged: Judged, schema: DataSchema) -> tuple[str, ...]:
    truth, predicted = judged.truth, judged.answers.predictions
    residuals = truth - predicted
    target = name(schema.target.name)
    both = [*_limits(truth), *_limits(predicted)]
    frame = Frame(number_axis("predicted", both, room=0.03), number_axis("true", both, room=0.03), **_SQUARE)
    against_truth = charts.chart(
        f"Predicted and true {schema.target.name}",
        frame,
        (charts.diagonal(frame), charts.dots(frame, predicted.tolist(), truth.tolist(), faint=True)),
        alt=f"True against predicted {target}; on the diagonal both agree",
        note="On the diagonal both agree.",
    )
    frame = Frame(
        number_axis("predicted", _limits(predicted), room=0.03),
        number_axis("true - predicted", _limits(residuals), include=0.0, room=0.05),
        **_SQUARE,
    )
    middles, lows, highs = _bands(predicted, residuals)
    spread = charts.chart(
        "Residuals by prediction",
        frame,
        (
            charts.rule(frame, y=0.0),
            charts.dots(frame, predicted.tolist(), residuals.tolist(), faint=True),
            charts.band(frame, middles, lows, highs),
        ),
        alt="Residuals against predictions, with the band that holds the middle 80 %",
        note="The band holds the middle 80 %. It should lie around 0 and be equally wide everywhere.",
    )
    counts, edges = np.histogram(residuals, _bins(len(residuals)))
    frame = Frame(
        number_axis("true - predicted", _limits(residuals), include=0.0),
        share_axis("share of the test rows", float(counts.max() / len(residuals))),
        **_SQUARE,
    )
    return (
        against_truth,
        spread,
        charts.chart(
            "Residuals",
            frame,
            (
                charts.histogram(frame, edges.tolist(), (counts / len(residuals)).tolist()),
                charts.rule(frame, x=0.0),
                charts.rule(
                    frame, x=float(residuals.mean()), label=f"mean {figure(float(residuals.mean()))}", tone="b"
                ),
            ),
            alt=f"Distribution of the residuals, mean {figure(float(residuals.mean()))}",
            note=f"Half of them are smaller than {figure(float(np.median(np.abs(residuals))))} in size.",
        ),
    )


def _bands(
    predicted: npt.NDArray[np.float64], residuals: npt.NDArray[np.float64]
) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
    """Return middle, 10 % and 90 % quantile of the residuals in groups of equally many rows, by prediction."""
    groups = np.array_split(np.argsort(predicted, kind="stable"), min(10, max(len(predicted) // 20, 1)))
    middles = [float(predicted[rows].mean()) for rows in groups]
    lows, highs = np.transpose([np.quantile(residuals[rows], (0.1, 0.9)) for rows in groups])
    return middles, lows.tolist(), highs.tolist()


def _bins(rows: int) -> int:
    """Return how many bars so many rows fill."""
    return min(max(int(rows**0.5), 5), _MOST_BINS)


def _limits(values: npt.NDArray[np.float64]) -> list[float]:
    return [float(values.min()), float(values.max())]

"""Sections of the page of `evaluate`: what the examination found beyond the score. Draws; judges nothing itself."""

from collections.abc import Sequence

from driftloop.reports.axes import number_axis
from driftloop.reports.bars import Interval, interval_chart
from driftloop.reports.charts import Tone
from driftloop.reports.curve import learning_curve
from driftloop.reports.markup import NOTHING, figure, name, plain
from driftloop.reports.page import Card, badge, cards, figures, paragraph, section, table
from driftloop.stages.judgements import (
    FINE,
    CrossValidation,
    Diagnosis,
    Disturbance,
    Reference,
    Robustness,
    Slices,
    Worth,
)
from driftloop.stages.records import Evaluation

_LARGE = 100


def build_sections(evaluation: Evaluation) -> tuple[str, ...]:
    """Return the sections as finished markup; those that there is nothing for are empty."""
    found = evaluation.examination
    return (
        _worth(found.worth) if found.worth else "",
        _diagnosis(evaluation, found.diagnosis) if found.diagnosis else "",
        _references(found.references, evaluation) if found.references else "",
        _cross_validation(found.cross_validation, evaluation) if found.cross_validation else "",
        _slices(found.slices) if found.slices else "",
        _robustness(found.robustness, evaluation.metric) if found.robustness else "",
    )


def _worth(worth: Worth) -> str:
    tone: Tone = "good" if worth.gain_lower > 0 else "bad" if worth.gain_upper < 0 else "ref"
    return section(
        "What the answers are worth",
        cards(
            Card(
                "Value per 1,000 cases",
                figure(worth.model),
                f"95 %: {figure(worth.lower)} to {figure(worth.upper)}",
                "a",
            ),
            Card("The best single answer for all", figure(worth.dummy)),
            Card("Gain", figure(worth.gain), f"95 %: {figure(worth.gain_lower)} to {figure(worth.gain_upper)}", tone),
            Card("If the most probable class were answered", figure(worth.most_probable)),
            Card("If every answer were right", figure(worth.perfect)),
        ),
        note="By problem.outcomeValues, on the test rows. The model answers with the class of the greatest expected "
        "value; acceptance goes by the loop's metric.",
    )


def _diagnosis(evaluation: Evaluation, found: Diagnosis) -> str:
    tone: Tone = "good" if evaluation.diagnosis == FINE else "warn"
    told = "".join(f"<li>{plain(text)}</li>" for text in (*found.reasons, *found.advice))
    curve = ""
    if len(found.curve) > 1:
        sizes = [point.rows for point in found.curve]
        curve = learning_curve(
            sizes,
            [point.validation_score for point in found.curve],
            error=evaluation.standard_error,
            metric=evaluation.metric,
            levels={"training rows, the last": found.curve[-1].train_score},
        )
    return section(
        "Did it learn the right amount?",
        f"<p>{badge(evaluation.diagnosis, tone)}</p><ul>{told}</ul>",
        curve,
        note="Over-fitting: rows learned by heart. Under-fitting: less learned than others learn from the same rows. "
        "The curve fits the selected configuration on ever more of the training rows.",
    )


def _references(references: Sequence[Reference], evaluation: Evaluation) -> str:
    rows = [
        Interval(f"over {_short(one)}", one.difference, one.lower, one.upper, f"{one.difference:+.3g}", _tone(one))
        for one in references
    ]
    bounds = [bound for row in rows for bound in (row.low, row.high)]
    cells = [
        (plain(one.what), _score(one.score), f"{one.difference:+.4f}", f"{one.lower:+.4f} to {one.upper:+.4f}")
        for one in references
    ]
    return section(
        "Is it worth its trouble?",
        figures(
            interval_chart(
                f"Gain in {evaluation.metric} over simpler ways to answer",
                rows,
                number_axis("", bounds, include=0.0, room=0.1),
                alt="; ".join(f"{one.difference:+.3g} over {one.what}" for one in references),
                zero=0.0,
            )
        ),
        table(("Instead", evaluation.metric, "Gain of the model", "95 % interval"), cells, numbers=(1, 2)),
        note="On the same test rows, learned from the same training rows, without tuning; intervals by the paired "
        "bootstrap.",
    )


def _short(one: Reference) -> str:
    return "a dummy" if one.name == "dummy" else one.what


def _tone(one: Reference) -> Tone:
    return "good" if one.lower > 0 else "bad" if one.upper < 0 else "ref"


def _cross_validation(found: CrossValidation, evaluation: Evaluation) -> str:
    low, high = min(found.scores), max(found.scores)
    spread = found.standard_deviation
    rows = [
        Interval("mean of the folds", found.mean, found.mean - spread, found.mean + spread, _score(found.mean)),
        Interval("weakest fold", low, low, low, _score(low), "ref"),
        Interval("test rows", evaluation.score, *_interval(evaluation), _score(evaluation.score), "b"),
    ]
    bounds = [bound for row in rows for bound in (row.low, row.high)]
    return section(
        "Cross-validation",
        interval_chart(
            f"{evaluation.metric} over {found.method}",
            rows,
            number_axis("", [*bounds, high], room=0.05),
            alt=f"mean {_score(found.mean)}, standard deviation {_score(spread)}",
            note="Whiskers: one standard deviation over the folds; for the test rows the 95 % interval.",
        ),
        note="Few test rows make one score a matter of luck. The selected configuration was fitted again on parts of "
        "the training and validation rows, and judged on the rest of them; hyperparameters were chosen on some of "
        "these rows, so that the mean is a little hopeful.",
    )


def _interval(evaluation: Evaluation) -> tuple[float, float]:
    return evaluation.intervals.get(evaluation.metric, (evaluation.score, evaluation.score))


def _slices(found: Slices) -> str:
    worse = sum(one.is_worse for one in found.worst)
    rows = [
        Interval(
            f"{one.column}: {one.group}",
            one.score,
            one.lower,
            one.upper,
            _score(one.score),
            "bad" if one.is_worse else "ref",
        )
        for one in found.worst
    ]
    bounds = [bound for row in rows for bound in (row.low, row.high)]
    cells = [
        (
            name(one.column),
            name(one.group),
            f"{one.rows:,}",
            _score(one.score),
            f"{_score(one.lower)} to {_score(one.upper)}",
            "yes" if one.is_worse else "not beyond doubt",
        )
        for one in found.worst
    ]
    verdict = f"{worse} of {found.looked_at} groups" if worse else f"None of {found.looked_at} groups"
    return section(
        "Where it is weakest",
        paragraph(f"{verdict} {'are' if worse > 1 else 'is'} worse than the whole beyond doubt.", lede=True),
        figures(
            interval_chart(
                f"{found.metric} by group, the most telling first",
                rows,
                number_axis("", [*bounds, found.score], room=0.05),
                alt=f"{found.metric} of {len(rows)} groups; of all rows {_score(found.score)}",
                zero=found.score,
                note="Dashed: all rows. Red: worse beyond doubt.",
            )
        ),
        table(("Column", "Group", "Test rows", found.metric, "Interval", "Worse?"), cells, numbers=(2, 3)),
        note=f"Rows of which one column says the same; numbers in quartiles. Of {found.looked_at} groups about "
        f"{max(found.looked_at // 40, 1)} would look bad at 95 % by chance alone; these intervals are wider, so that "
        "all of them together hold with 95 %.",
    )


def _robustness(found: Robustness, metric: str) -> str:
    order = (
        badge("depends on the other rows", "bad") + " An answer changes with the rows that are asked about with it."
        if found.depends_on_order
        else badge("independent of order", "good")
        + " Answers do not depend on the order of rows, nor on those asked with them."
    )
    return section(
        "How it takes rows that are not as they should be",
        f"<p>{order}</p>",
        _losses(found, (*found.noise, *found.missing), metric),
        note=f"On {found.rows:,} test rows. Noise: numbers moved by 5 % and 10 % of their standard deviation, so many "
        "of the other values taken from another row. Missing: each column left empty by itself, the costliest shown.",
    )


def _losses(found: Robustness, disturbances: Sequence[Disturbance], metric: str) -> str:
    rows = [
        Interval(
            one.what if one in found.noise else f"without {one.what}",
            one.score,
            one.score,
            one.score,
            f"{-one.loss:+.3g}",
            "warn" if one.loss > 0 else "ref",
        )
        for one in disturbances
    ]
    return interval_chart(
        f"{metric} on disturbed rows, and the change",
        rows,
        number_axis("", [found.score, *(row.value for row in rows)], room=0.05),
        alt=f"{metric} {_score(found.score)} on the rows as they are; {len(rows)} disturbances",
        zero=found.score,
        note="Dashed: the rows as they are.",
    )


def _score(value: float) -> str:
    if value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return NOTHING
    return f"{value:.3f}" if abs(value) < _LARGE else figure(value)

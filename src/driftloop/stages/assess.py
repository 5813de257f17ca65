"""Stage `assess`: how the selected model treats the groups of each sensitive column, on the test rows.

Between `explain` and `package`. It judges nothing: `register` holds the differences against `acceptance.fairness`.
Without sensitive columns it loads neither the model nor fairlearn.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from driftloop.reports.axes import number_axis
from driftloop.reports.bars import Interval, interval_chart
from driftloop.reports.charts import Tone
from driftloop.reports.markup import name
from driftloop.reports.page import Card, Header, cards, figures, paragraph, render_page, section, table
from driftloop.spec import DataSchema, Task
from driftloop.stages.packageprivacy import build_privacy_section
from driftloop.stages.records import DEMOGRAPHIC_PARITY, EQUALIZED_ODDS, Assessment, ColumnAssessment, GroupMetrics

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from driftloop.algorithms.metrics import Answers

FEWEST_ROWS = 30
"""A smaller group is shown, and not compared with others: its rates would be chance."""
FEWEST_ROWS_PER_OUTCOME = 10
"""Of a class and of the others, for a group to count in equalized odds: rates of true and of false positives."""
MOST_GROUPS = 20
"""Further groups are put together."""
MOST_PLAIN_NUMBERS = 8
"""A column with more different numbers or dates is grouped into quartiles."""
MISSING, OTHERS = "(missing)", "(others)"
_TWO = 2
_LONG_NUMBER = 100_000


@dataclass(frozen=True)
class _Tested:
    truth: "npt.NDArray[np.float64]"
    answers: "Answers"
    schema: DataSchema
    metric: str
    before: "Answers | None" = None
    """The most probable classes, where the model decides otherwise."""


def assess(
    load: Callable[[], Any], test: "pa.Table", schema: DataSchema, *, sensitive_columns: Sequence[str], metric: str
) -> Assessment:
    """Return metrics by group, and the differences between groups by fairlearn's names.

    With more than two classes a difference is the largest over the classes, each against the rest. Other tasks have
    metrics by group and no difference.

    Args:
        load: loads the whole chain; called only where there is something to assess.
        test: rows that nothing was fitted or tuned on, with their sensitive columns.
        schema: of those rows.
        sensitive_columns: `data.sensitiveColumns`.
        metric: the loop's metric.
    """
    present = [name for name in sensitive_columns if name in test.column_names]
    if not present:
        return Assessment(metric=metric, columns=tuple(_absent(name) for name in sensitive_columns))
    from driftloop.algorithms.tasks import answer
    from driftloop.stages.table import encode_target, read_features, read_target

    chain = load()
    answers = answer(chain, read_features(test, schema), schema.task)
    tested = _Tested(
        truth=encode_target(read_target(test, schema), schema),
        answers=answers,
        schema=schema,
        metric=metric,
        before=_undecided_answers(chain, answers),
    )
    return Assessment(
        metric=metric,
        columns=tuple(
            _assess_column(name, *group_rows(test.column(name)), tested) if name in present else _absent(name)
            for name in sensitive_columns
        ),
        **_accuracies(tested),
    )


def _undecided_answers(chain: Any, answers: "Answers") -> "Answers | None":
    """Return the answers as they were without the last link's rule of decision; None where it has none."""
    import dataclasses

    last = chain.steps[-1][1] if hasattr(chain, "steps") else chain
    if not hasattr(last, "decide") or answers.probabilities is None:
        return None
    return dataclasses.replace(answers, predictions=answers.probabilities.argmax(axis=1).astype(float))


def _accuracies(tested: _Tested) -> dict[str, float]:
    from driftloop.algorithms.metrics import score

    if tested.before is None:
        return {}
    both = {"accuracy": tested.answers, "accuracy_before": tested.before}
    return {field: score("accuracy", tested.truth, answers) for field, answers in both.items()}


def group_rows(column: "pa.ChunkedArray") -> tuple["npt.NDArray[np.object_]", list[str]]:
    """Return the group of each row, as text, shape (n_rows,), and the groups in the order to show them.

    Numbers and dates of more than eight different values fall into quartiles of these rows, named by their ends and
    shown rising; other groups from the largest down.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    values = (column.cast(pa.timestamp("us")) if pa.types.is_date(column.type) else column).to_pandas()
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if (is_number or pd.api.types.is_datetime64_any_dtype(values)) and values.nunique() > MOST_PLAIN_NUMBERS:
        quartiles = pd.qcut(values, 4, duplicates="drop")
        # pandas lets the first quartile begin a little below the smallest value.
        starts = [values.min(), *(part.left for part in quartiles.cat.categories[1:])]
        ends = [part.right for part in quartiles.cat.categories]
        order = [f"{_end(start)} to {_end(end)}" for start, end in zip(starts, ends, strict=True)]
        groups = np.array([*order, MISSING], dtype=object)[quartiles.cat.codes]  # the code of a missing value is -1
    else:
        named = values.map(_plain, na_action="ignore").astype(object).where(values.notna(), MISSING)
        counts = Counter(named)
        order = sorted(counts, key=lambda group: (-counts[group], group))
        if len(order) > MOST_GROUPS:
            order = [*order[: MOST_GROUPS - 1], OTHERS]
        groups = np.asarray(named.where(named.isin(order), OTHERS), dtype=object)
    return groups, list(dict.fromkeys([*order, *sorted(set(groups) - set(order))]))


def build_page(assessment: Assessment) -> str:
    """Return the groups of all sensitive columns as one self-contained HTML page."""
    header = Header(
        "How groups of people are treated",
        "Is the model as good for each group, and does it answer alike?",
        {"Metric": assessment.metric},
    )
    groups = [_column_section(column, assessment.metric) for column in assessment.columns]
    return render_page(
        header,
        *(groups or [paragraph("The loop names no sensitive columns: no groups were assessed.")]),
        _decision_section(assessment),
        build_privacy_section(assessment.privacy) if assessment.privacy else "",
    )


def _decision_section(assessment: Assessment) -> str:
    if not assessment.decision:
        return ""
    shown = ""
    if assessment.accuracy is not None and assessment.accuracy_before is not None:
        rows = [
            (name(f"{kind}, by {column.column}"), _number(column.before.get(kind)), _number(value))
            for column in assessment.columns
            for kind, value in column.differences.items()
        ]
        rows.append(("accuracy", _number(assessment.accuracy_before), _number(assessment.accuracy)))
        shown = table(("On the test rows", "most probable class", "as it decides"), rows, numbers=(1, 2))
    return section(
        "How the class is decided, and what that changes", paragraph(f"It decides {assessment.decision}."), shown
    )


def _column_section(column: ColumnAssessment, metric: str) -> str:
    told = [f"The differences are not assessed: {column.not_assessed}."] if column.not_assessed else []
    if column.not_compared:
        told.append(f"Not compared, because they have few rows: {', '.join(column.not_compared)}.")
    if column.not_compared_in_odds:
        groups_left_out = ", ".join(column.not_compared_in_odds)
        told.append(f"Not in {EQUALIZED_ODDS}, because few of their rows are of a class or not: {groups_left_out}.")
    differences = [Card(kind, f"{value:.3f}", "0 is equal treatment") for kind, value in column.differences.items()]
    scored = [
        Interval(group.group, group.score, group.score, group.score, f"{group.score:.3f}", _tone(group))
        for group in column.groups
        if group.score is not None
    ]
    picture = ""
    if scored:
        axis = number_axis("", [row.value for row in scored], room=0.1)
        alt = f"{metric} of {len(scored)} groups of {column.column}"
        picture = interval_chart(f"{metric} by group", scored, axis, alt=alt, note="Grey: few rows.")
    rows = [
        (
            name(group.group) + (" (small)" if group.is_small else ""),
            f"{group.rows:,}",
            _number(group.score),
            _number(group.base_rate),
            _number(group.selection_rate),
        )
        for group in column.groups
    ]
    groups = table(("Group", "Test rows", metric, "Truly positive", "Predicted positive"), rows, numbers=(1, 2, 3, 4))
    return section(
        f"By {column.column}",
        *(paragraph(text) for text in told),
        cards(*differences) if differences else "",
        figures(picture, groups) if rows else "",
    )


def _tone(group: GroupMetrics) -> Tone:
    return "ref" if group.is_small else "a"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _absent(name: str) -> ColumnAssessment:
    return ColumnAssessment(
        column=name, not_assessed=f"these rows don't carry '{name}' (logged requests hold the model's inputs only)"
    )


def _assess_column(
    name: str, groups: "npt.NDArray[np.object_]", order: Sequence[str], tested: _Tested
) -> ColumnAssessment:
    measured = tuple(_measure(group, groups == group, tested) for group in order)
    if tested.schema.task is not Task.CLASSIFICATION:
        return ColumnAssessment(column=name, groups=measured)
    compared = [group.group for group in measured if not group.is_small]
    not_assessed = ""
    if len(compared) < _TWO:
        not_assessed = f"'{name}' has fewer than two groups of at least {FEWEST_ROWS} test rows"
    elif len(predicted := set(tested.answers.predictions)) == 1:
        label = tested.schema.target.classes[int(predicted.pop())]
        not_assessed = f"the model predicts {label!r} for every test row, and treats all alike by that"
    if not_assessed:
        return ColumnAssessment(column=name, groups=measured, not_assessed=not_assessed)
    differences, left_out = _differences(groups, compared, tested.truth, tested.answers)
    return ColumnAssessment(
        column=name,
        groups=measured,
        differences=differences,
        before={} if tested.before is None else _differences(groups, compared, tested.truth, tested.before)[0],
        not_compared=tuple(group.group for group in measured if group.is_small),
        not_compared_in_odds=tuple(dict.fromkeys(left_out)),
    )


def _measure(label: str, rows: "npt.NDArray[np.bool_]", tested: _Tested) -> GroupMetrics:
    import numpy as np

    from driftloop.algorithms.metrics import score

    truth, answers = tested.truth[rows], tested.answers.take(rows)
    value = score(tested.metric, truth, answers)
    has_rates = len(tested.schema.target.classes) == _TWO and tested.schema.task is not Task.DECISION
    return GroupMetrics(
        group=label,
        rows=len(truth),
        score=value if np.isfinite(value) else None,
        base_rate=float(truth.mean()) if has_rates and not np.isnan(truth).any() else None,
        selection_rate=float(answers.predictions.mean()) if has_rates else None,
        is_small=len(truth) < FEWEST_ROWS,
    )


def _differences(
    groups: "npt.NDArray[np.object_]",
    compared: Sequence[str],
    truth: "npt.NDArray[np.float64]",
    answers: "Answers",
) -> tuple[dict[str, float], list[str]]:
    """Return the differences, and the groups that equalized odds had to leave out."""
    import numpy as np
    from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference

    codes = np.unique(truth)
    parity, odds, left_out = [], [], []
    for code in codes[1:] if len(codes) == _TWO else codes:
        is_true, is_predicted = truth == code, answers.predictions == code
        large = np.isin(groups, compared)
        parity.append(
            demographic_parity_difference(is_true[large], is_predicted[large], sensitive_features=groups[large])
        )
        telling = [
            label
            for label in compared
            if FEWEST_ROWS_PER_OUTCOME
            <= is_true[groups == label].sum()
            <= (groups == label).sum() - FEWEST_ROWS_PER_OUTCOME
        ]
        left_out += [label for label in compared if label not in telling]
        if len(telling) >= _TWO:
            rows = np.isin(groups, telling)
            odds.append(equalized_odds_difference(is_true[rows], is_predicted[rows], sensitive_features=groups[rows]))
    differences = {DEMOGRAPHIC_PARITY: float(max(parity))}
    if odds:
        differences[EQUALIZED_ODDS] = float(max(odds))
    return differences, left_out


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _end(value: Any) -> str:
    """Write the end of a quartile: a number shortly, a moment as its day."""
    if not isinstance(value, int | float):
        return str(value)[:10]
    return f"{value:g}" if abs(value) < _LONG_NUMBER else f"{value:.0f}"

"""A look at validated rows: amount, quality, leaks, relevance, diversity. The second half of the stage `validate`.

It changes nothing and refuses nothing: it says what a person should know, in figures. Rows beyond ten thousand are
sampled evenly, so that it takes a second. Loads neither pandas nor scikit-learn.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from driftloop.reports.markup import percent
from driftloop.spec import DataSchema, DataSpec
from driftloop.spec.datachecks import CheckKind, ColumnRelevance, DataChecks, DataFinding, LearningPoint
from driftloop.spec.problem import UNSUPERVISED
from driftloop.stages.amount import draw_on, learning_points, rows_needed
from driftloop.stages.codedrows import CodedRows, code_rows
from driftloop.stages.diversity import find_gaps, group_shares
from driftloop.stages.labelnoise import suspicious_labels
from driftloop.stages.leakage import find_leaks
from driftloop.stages.relevance import SIGNIFICANT, relevance
from driftloop.stages.roughmodel import RoughModel
from driftloop.stages.rowquality import find_flaws
from driftloop.stages.split import TRAIN_SHARE
from driftloop.stages.validate import ValidatedData

_MOST_COLUMNS = 30
"""Columns that the rough model is made of: those that tell the most."""
_FEWEST_ROWS = 100
_WORTHWHILE = 0.01
"""Explained share that twice the rows must add to be worth collecting."""
_NOTHING = 0.005
_FEW_LABELS = 0.01


@dataclass(frozen=True)
class _Looked:
    """What the models behind the figures say."""

    coded: CodedRows
    relevance: tuple[ColumnRelevance, ...]
    model: RoughModel
    explained: float
    label_noise: float | None
    needed: int
    curve: tuple[LearningPoint, ...]
    forecast: tuple[LearningPoint, ...]


def check_rows(table: pa.Table, schema: DataSchema, data: DataSpec, *, seed: int = 0) -> DataChecks:
    """Look at validated rows.

    Args:
        table: of `validate`.
        schema: likewise.
        data: roles of columns.
        seed: of folds and permutations.
    """
    groups = group_shares(table, schema, data)
    findings = [*find_flaws(table, schema), *find_gaps(table, schema, groups)]
    coded = None if schema.task in UNSUPERVISED else code_rows(table, schema)  # known groups only compare
    looked = (
        _look(coded, table.num_rows, schema, seed) if coded and coded.columns and coded.rows >= _FEWEST_ROWS else None
    )
    if looked is None:
        return DataChecks(rows_looked_at=0, groups=groups, findings=tuple(findings))
    findings += find_leaks(table, schema, data, looked.coded, looked.model)
    findings += _tell(looked, table.num_rows)
    return DataChecks(
        rows_looked_at=looked.coded.rows,
        rows_needed=looked.needed,
        curve=looked.curve,
        forecast=looked.forecast,
        relevance=looked.relevance,
        label_noise=looked.label_noise,
        groups=groups,
        findings=tuple(findings),
    )


def checked(validated: ValidatedData, data: DataSpec) -> ValidatedData:
    """Return validated rows with what `check_rows` says of them in the report."""
    checks = check_rows(validated.table, validated.schema, data)
    return replace(validated, report=validated.report.model_copy(update={"checks": checks}))


def _look(coded: CodedRows, rows: int, schema: DataSchema, seed: int) -> _Looked:
    bits, p_values = relevance(coded, seed=seed)
    best: dict[str, ColumnRelevance] = {}
    for column, information, p_value in zip(coded.columns, bits, p_values, strict=True):
        known = best.get(column.name)
        if known is None or (p_value, -information) < (known.p_value, -known.bits):
            best[column.name] = ColumnRelevance(column=column.name, bits=float(information), p_value=float(p_value))
    ranked = tuple(sorted(best.values(), key=lambda one: -one.bits))
    chosen = sorted(np.argsort(-bits, kind="stable")[:_MOST_COLUMNS])
    model = RoughModel(
        tuple(coded.columns[place] for place in chosen), coded.target, seed=seed, is_ordered=coded.is_ordered
    )
    answers, explained = model.out_of_fold(), model.explained()
    wrong = suspicious_labels(coded, answers, explained)
    curve = learning_points(model)
    training = round(rows * TRAIN_SHARE)
    return _Looked(
        coded=coded,
        relevance=ranked,
        model=model,
        explained=explained,
        label_noise=None if wrong is None else float(wrong.mean()),
        needed=rows_needed(schema, coded),
        curve=curve,
        forecast=draw_on(curve, (training, 2 * training)),
    )


def _tell(looked: _Looked, rows: int) -> Iterator[DataFinding]:
    yield from _tell_relevance(looked)
    yield from _tell_amount(looked, rows)
    if looked.label_noise is not None and looked.label_noise >= _FEW_LABELS:
        text = (
            f"about {percent(looked.label_noise)} of the targets contradict what the columns clearly say: they are "
            "wrong, or the columns don't tell these cases apart"
        )
        yield DataFinding(kind=CheckKind.QUALITY, text=text)


def _tell_relevance(looked: _Looked) -> Iterator[DataFinding]:
    telling = [one for one in looked.relevance if one.p_value <= SIGNIFICANT]
    mute = [one.column for one in looked.relevance if one.p_value > SIGNIFICANT]
    if not telling:
        together = (
            f"a rough model of all columns explains {percent(max(looked.explained, 0))} of it"
            if looked.explained > _NOTHING
            else "nor do all together in a rough model"
        )
        text = (
            "these data don't answer this problem, as far as single columns show: none tells more of the target than "
            f"chance does, at an error rate of {percent(SIGNIFICANT)} for all columns together; {together}"
        )
        yield DataFinding(kind=CheckKind.RELEVANCE, text=text)
    elif looked.coded.is_ordered and looked.explained <= 0:
        text = (
            "what the columns tell of the target does not hold over time: a rough model fitted on other periods "
            "explains nothing of it"
        )
        yield DataFinding(kind=CheckKind.RELEVANCE, text=text)
    elif mute:
        named = ", ".join(f"'{name}'" for name in mute[:5]) + (f" and {len(mute) - 5} more" if len(mute) > 5 else "")  # noqa: PLR2004 - as shown
        text = f"on their own, {len(telling)} of {len(looked.relevance)} columns tell of the target; not {named}"
        yield DataFinding(kind=CheckKind.RELEVANCE, text=text, is_warning=False)


def _tell_amount(looked: _Looked, rows: int) -> Iterator[DataFinding]:
    if rows < looked.needed:
        text = f"{rows:,} rows are few for these columns: by rules of thumb a linear model needs {looked.needed:,}"
        yield DataFinding(kind=CheckKind.AMOUNT, text=text)
    if len(looked.forecast) < 2 or looked.explained <= _NOTHING:  # noqa: PLR2004 - now, and with twice the rows
        return
    now, doubled = (point.explained for point in looked.forecast[:2])
    if doubled <= _NOTHING:
        return
    what = (
        f"a rough model would explain {percent(doubled)} of the target with twice the rows, {percent(now)} with these"
    )
    is_worthwhile = doubled - now >= _WORTHWHILE
    advice = "more rows would help" if is_worthwhile else "more rows of this kind would bring little"
    yield DataFinding(kind=CheckKind.AMOUNT, text=f"{advice}: {what}", is_warning=is_worthwhile)

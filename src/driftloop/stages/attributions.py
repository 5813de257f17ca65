"""How far each input column pushes answers up or down, for all rows and for a handful: Shapley values; for `explain`.

Trees by shap's TreeExplainer and linear models by their exact formula, on the matrix, summed over the columns that come
from one input; whatever else answers, e.g. with corrected probabilities, is asked about rows with some inputs exchanged
(permutation sampling).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from driftloop.algorithms.metrics import Answers
from driftloop.algorithms.tasks import answer
from driftloop.spec import DataSchema, FeatureType, Task
from driftloop.stages.decisionlinks import undecided
from driftloop.stages.filling import missing_flag
from driftloop.stages.matrices import MatrixColumn
from driftloop.stages.predict import SAMPLE_ROWS
from driftloop.stages.records import Attributions, Contribution, LocalExplanation
from driftloop.stages.table import encode_target, read_features, read_target

MOST_ROWS = 300
FEWEST_ROWS = 20
MOST_STEPS = 4e8
"""Leaves times squared depth over all rows: what a tree explanation may take, about a second."""
MOST_ANSWERS = 40_000
"""Rows to ask a model about that is neither tree nor linear."""
BACKGROUND = 20
_LINEAR = ("LogisticRegression", "Ridge", "Lasso", "ElasticNet", "LinearRegression", "SGDClassifier", "SGDRegressor")
_TREES = ("DecisionTree", "RandomForest", "ExtraTrees", "HistGradientBoosting")
_TWO = 2

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Pushes:
    """Contributions, shape (n_rows, n_features), and the answers that they explain: base + their sum."""

    amounts: Numbers
    base: float
    method: str
    unit: str


def attribute(
    chain: Any, test: pa.Table, schema: DataSchema, matrix_columns: Sequence[MatrixColumn], *, seed: int
) -> Attributions | None:
    """Return the attributions on some test rows; None for tasks whose answer is no number, and without such rows.

    Args:
        chain: the whole model; takes the model's frame.
        test: the test rows.
        schema: of those rows.
        matrix_columns: what the chain's matrix is made of; empty where that is not known.
        seed: of the choice of rows and of the orders that inputs are exchanged in.
    """
    if schema.task not in (Task.CLASSIFICATION, Task.REGRESSION, Task.ANOMALY_DETECTION):
        return None
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        return _attribute(chain, test, schema, matrix_columns, np.random.default_rng(seed))


def _attribute(
    chain: Any, test: pa.Table, schema: DataSchema, matrix_columns: Sequence[MatrixColumn], random: np.random.Generator
) -> Attributions | None:
    examples, reasons = _choose_examples(chain, test, schema)
    others = random.permutation(np.setdiff1d(np.arange(test.num_rows), examples))[: MOST_ROWS - len(examples)]
    rows = np.concatenate([examples, others]).astype(np.int64)
    if not len(rows):
        return None
    frame = read_features(test.take(pa.array(rows)), schema).reset_index(drop=True)
    answers = answer(chain, frame, schema.task)
    code = _explained_code(answers, schema)
    pushes = _push(chain, frame, schema, matrix_columns, code=code, random=random)
    sizes = np.abs(pushes.amounts).mean(axis=0)
    order = np.argsort(-sizes, kind="stable")
    named = encode_target(read_target(test.take(pa.array(rows)), schema), schema)
    return Attributions(
        method=pushes.method,
        unit=pushes.unit,
        of=_label(float(code), schema) if schema.target.classes else schema.target.name,
        rows=len(pushes.amounts),
        mean_answer=pushes.base,
        columns=tuple((schema.feature_names[place], float(sizes[place])) for place in order),
        examples=tuple(
            LocalExplanation(
                why=reason,
                prediction=_label(float(answers.predictions[row]), schema),
                truth=_label(float(named[row]), schema),
                answer=pushes.base + float(pushes.amounts[row].sum()),
                contributions=_contributions(frame.iloc[row], pushes.amounts[row], schema),
            )
            for row, reason in enumerate(reasons)
        ),
    )


def _choose_examples(chain: Any, test: pa.Table, schema: DataSchema) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return a handful of rows, each with what it shows; among those that the Bento's sample holds anyway."""
    required = [feature.name for feature in schema.features if not feature.nullable]
    table = test.to_pandas()
    positions = np.flatnonzero(table[required].notna().all(axis=1))[:SAMPLE_ROWS]
    if not len(positions):
        return positions, []
    sample = test.take(pa.array(positions))
    answers = answer(chain, read_features(sample, schema), schema.task)
    truth = encode_target(read_target(sample, schema), schema)
    if answers.probabilities is None:
        rated = answers.predictions
        told = {"the highest": rated.argmax(), "the lowest": rated.argmin()}
        error = np.abs(truth - rated)
    elif answers.probabilities.shape[1] == _TWO:
        rated = answers.probabilities[:, 1]
        told = {"the surest yes": rated.argmax(), "the surest no": rated.argmin()}
        told["the least sure"] = np.abs(rated - 0.5).argmin()
        error = np.abs(truth - rated)
    else:
        rated = answers.probabilities.max(axis=1)
        told = {"the surest": rated.argmax(), "the least sure": rated.argmin()}
        known = np.nan_to_num(truth).astype(np.int64)
        error = 1 - answers.probabilities[np.arange(len(truth)), known]
    if np.isfinite(error).any():
        told["the most wrong"] = np.nanargmax(error)
    reasons: dict[int, str] = {}
    for reason, row in told.items():
        reasons[int(row)] = f"{reasons[int(row)]}, {reason}" if int(row) in reasons else reason
    return positions[list(reasons)], list(reasons.values())


def _explained_code(answers: Answers, schema: DataSchema) -> int:
    """Return the class whose probability is explained: the positive one of two, else the most frequent answer."""
    if answers.probabilities is None or len(schema.target.classes) <= _TWO:
        return 1
    return int(np.bincount(answers.predictions.astype(np.int64)).argmax())


def _push(
    chain: Any,
    frame: pd.DataFrame,
    schema: DataSchema,
    matrix_columns: Sequence[MatrixColumn],
    *,
    code: int,
    random: np.random.Generator,
) -> _Pushes:
    owners = _owners(matrix_columns, schema)
    last = undecided(chain.steps[-1][1])
    kind = type(last).__name__
    if owners is not None and schema.task is not Task.ANOMALY_DETECTION:
        matrix: Any = frame
        for _, link in chain.steps[:-1]:
            matrix = link.transform(matrix)
        matrix = np.asarray(matrix, dtype=np.float64)
        found = None
        if matrix.shape[1] == len(owners) and kind in _LINEAR:
            found = _push_linear(last, matrix, schema, code)
        elif matrix.shape[1] == len(owners) and kind.startswith(_TREES):
            found = _push_trees(last, matrix, schema, code)
        if found is not None:
            values = np.zeros((len(found.amounts), len(schema.features)))
            np.add.at(values.T, owners, found.amounts.T)
            return _Pushes(values, found.base, found.method, found.unit)
    return _push_any(chain, frame, schema, code, random)


def _owners(matrix_columns: Sequence[MatrixColumn], schema: DataSchema) -> npt.NDArray[np.int64] | None:
    """Return the position of the input that each matrix column comes from; None where one comes from several."""
    places = {name: place for place, name in enumerate(schema.feature_names)}
    places |= {missing_flag(name): place for name, place in places.items()}
    found = [places.get(column.feature, -1) for column in matrix_columns]
    return np.array(found) if found and min(found) >= 0 else None


def _push_linear(estimator: Any, matrix: Numbers, schema: DataSchema, code: int) -> _Pushes:
    """A weight times the value's distance from its mean (Lundberg and Lee 2017, corollary 1)."""
    weights, starts = np.atleast_2d(estimator.coef_), np.atleast_1d(estimator.intercept_)
    row = code if len(weights) > _TWO else 0
    means = matrix.mean(axis=0)
    base = float(means @ weights[row] + starts[row])
    unit = "log-odds" if schema.task is Task.CLASSIFICATION else schema.target.name
    return _Pushes((matrix - means) * weights[row], base, "exact for linear models, inputs exchanged alone", unit)


def _push_trees(estimator: Any, matrix: Numbers, schema: DataSchema, code: int) -> _Pushes | None:
    """By shap's TreeExplainer (Lundberg et al. 2020); None where it would take long or can't read the trees."""
    rows = min(int(MOST_STEPS / _steps(estimator)), len(matrix))
    if rows < min(FEWEST_ROWS, len(matrix)):
        return None
    import logging
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that shap draws with
        import shap

        try:
            explainer = shap.TreeExplainer(estimator)
            values = np.asarray(explainer.shap_values(matrix[:rows], check_additivity=False))
        except Exception:  # kinds of trees that it can't read: any other way explains them, too
            logging.getLogger(__name__).info("shap can't read the trees", exc_info=True)
            return None
    base = np.atleast_1d(explainer.expected_value)
    if values.ndim > _TWO:
        values, base = values[:, :, code], base[code : code + 1]
    is_probability = schema.task is Task.CLASSIFICATION and not type(estimator).__name__.startswith("HistGradient")
    unit = schema.target.name
    if schema.task is Task.CLASSIFICATION:
        unit = "probability" if is_probability else "log-odds"
    return _Pushes(values, float(base[0]), "shap's TreeExplainer", unit)


def _steps(estimator: Any) -> float:
    """Return what one row costs TreeExplainer: leaves times squared depth over all trees."""
    if hasattr(estimator, "_predictors"):
        trees = [tree for of_iteration in estimator._predictors for tree in of_iteration]  # noqa: SLF001 - no other way
        return float(sum(tree.get_n_leaf_nodes() * max(tree.get_max_depth(), 1) ** 2 for tree in trees))
    trees = getattr(estimator, "estimators_", [estimator])
    return float(sum(tree.get_n_leaves() * max(tree.get_depth(), 1) ** 2 for tree in trees))


def _push_any(chain: Any, frame: pd.DataFrame, schema: DataSchema, code: int, random: np.random.Generator) -> _Pushes:
    """Put the inputs in one by one, in sampled orders forth and back (Castro et al. 2009, Mitchell et al. 2022).

    shap's PermutationExplainer does the same, and takes seconds to compile.
    """
    features = len(schema.features)
    # A wide table is held against fewer rows: the handful of examples comes first.
    against = min(max(MOST_ANSWERS // ((2 * features + 1) * _FEW_EXAMPLES), 1), BACKGROUND)
    rows = min(max(MOST_ANSWERS // ((2 * features + 1) * against), _FEW_EXAMPLES), len(frame))
    background = np.arange(len(frame))[-against:]
    ask = _asker(chain, schema, code)
    arrays = {name: frame[name].to_numpy() for name in schema.feature_names}
    values = np.zeros((rows, features))
    for row in range(rows):
        order = random.permutation(features)
        ours = np.zeros((2 * features + 1, features), dtype=bool)  # which inputs are the row's own, step by step
        for step, place in enumerate((*order, *order)):
            ours[step + 1] = ours[step]
            ours[step + 1, place] = step < features
        owner = np.where(ours[:, None, :], row, background[None, :, None]).reshape(-1, features)
        mixed = {name: array[owner[:, place]] for place, (name, array) in enumerate(arrays.items())}
        means = ask(pd.DataFrame(mixed)).reshape(len(ours), -1).mean(axis=1)
        steps = np.diff(means)
        values[row, order] += steps[:features] / 2
        values[row, order] -= steps[features:] / 2
    base = float(ask(frame.iloc[background]).mean())
    unit = schema.target.name if schema.task is Task.REGRESSION else "probability"
    return _Pushes(values, base, f"permutation sampling against {len(background)} rows", unit)


_FEW_EXAMPLES = 5


def _asker(chain: Any, schema: DataSchema, code: int) -> Callable[[pd.DataFrame], Numbers]:
    def ask(frame: pd.DataFrame) -> Numbers:
        answers = answer(chain, frame, schema.task)
        return answers.predictions if answers.probabilities is None else answers.probabilities[:, code]

    return ask


def _contributions(row: "pd.Series[Any]", amounts: Numbers, schema: DataSchema) -> tuple[Contribution, ...]:
    order = np.argsort(-np.abs(amounts), kind="stable")
    features = [schema.features[place] for place in order]
    return tuple(
        Contribution(column=feature.name, value=_text(row[feature.name], feature.type), amount=float(amounts[place]))
        for feature, place in zip(features, order, strict=True)
    )


def _text(value: Any, kind: FeatureType) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return "missing"
    if kind is FeatureType.DATE:
        return datetime.fromtimestamp(value, UTC).isoformat(sep=" ", timespec="minutes")[:16]
    if kind is FeatureType.BOOLEAN:
        return str(bool(value))
    return f"{value:.6g}" if kind is FeatureType.NUMERIC else str(value)


def _label(value: float, schema: DataSchema) -> str:
    if value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return ""
    return str(schema.target.classes[int(value)]) if schema.target.classes else f"{value:.6g}"

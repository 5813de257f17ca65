"""Fewer columns: the ones that are kept, and combinations of all. Part of `transform`, after encoding and scaling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.errors import InvalidInputError
from driftloop.spec import PreparationSpec, Task
from driftloop.spec.problem import SUPERVISED
from driftloop.stages.filling import evenly
from driftloop.stages.matrices import MatrixColumn, MatrixColumnKind

COMBINE_FROM = 500
"""Columns from which on `extraction: Auto` combines them."""
HELD_VARIANCE, MOST_COMPONENTS = 0.95, 100
LEAST_VARIANCE = 0.01
"""What `VarianceThreshold` asks of a scaled column: a flag that differs in fewer than one row of a hundred has less."""
MOST_ROWS_INFORMED = 10_000
"""Training rows, evenly chosen, that mutual information is estimated from: its nearest neighbours take long."""


class ReductionError(InvalidInputError):
    """More columns are asked for than there are, or a target where there is none."""

    def __init__(self, field: str, constraint: str, got: object, remedy: str) -> None:
        super().__init__(f"The 'preparation.{field}' must {constraint}. Got {got}. {remedy}")


class ReducingTransformer:
    """Encodes and scales, keeps some of the columns, combines them; the second link of a chain, made fitted."""

    def __init__(self, encoder: Any, positions: npt.NDArray[np.int64] | None, decomposition: Any) -> None:
        """Keep the fitted parts: what makes the matrix, the positions that are kept, what combines; None for none."""
        self.encoder = encoder
        self.positions = positions
        self.decomposition = decomposition

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, *_: Any) -> "ReducingTransformer":
        """Do nothing: it is made fitted. scikit-learn takes a link without this method for none."""
        return self

    def transform(self, frame: Any) -> npt.NDArray[np.float64]:
        """Return the columns that are left, shape (n_rows, n_columns)."""
        matrix = np.asarray(self.encoder.transform(frame))
        if self.positions is not None:
            matrix = matrix[:, self.positions]
        return matrix if self.decomposition is None else np.asarray(self.decomposition.transform(matrix))


@dataclass(frozen=True)
class Reduced:
    """A smaller matrix, and how it is made."""

    matrix: npt.NDArray[np.float64]
    columns: tuple[MatrixColumn, ...]
    transformer: Any
    """The encoder itself where nothing is reduced."""
    told: tuple[str, ...]
    """What was done and why, in plain sentences."""


def reduce_columns(
    encoder: Any,
    matrix: npt.NDArray[np.float64],
    y: npt.NDArray[Any] | None,
    columns: Sequence[MatrixColumn],
    preparation: PreparationSpec,
    *,
    task: Task,
    seed: int,
) -> Reduced:
    """Leave out constant columns, select, then combine, as the loop asks.

    Args:
        encoder: fitted; what made the matrix.
        matrix: training rows, encoded and scaled, shape (n_rows, n_columns).
        y: their target; None where there is none.
        columns: what the columns are.
        preparation: group of the loop.
        task: what is learned.
        seed: of mutual information and of randomised decompositions.

    Raises:
        ReductionError: a choice does not fit the matrix or the task.
    """
    told: list[str] = []
    names = tuple(columns)
    kept = np.arange(len(names))
    decomposition = None

    def keep(positions: npt.NDArray[np.int64], reason: str) -> None:
        nonlocal matrix, names, kept
        if len(positions) == 0:
            positions = np.array([0])  # a model needs a column, be it constant
        left_out = [names[place].name for place in np.setdiff1d(np.arange(matrix.shape[1]), positions)]
        if not left_out:
            return
        matrix, names, kept = matrix[:, positions], tuple(names[place] for place in positions), kept[positions]
        shown = ", ".join(repr(name) for name in left_out[:5]) + (" and others" if len(left_out) > 5 else "")  # noqa: PLR2004
        told.append(f"{len(left_out)} of {len(left_out) + len(names)} columns are left out ({shown}): {reason}.")

    keep(np.flatnonzero(np.ptp(matrix, axis=0) > 0), "they are the same in all training rows")
    if preparation.selection == "VarianceThreshold":
        varying = np.flatnonzero(matrix.var(axis=0) > LEAST_VARIANCE)
        keep(varying, f"their variance is at most {LEAST_VARIANCE:g}")
    elif preparation.selection in ("MutualInformation", "ANOVA"):
        scores = _scores(matrix, y, names, task, preparation.selection, seed=seed)
        wanted = preparation.selected_columns or max(len(names) // 2, 1)
        if wanted > len(names):
            raise ReductionError(
                "selectedColumns",
                f"be at most {len(names)}, the columns of the matrix",
                wanted,
                "Lower it, or leave it out for half of them.",
            )
        best = np.sort(np.argsort(-scores, kind="stable")[:wanted])
        word = "mutual information" if preparation.selection == "MutualInformation" else "F value"
        keep(best, f"the others have more {word} with the target")
    combined = _extraction(preparation, matrix.shape[1])
    if combined:
        decomposition = _decompose(matrix, combined, preparation.components, seed=seed)
        held = float(decomposition.explained_variance_ratio_.sum())
        before, matrix = matrix.shape[1], np.asarray(decomposition.transform(matrix))
        names = tuple(
            MatrixColumn(f"component {place + 1}", "", MatrixColumnKind.COMPONENT) for place in range(matrix.shape[1])
        )
        why = f", because there are {COMBINE_FROM} columns or more" if preparation.extraction == "Auto" else ""
        told.append(
            f"{before} columns are combined to {len(names)} by {combined}, which hold {100 * held:.1f} % of their "
            f"variance{why}."
        )
    positions = kept if len(kept) < len(columns) else None
    is_whole = positions is None and decomposition is None
    transformer = encoder if is_whole else ReducingTransformer(encoder, positions, decomposition)
    return Reduced(matrix, names, transformer, tuple(told))


def _extraction(preparation: PreparationSpec, columns: int) -> str:
    if preparation.extraction == "Auto":
        return "PCA" if columns >= COMBINE_FROM else ""
    return "" if preparation.extraction == "None" else preparation.extraction


def _scores(
    matrix: npt.NDArray[np.float64],
    y: npt.NDArray[Any] | None,
    columns: Sequence[MatrixColumn],
    task: Task,
    method: str,
    *,
    seed: int,
) -> npt.NDArray[np.float64]:
    import warnings

    from sklearn.feature_selection import f_classif, f_regression, mutual_info_classif, mutual_info_regression

    if y is None or task not in SUPERVISED:
        remedy = "Use VarianceThreshold, or remove it: there is no target to tell of."
        raise ReductionError("selection", f"not be {method} for the task {task}", method, remedy)
    if method == "ANOVA":
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", UserWarning)
            values = (f_regression if task is Task.REGRESSION else f_classif)(matrix, y)[0]
        return np.asarray(np.nan_to_num(values, nan=-np.inf, posinf=np.inf))
    chosen = evenly(len(matrix), MOST_ROWS_INFORMED)
    continuous = (MatrixColumnKind.NUMBER, MatrixColumnKind.TEXT, MatrixColumnKind.COMPONENT)
    informed = mutual_info_regression if task is Task.REGRESSION else mutual_info_classif
    looked_at, discrete = matrix[chosen], np.array([column.kind not in continuous for column in columns])
    for place in np.flatnonzero(discrete):  # numbered, for scaled ones would be taken for continuous
        looked_at[:, place] = np.unique(looked_at[:, place], return_inverse=True)[1]
    found: npt.NDArray[np.float64] = informed(looked_at, y[chosen], discrete_features=discrete, random_state=seed)
    return found


def _decompose(matrix: npt.NDArray[np.float64], method: str, components: int | None, *, seed: int) -> Any:
    from sklearn.decomposition import PCA, TruncatedSVD

    rows, columns = matrix.shape
    most = min(rows, columns)
    if components is not None and components > most:
        limit = f"{columns}, the columns of the matrix" if columns <= rows else f"{rows}, the training rows"
        raise ReductionError(
            "components", f"be at most {limit}", components, "Lower it, or leave it out for 95 % of the variance."
        )

    def fit(count: int) -> Any:
        made = PCA(count, random_state=seed) if method == "PCA" else TruncatedSVD(count, random_state=seed)
        return made.fit(matrix)

    if components is not None:
        return fit(components)
    widest = fit(min(most, MOST_COMPONENTS))
    held = np.cumsum(widest.explained_variance_ratio_)
    enough = int(np.searchsorted(held, HELD_VARIANCE)) + 1
    return widest if enough >= len(held) else fit(enough)

"""Stage `resample`: balances rare classes among the training rows, by weights or by drawing rows again.

Between `transform` and `train`. It sees training rows and nothing else, so that validation and test rows can't be
touched; their numbers, and imbalanced-learn, are loaded only where a sampler is asked for that needs them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.errors import InvalidInputError
from driftloop.reports.page import fact_table, render_page
from driftloop.spec import Task
from driftloop.spec.preparation import SamplingName
from driftloop.stages.fittedlink import FittedLink
from driftloop.stages.matrices import Matrices
from driftloop.stages.records import SamplingRecord
from driftloop.stages.samplers import draw

WEIGHT_BELOW = 0.02
"""`Auto` weights the classes where the rarest has less than this part of an equal share: 1 % of two classes.

Google's course on imbalanced data calls a minority below 1 % extreme and advises to train on the data as they are
otherwise. Balancing does not make a model rank better, and harms its probabilities unless they are corrected (van den
Goorbergh et al. 2022, The harm of class imbalance corrections for risk prediction models).
"""


class SamplingError(InvalidInputError):
    """A task other than classification has no classes to balance."""

    def __init__(self, sampling: str, task: Task) -> None:
        super().__init__(
            f"The 'preparation.sampling' must be Auto or None for the task {task}. Got '{sampling}'. "
            "Remove it: there are no classes to balance."
        )


@dataclass(frozen=True)
class Sampling:
    """How the training rows are fitted on."""

    rows: npt.NDArray[np.int64] | None = None
    """Rows to fit on, by position, one as often as it was drawn; None for all, once."""
    weights: npt.NDArray[np.float64] | None = None
    """Weight of each training row; None for equal ones. Never together with `rows` or rows made up."""
    made_x: npt.NDArray[np.float64] | None = None
    """Rows made up, to be fitted on besides, shape (n_made, n_columns)."""
    made_y: npt.NDArray[Any] | None = None
    """Their targets, shape (n_made,)."""

    def take(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the rows to fit on of an array with one entry for each training row; without those made up."""
        return values if self.rows is None else values[self.rows]

    def targets(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the targets of all rows that are fitted on, those made up last."""
        return self.take(y) if self.made_y is None else np.concatenate([self.take(y), self.made_y])

    def fit_on(self, matrices: Matrices) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
        """Return matrix and targets of all rows that are fitted on, those made up last."""
        x = self.take(matrices.train_x)
        return x if self.made_x is None else np.concatenate([x, self.made_x]), self.targets(matrices.train_y)

    def prior_factors(self, y: npt.NDArray[Any]) -> npt.NDArray[np.float64] | None:
        """Return for each class its true share over the share it is fitted with, shape (n_classes,); None if all are 1.

        Args:
            y: target of all training rows.
        """
        if self.rows is None and self.weights is None and self.made_y is None:
            return None
        classes, codes = np.unique(y, return_inverse=True)
        true = np.bincount(codes, minlength=len(classes)) / len(codes)
        fitted_on = np.searchsorted(classes, self.targets(y))
        fitted = np.bincount(fitted_on, self.weights, minlength=len(classes))
        factors: npt.NDArray[np.float64] = true / (fitted / fitted.sum())
        return None if np.allclose(factors, 1) else factors

    def save(self, path: Path) -> None:
        """Write to one file."""
        arrays: dict[str, Any] = {name: values for name, values in vars(self).items() if values is not None}
        with path.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Sampling":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**arrays)


class PriorCorrection(FittedLink):
    """A fitted classifier whose probabilities are brought back to the true shares of the classes.

    A classifier fitted on other shares than the true ones is off by the factor true over fitted share of each class
    (Saerens, Latinne and Decaestecker 2002; Elkan 2001, theorem 2). That is exact for one whose probabilities are right
    for the shares it was fitted on; trees that follow the training rows closely stay somewhat too sure, and the
    calibration curve of `evaluate` shows it. The last link of a chain, made fitted.
    """

    def __init__(self, estimator: Any, factors: npt.NDArray[np.float64]) -> None:
        """Keep the classifier and the factor of each of its classes, in its order."""
        super().__init__(estimator)
        self.factors = factors

    def predict_proba(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return corrected probabilities, shape (n_rows, n_classes)."""
        corrected = np.asarray(self.estimator.predict_proba(rows), dtype=np.float64) * self.factors
        return np.asarray(corrected / corrected.sum(axis=1, keepdims=True))

    def predict(self, rows: Any) -> npt.NDArray[Any]:
        """Return the most probable classes, shape (n_rows,)."""
        predicted: npt.NDArray[Any] = self.classes_[self.predict_proba(rows).argmax(axis=1)]
        return predicted


def resample(
    y: npt.NDArray[Any],
    task: Task,
    sampling: SamplingName,
    *,
    seed: int,
    load: Callable[[], Matrices] | None = None,
) -> tuple[Sampling, SamplingRecord]:
    """Decide how the training rows are fitted on.

    Args:
        y: target of the training rows, shape (n_rows,).
        task: what is learned.
        sampling: `preparation.sampling`; Auto is resolved here.
        seed: of the draws.
        load: gives the matrices, for samplers that compare rows; None where there are none.

    Raises:
        SamplingError: balancing was asked for in another task than classification.
        SamplerError: see `samplers.draw`.
    """
    if task is not Task.CLASSIFICATION:
        if sampling not in ("Auto", "None"):
            raise SamplingError(sampling, task)
        reason = f"the task {task} has no classes to balance"
        if task is Task.DECISION:
            reason = "logged actions are weighted by their propensities"
        return Sampling(), SamplingRecord(method="None", reason=reason)
    classes, codes = np.unique(y, return_inverse=True)
    counts = np.bincount(codes, minlength=len(classes))
    method, reason = _resolve(sampling, dict(zip(classes.tolist(), counts.tolist(), strict=True)))
    chosen, weights = Sampling(), np.ones(len(classes))
    if method == "ClassWeights":
        weights = len(y) / (len(classes) * counts)
        chosen = Sampling(weights=weights[codes])
    elif method != "None":
        drawn = draw(method, y, load or _no_matrices, seed)
        chosen = Sampling(rows=drawn.rows, made_x=drawn.made_x, made_y=drawn.made_y)
    fitted = np.bincount(np.searchsorted(classes, chosen.targets(y)), minlength=len(classes))
    record = SamplingRecord(
        method=method,
        reason=reason,
        rows_before={str(label): int(count) for label, count in zip(classes.tolist(), counts, strict=True)},
        rows_after={str(label): int(count) for label, count in zip(classes.tolist(), fitted, strict=True)},
        weights={str(label): float(weight) for label, weight in zip(classes.tolist(), weights, strict=True)},
        rows_made=0 if chosen.made_y is None else len(chosen.made_y),
    )
    return chosen, record


def _no_matrices() -> Matrices:
    raise ValueError("A sampler that compares rows needs their matrix.")


def build_page(record: SamplingRecord) -> str:
    """Return what was done, class by class, as one self-contained HTML page."""
    corrected = "not needed" if record.method == "None" else "probabilities are brought back to the true shares"
    total = sum(record.rows_before.values()) or 1
    classes = {
        label: f"{rows:,} rows ({100 * rows / total:.1f} %), fitted on {record.rows_after[label]:,} "
        f"of weight {record.weights[label]:.3g}"
        for label, rows in record.rows_before.items()
    }
    facts = {"Sampling": record.method, "Why": record.reason, "Correction": corrected}
    if record.rows_made:
        facts["Rows made up"] = f"{record.rows_made:,}"
    if record.augmentation:
        facts["Augmentation"] = record.augmentation
    return render_page("Sampling of the training rows", fact_table(facts), fact_table(classes) if classes else "")


def _resolve(sampling: SamplingName, counts: Mapping[Any, int]) -> tuple[SamplingName, str]:
    """Return what to do and why, as the rest of a sentence."""
    rarest = min(counts, key=lambda label: counts[label])
    share, limit = counts[rarest] / sum(counts.values()), WEIGHT_BELOW / len(counts)
    found = f"the rarest class, {rarest!r}, has {share:.2%} of the training rows".replace("%", " %")
    if sampling != "Auto":
        return sampling, f"the loop asks for it; {found}"
    words = f"Auto weights classes below {limit:.2%}".replace("%", " %")
    return ("ClassWeights" if share < limit else "None"), f"{found}, and {words}"

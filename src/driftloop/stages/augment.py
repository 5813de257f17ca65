"""More training rows than there are, made of those that there are. Part of the stage `resample`; NumPy only.

Rows are made after balancing, so that they keep its shares. Validation and test rows are never touched.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftloop.errors import InvalidInputError
from driftloop.spec import SUPERVISED, DataSchema, FeatureType, Task
from driftloop.stages.matrices import Matrices, MatrixColumnKind
from driftloop.stages.modelfile import load_model
from driftloop.stages.records import SamplingRecord
from driftloop.stages.resample import Sampling

if TYPE_CHECKING:
    import pandas as pd

JITTER = 0.1
"""Standard deviation of the noise, in those of the column."""
MIXING = 0.2
"""Parameters of the mixtures' Beta distribution (Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization)."""
DROPPED_WORDS = 0.1
_JITTERED = (MatrixColumnKind.NUMBER, MatrixColumnKind.TEXT, MatrixColumnKind.COMPONENT)

Numbers = npt.NDArray[np.float64]


class AugmentationError(InvalidInputError):
    """Rows can't be made that way."""

    def __init__(self, method: str, constraint: str, remedy: str) -> None:
        super().__init__(f"The 'preparation.augmentation' {method} {constraint}. {remedy}")


def augment(
    sampling: Sampling,
    record: SamplingRecord,
    method: str,
    matrices: Matrices,
    task: Task,
    *,
    seed: int,
    reword: Callable[[np.random.Generator], Numbers],
) -> tuple[Sampling, SamplingRecord]:
    """Add as many rows as there are training rows to fit on.

    Args:
        sampling: how they are fitted on so far.
        record: what `resample` said of that.
        method: GaussianJitter, Mixup or WordDropout.
        matrices: of the training rows.
        task: what is learned.
        seed: of the draws.
        reword: gives the matrix of all training rows with words left out of their texts, shape (n_rows, n_columns).

    Raises:
        AugmentationError: the task has no target, there is no text, or rows are weighted.
    """
    if task not in SUPERVISED:
        raise AugmentationError(method, f"needs a target. The task {task} has none", "Remove it.")
    if sampling.weights is not None:
        remedy = "Choose RandomOverSampler or SMOTE as 'preparation.sampling', or remove one of the two."
        raise AugmentationError(method, "makes rows without weights. The rows are weighted by their class", remedy)
    random = np.random.default_rng(seed)
    x, y = sampling.fit_on(matrices)
    match method:
        case "Mixup":
            made_x, made_y = _mix(x, y, task, random)
        case "WordDropout":
            if not any(column.kind is MatrixColumnKind.TEXT for column in matrices.columns):
                raise AugmentationError(method, "needs a column of free text. There is none", "Remove it.")
            rows = np.arange(len(matrices.train_y)) if sampling.rows is None else sampling.rows
            made_x, made_y = reword(random)[rows], matrices.train_y[rows]
        case _:
            made_x, made_y = _jitter(x, matrices, random), y
    if sampling.made_x is not None and sampling.made_y is not None:
        made_x, made_y = np.concatenate([sampling.made_x, made_x]), np.concatenate([sampling.made_y, made_y])
    made = Sampling(rows=sampling.rows, made_x=made_x, made_y=made_y)
    told = f"{method}: {len(y):,} rows more, made of the {len(y):,} to fit on"
    counted = Counter(str(label) for label in made.targets(matrices.train_y).tolist()) if record.rows_after else {}
    after = {label: counted[label] for label in record.rows_after}
    return made, record.model_copy(update={"augmentation": told, "rows_after": after, "rows_made": len(made_x)})


def _jitter(x: Numbers, matrices: Matrices, random: np.random.Generator) -> Numbers:
    scale = x.std(axis=0) * JITTER
    scale[[place for place, column in enumerate(matrices.columns) if column.kind not in _JITTERED]] = 0.0
    return np.asarray(x + random.standard_normal(x.shape) * scale)


def _mix(x: Numbers, y: npt.NDArray[Any], task: Task, random: np.random.Generator) -> tuple[Numbers, npt.NDArray[Any]]:
    """Mix each row with another: of its class, because a class has no half; with any where the target is a number."""
    partner = np.arange(len(y))
    groups = [partner] if task is Task.REGRESSION else [np.flatnonzero(y == label) for label in np.unique(y)]
    for group in groups:
        partner[group] = random.permutation(group)
    share = random.beta(MIXING, MIXING, len(y))
    mixed = share[:, np.newaxis] * x + (1 - share)[:, np.newaxis] * x[partner]
    return mixed, share * y + (1 - share) * y[partner] if task is Task.REGRESSION else y


def reworded(cleaned: Path, transformer: Path, schema: DataSchema, random: np.random.Generator) -> Numbers:
    """Return the matrix of the cleaned training rows with words left out of their texts, shape (n_rows, n_columns)."""
    import pandas as pd

    frame = pd.read_parquet(cleaned)
    for feature in schema.features:
        if feature.type is FeatureType.TEXT and feature.name in frame:
            frame[feature.name] = drop_words(frame[feature.name], random)
    return np.asarray(load_model(transformer).transform(frame), dtype=np.float64)


def drop_words(texts: "pd.Series[str]", random: np.random.Generator) -> "pd.Series[str]":
    """Return the texts with about a tenth of their words left out; a text of one word stays as it is."""

    def shorten(text: str) -> str:
        words = text.split()
        kept = random.random(len(words)) >= DROPPED_WORDS
        return " ".join(word for word, stays in zip(words, kept, strict=True) if stays) if kept.any() else text

    return texts.map(shorten)

"""How much rows close in time resemble each other: what makes their number overstate what they tell."""

import numpy as np
import numpy.typing as npt


def intraclass_correlation(scores: npt.NDArray[np.float64], blocks: npt.NDArray[np.int64]) -> float:
    """Return the correlation of rows in the same block of time, 0 to 1, by analysis of variance.

    `scores` has shape (n,) or (n, k), pooled over k; `blocks` names each row's block, shape (n,). Fewer than two blocks
    say nothing: 0. Source: Donner, "A review of inference procedures for the intraclass correlation", 1986.
    """
    if scores.ndim == 1:
        scores = scores[:, np.newaxis]
    codes, sizes = np.unique(blocks, return_inverse=True, return_counts=True)[1:]
    rows, groups = len(scores), len(sizes)
    if groups < 2 or rows <= groups:  # noqa: PLR2004 - one block has nothing to differ from
        return 0.0
    sums = np.stack([np.bincount(codes, weights=column, minlength=groups) for column in scores.T], axis=1)
    means = sums / sizes[:, np.newaxis]
    between = float((sizes[:, np.newaxis] * (means - scores.mean(axis=0)) ** 2).sum()) / (groups - 1)
    within = float(((scores - means[codes]) ** 2).sum()) / (rows - groups)
    usual_size = (rows - float((sizes**2).sum()) / rows) / (groups - 1)
    total = between + (usual_size - 1) * within
    return float(np.clip((between - within) / total, 0, 1)) if total > 0 else 0.0

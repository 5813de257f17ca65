"""Do the columns tell anything of the target? Mutual information against a permuted target, for all columns at once.

Part of the checks of `validate`.
"""

import numpy as np
import numpy.typing as npt

from driftloop.stages.codedrows import CodedColumn, CodedRows, Codes

PERMUTATIONS = 99
SIGNIFICANT = 0.05
_BLOCKS = 50
_LOOKUPS = 1_000_000
_FEWEST_ROWS, _MOST_ROWS = 2_000, 10_000
_NATS = np.log(2)


def relevance(coded: CodedRows, *, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return bits and p-value of each coded column.

    Bits are the mutual information less its mean with a permuted target. P-values are those of the single-step maxT
    procedure (Westfall and Young, "Resampling-Based Multiple Testing", 1993): each column is compared with the best of
    all columns under a permuted target, so that the chance of even one false alarm is the p-value. Rows in order of
    time are permuted in blocks, because neighbours resemble each other.

    Args:
        coded: the rows.
        seed: of the permutations.
    """
    random = np.random.default_rng(seed)
    most = int(np.clip(_LOOKUPS // max(len(coded.columns), 1), _FEWEST_ROWS, _MOST_ROWS))
    chosen = np.linspace(0, coded.rows - 1, min(most, coded.rows)).astype(np.int64)
    target = coded.target_codes[chosen]
    columns = [CodedColumn(column.name, column.codes[chosen], column.size) for column in coded.columns]
    observed = _informations(columns, target)
    shuffled = np.array(
        [_informations(columns, target[_permute(len(target), random, coded.is_ordered)]) for _ in range(PERMUTATIONS)]
    )
    mean, deviation = shuffled.mean(axis=0), shuffled.std(axis=0) + 1e-12
    best = ((shuffled - mean) / deviation).max(axis=1)
    p_values = (1 + (best[:, None] >= (observed - mean) / deviation).sum(axis=0)) / (PERMUTATIONS + 1)
    return np.maximum(observed - mean, 0), p_values


def _permute(rows: int, random: np.random.Generator, is_ordered: bool) -> Codes:
    if not is_ordered or rows < 2 * _BLOCKS:
        return random.permutation(rows)
    blocks = np.array_split(np.roll(np.arange(rows), random.integers(rows)), _BLOCKS)
    return np.concatenate([blocks[place] for place in random.permutation(_BLOCKS)])


def _informations(columns: list[CodedColumn], target: Codes) -> npt.NDArray[np.float64]:
    """Return the mutual information of each column with the target in bits, estimated by frequencies."""
    outcomes = int(target.max(initial=0)) + 1
    return np.array([_information(column, target, outcomes) for column in columns])


def _information(column: CodedColumn, target: Codes, outcomes: int) -> float:
    joint = np.bincount(column.codes * outcomes + target, minlength=column.size * outcomes)
    table = joint.reshape(column.size, outcomes).astype(np.float64) / max(len(target), 1)
    entropies = [_entropy(part) for part in (table.sum(axis=0), table.sum(axis=1), table)]
    return float(entropies[0] + entropies[1] - entropies[2])


def _entropy(shares: npt.NDArray[np.float64]) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum() / _NATS)

"""Whole numbers in the place of a row's values in some columns: equal rows have equal numbers. No stage."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Codes = npt.NDArray[np.int64]


def encode_rows(columns: Sequence[pa.ChunkedArray]) -> Codes:
    """Return one number a row, from 0; -1 where a value is missing.

    Args:
        columns: at least one; all of the same length.
    """
    codes: Codes | None = None
    for column in columns:
        own = encode_values(column)
        if codes is None:
            codes = own
            continue
        missing = (codes < 0) | (own < 0)
        joint = codes * (own.max(initial=0) + 1) + own
        joint[missing] = -1
        _, codes = np.unique(joint, return_inverse=True)
        codes = codes.astype(np.int64) - bool(missing.any())
    return np.empty(0, dtype=np.int64) if codes is None else codes


def encode_values(column: pa.ChunkedArray) -> Codes:
    """Return one number a value, from 0; -1 where it is missing."""
    encoded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    codes: Codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes

"""The drift tests by alibi-detect's own classes, behind `monitor.engines.DriftTest`; no other module imports it.

alibi-detect is under the Business Source License 1.1; `monitor.engines.SciPyEngine` computes the same without it.
"""

import os
from collections.abc import Sequence

import numpy as np

from driftloop.errors import DriftloopError
from driftloop.monitor.columns import ColumnKind
from driftloop.monitor.engines import Samples, TwoSampleResult


class AlibiDetectMissingError(DriftloopError):
    """The engine was asked for, the library isn't there."""

    def __init__(self) -> None:
        super().__init__(
            "The monitoring engine 'AlibiDetect' needs the library alibi-detect. It is not installed. "
            "Install it with: pip install 'driftloop[monitor]', or set spec.monitoring.engine to SciPy."
        )


class AlibiDetectEngine:
    """`KSDrift` for numbers, `ChiSquareDrift` for categories, one detector per column.

    Columns have samples of different sizes (missing values, effective rows), which `TabularDrift` can't take.
    """

    name = "AlibiDetect"

    def __init__(self) -> None:
        """Import alibi-detect, which takes seconds."""
        # It pulls in transformers, which tells everyone that PyTorch is not there.
        os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
        try:
            from alibi_detect.cd import ChiSquareDrift, KSDrift
        except ImportError as error:
            raise AlibiDetectMissingError from error
        self._detectors = {ColumnKind.NUMERIC: KSDrift, ColumnKind.CATEGORICAL: ChiSquareDrift}

    def compare(self, columns: Sequence[Samples]) -> list[TwoSampleResult]:
        """Return one result per column, in the same order."""
        return [self._compare(column) for column in columns]

    def _compare(self, column: Samples) -> TwoSampleResult:
        detector = self._detectors[column.kind](column.reference[:, np.newaxis])
        found = detector.predict(column.window[:, np.newaxis], drift_type="feature")["data"]
        return TwoSampleResult(float(found["distance"][0]), float(found["p_val"][0]))

"""The drift tests by alibi-detect's own classes, behind `monitor.engines.DriftTest`; no other module imports it.

alibi-detect is under the Business Source License 1.1; `monitor.engines.SciPyEngine` computes the same without it.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from driftloop.errors import DriftloopError
from driftloop.monitor.engines import Comparison, Samples, TwoSampleResult, is_testable, no_difference


class AlibiDetectMissingError(DriftloopError):
    """The engine was asked for, the library isn't there."""

    def __init__(self) -> None:
        super().__init__(
            "The monitoring engine 'AlibiDetect' needs the library alibi-detect. It is not installed. "
            "Install it with: pip install 'driftloop[monitor]', or set spec.monitoring.engine to SciPy."
        )


class AlibiDetectEngine:
    """`KSDrift`, `CVMDrift`, `ChiSquareDrift` and `FETDrift`: columns whose samples have equal sizes share a detector.

    Samples of different sizes (missing values, effective rows) are what `TabularDrift` can't take.
    """

    name = "AlibiDetect"

    def __init__(self) -> None:
        """Import alibi-detect, which takes seconds."""
        # It pulls in transformers, which tells everyone that PyTorch is not there.
        os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
        try:
            from alibi_detect.cd import ChiSquareDrift, CVMDrift, FETDrift, KSDrift
        except ImportError as error:
            raise AlibiDetectMissingError from error
        self._detectors: dict[Comparison, Callable[..., Any]] = {
            Comparison.KOLMOGOROV_SMIRNOV: KSDrift,
            Comparison.CRAMER_VON_MISES: CVMDrift,
            Comparison.CHI_SQUARE: ChiSquareDrift,
            Comparison.FISHER: partial(FETDrift, alternative="two-sided"),
        }

    def compare(self, columns: Sequence[Samples]) -> list[TwoSampleResult]:
        """Return one result per column, in the same order."""
        results = [no_difference(column.test) for column in columns]
        groups: dict[tuple[Comparison, int, int], list[int]] = defaultdict(list)
        for place, column in enumerate(columns):
            if is_testable(column):
                groups[column.test, len(column.reference), len(column.window)].append(place)
        for (test, _, _), places in groups.items():
            reference = np.stack([columns[place].reference for place in places], axis=1)
            window = np.stack([columns[place].window for place in places], axis=1)
            found = self._detectors[test](reference).predict(window, drift_type="feature")["data"]
            for place, statistic, p_value in zip(places, found["distance"], found["p_val"], strict=True):
                results[place] = TwoSampleResult(test, float(statistic), partial(float, p_value))
        return results

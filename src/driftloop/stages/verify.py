"""Stage `verify`: a packaged Bento must answer as its model did in training, in a clean process with its own sources.

Between `package` and `register`. The process of the stage stays light; only the child imports scikit-learn.
"""

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftloop.errors import DriftloopError
from driftloop.stages.package import MODEL_FOLDER, SAMPLE_FILE, verify_digests

TOLERANCE = 1e-6
"""Largest allowed difference of a probability, or relative difference of a regression's answer."""
_LONGEST_TRACE = 2000


class RehearsalFailedError(DriftloopError):
    """A Bento could not be loaded or asked."""

    def __init__(self, content: Path, output: str) -> None:
        super().__init__(
            f"The Bento in '{content}' must load and answer its sample in a clean process. It failed:\n"
            f"{output.strip()[-_LONGEST_TRACE:]}\nPackage the model again in the environment it was trained in."
        )


class AnswersDifferError(DriftloopError):
    """A Bento answers otherwise than its model did in training."""

    def __init__(self, row: int, expected: Any, got: Any) -> None:
        super().__init__(
            f"The Bento must answer row {row} of its sample with {expected}. Got {got}. "
            "The model and the sources in the Bento don't belong together: train and package in one run."
        )


@dataclass(frozen=True)
class Verification:
    """What the rehearsal of a Bento showed."""

    rows: int
    """Sample rows whose answers were compared."""
    largest_difference: float
    """Largest difference of an answer from the expected one."""
    p95_latency_seconds: float
    """95th percentile of one-row requests, from the body to the answer, without HTTP."""
    peak_memory_bytes: int
    """Most memory the process held, libraries included."""


def verify(content: Path, expected_digest: str | None = None, *, timeout_seconds: float = 120) -> Verification:
    """Rehearse a Bento.

    Args:
        content: the Bento's `src/`.
        expected_digest: digest the content must have, where it is known.
        timeout_seconds: longest time of the rehearsal.

    Raises:
        ContentDiffersError: a file isn't the one that was packaged.
        RehearsalFailedError: the Bento does not load or answer, or takes too long.
        AnswersDifferError: an answer differs; names the row.
    """
    verify_digests(content, expected_digest)
    sample = json.loads((content / MODEL_FOLDER / SAMPLE_FILE).read_bytes())
    facts = _rehearse(content, timeout_seconds)
    latencies = sorted(facts["seconds"])
    return Verification(
        rows=len(sample["predictions"]),
        largest_difference=compare_answers(sample, facts),
        p95_latency_seconds=latencies[math.ceil(0.95 * len(latencies)) - 1],
        peak_memory_bytes=facts["peakMemoryBytes"],
    )


def compare_answers(sample: dict[str, Any], facts: dict[str, Any]) -> float:
    """Return the largest difference of an answer from the one the sample expects.

    Raises:
        AnswersDifferError: it is larger than the tolerance.
    """
    largest = 0.0
    is_classification = sample["probabilities"] is not None
    answers = "probabilities" if is_classification else "predictions"
    for row, (expected, got) in enumerate(zip(sample[answers], facts[answers], strict=True)):
        pairs = zip(expected, got, strict=True) if is_classification else [(expected, got)]
        for wanted, seen in pairs:
            difference = abs(wanted - seen)
            if not difference <= TOLERANCE * max(1.0, abs(wanted)):
                raise AnswersDifferError(row, expected, got)
            largest = max(largest, difference)
    return largest


def _rehearse(content: Path, timeout_seconds: float) -> dict[str, Any]:
    # -B: the Bento stays as it is. -m puts the working folder, and so the Bento's own sources, first.
    command = [sys.executable, "-B", "-m", "driftloop.serving.rehearsal"]
    try:
        child = subprocess.run(
            command,
            cwd=content,
            env=os.environ | {"OMP_NUM_THREADS": "1"},  # as the server does
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RehearsalFailedError(content, f"no end after {timeout_seconds:.0f} s") from error
    if child.returncode != 0:
        raise RehearsalFailedError(content, child.stderr)
    facts: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return facts

"""Ninth stage: picks the candidate that did best on the validation rows. It loads no model."""

from collections.abc import Sequence

from driftloop.stages.records import CandidateRecord


def select(candidates: Sequence[CandidateRecord]) -> int:
    """Return the index of the best candidate; of equals the first, because the catalogue lists the simplest first."""
    return max(range(len(candidates)), key=lambda index: (candidates[index].score, -index))

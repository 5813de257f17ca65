"""The actions that a served policy takes: drawn from its distribution, so that the next policy can learn.

Pure: the draw follows from the prediction's id, so that anyone can do it again from the log.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any


@dataclass(frozen=True)
class Decisions:
    """What was decided for n rows."""

    actions: list[Any]
    propensities: list[float]
    """Probability with which each action was drawn."""


def draw(probabilities: Sequence[Sequence[float]], prediction_ids: Sequence[str], actions: Sequence[Any]) -> Decisions:
    """Draw an action a row.

    Args:
        probabilities: of each action, a list a row.
        prediction_ids: one a row.
        actions: in the order of the probabilities.
    """
    chosen = [
        min(bisect_right([*accumulate(row)], _uniform(identity)), len(actions) - 1)
        for row, identity in zip(probabilities, prediction_ids, strict=True)
    ]
    return Decisions(
        actions=[actions[place] for place in chosen],
        propensities=[row[place] for row, place in zip(probabilities, chosen, strict=True)],
    )


def _uniform(identity: str) -> float:
    """Return a number from 0 up to 1 that an id stands for.

    53 bits, as many as a float holds: more would round up to 1.
    """
    digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53

"""Tenth stage: picks the candidate that did best on the validation rows, or blends two or three. It fits nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.blend import NAME as BLEND
from driftloop.algorithms.blend import Mixture, find_mixture
from driftloop.algorithms.metrics import Answers
from driftloop.spec.problem import SUPERVISED
from driftloop.stages.plan import place_of
from driftloop.stages.records import CandidateRecord, TrialRecord

_KEPT_TRIALS = 60
"""Trials of all candidates that travel to the next run."""


@dataclass(frozen=True)
class Judgement:
    """How a candidate answered the rows that it was judged on."""

    truth: npt.NDArray[np.float64]
    answers: Answers

    def save(self, path: Path) -> None:
        """Write to one file."""
        arrays: dict[str, Any] = {"truth": self.truth, "predictions": self.answers.predictions}
        if self.answers.probabilities is not None:
            arrays["probabilities"] = self.answers.probabilities
        with path.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Judgement":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            probabilities = arrays.get("probabilities")
            return cls(arrays["truth"], Answers(arrays["predictions"], probabilities))


@dataclass(frozen=True)
class Selection:
    """What was selected."""

    record: CandidateRecord
    parts: tuple[int, ...]
    """Indices of the candidates that it is made of; one, but for a blend."""
    weights: tuple[float, ...] = (1.0,)


def select(
    candidates: Sequence[CandidateRecord], judged: Sequence[Judgement], *, metric: str, may_blend: bool, seed: int
) -> Selection:
    """Return the best candidate, of equals the one that the catalogue lists first; or a blend that is better for sure.

    Args:
        candidates: records of `train`.
        judged: answers of each.
        metric: what candidates were tuned for.
        may_blend: whether a blend is wanted.
        seed: of the bootstrap.
    """
    ranking = sorted(
        range(len(candidates)), key=lambda i: (-(candidates[i].score or 0.0), place_of(candidates[i].algorithm))
    )
    best = ranking[0]
    history = tuple(_merge(candidates[i] for i in ranking))
    comparable = [
        i
        for i in ranking
        if np.array_equal(judged[i].truth, judged[best].truth)  # never for unknown truth
        and get_algorithm(candidates[i].algorithm).tasks & {*SUPERVISED}
    ]
    mixture = None
    if may_blend and len(comparable) > 1:
        mixture = find_mixture(metric, judged[best].truth, [judged[i].answers for i in comparable], seed=seed)
    if mixture is None:
        return Selection(candidates[best].model_copy(update={"history": history}), (best,))
    parts = tuple(comparable[part] for part in mixture.parts)
    record = _record([candidates[part] for part in parts], mixture)
    return Selection(record.model_copy(update={"history": history}), parts, mixture.weights)


def blend_chains(chains: Sequence[Any], weights: Sequence[float]) -> Any:
    """Return one chain that answers with the weighted mean of several that differ in their last link alone."""
    from driftloop.algorithms.blend import Blend
    from driftloop.stages.train import build_chain

    first = chains[0].named_steps
    estimators = [chain.named_steps["estimator"] for chain in chains]
    return build_chain(first["clean"], first["transform"], Blend(estimators, list(weights)))


def _record(parts: Sequence[CandidateRecord], mixture: Mixture) -> CandidateRecord:
    told = " and ".join(
        f"{weight:.0%} {part.algorithm}".replace("%", " %") for part, weight in zip(parts, mixture.weights, strict=True)
    )
    train_scores = [part.train_score or 0.0 for part in parts]
    return parts[0].model_copy(
        update={
            "algorithm": BLEND,
            "score": mixture.score,
            # Of the parts, by weight: the blend itself was not asked for its training rows.
            "train_score": float(np.dot(train_scores, mixture.weights)),
            "params": {
                "parts": [
                    {"algorithm": part.algorithm, "params": part.params, "weight": weight}
                    for part, weight in zip(parts, mixture.weights, strict=True)
                ]
            },
            "trials": sum(part.trials for part in parts),
            "pruned": sum(part.pruned for part in parts),
            "fit_seconds": sum(part.fit_seconds for part in parts),
            "notes": (*parts[0].notes, f"A blend of {told}; {mixture.gain:.4g} better than the best alone."),
        }
    )


def _merge(records: Any) -> list[TrialRecord]:
    """Return the trials of all candidates in turns, so that every algorithm keeps its best ones."""
    lists = [list(record.history) for record in records]
    turns = [
        trial for place in range(max(map(len, lists), default=0)) for lst in lists for trial in lst[place : place + 1]
    ]
    return turns[:_KEPT_TRIALS]

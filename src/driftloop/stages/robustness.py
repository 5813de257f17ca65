"""How a model takes rows that are not as they should be: noisy, with a field missing, in another order; for `evaluate`.

It disturbs the model's frame, so that a column is disturbed as its sender would, however it is cleaned and encoded.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.algorithms.metrics import Answers, score
from driftloop.algorithms.tasks import answer
from driftloop.spec import DataSchema, FeatureType
from driftloop.stages.judgements import Disturbance, Robustness

MOST_ROWS = 500
MOST_COLUMNS = 60
"""Columns that are left empty by themselves; of wider tables the first."""
NOISE = (0.05, 0.10)
"""Standard deviations added to numbers, and share of other values replaced."""
ROWS_PER_CLASS = 10
_SHOWN = 10
_SAME = 1e-6
"""Sums of floats in another order differ less than this, relative to the answers' size."""
_ALONE = 5


def measure_robustness(
    chain: Any,
    frame: pd.DataFrame,
    truth: npt.NDArray[np.float64],
    schema: DataSchema,
    *,
    metric: str,
    seed: int,
    takes_missing: bool = True,
) -> Robustness | None:
    """Disturb up to 500 test rows and return what it costs; None where the metric is undefined on them.

    Args:
        chain: the whole model; takes the model's frame.
        frame: the model's frame of test rows.
        truth: of the same rows, encoded.
        schema: of those rows.
        metric: the loop's metric.
        seed: of the choice of rows and of the noise.
        takes_missing: whether the model answers rows without a value that no training row lacked; one made elsewhere
            may not, and a server refuses them.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(truth))
    if schema.target.classes:  # a metric must be defined on the rows: a few of each class come first
        rank = pd.Series(truth[order]).groupby(truth[order]).cumcount().to_numpy()
        order = order[np.argsort(rank >= ROWS_PER_CLASS, kind="stable")]
    chosen = np.sort(order[:MOST_ROWS])
    frame, truth = frame.iloc[chosen].reset_index(drop=True), truth[chosen]
    rows = len(truth)
    features = [feature for feature in schema.features if feature.nullable or takes_missing][:MOST_COLUMNS]
    order = random.permutation(rows)
    frames = [frame, frame.iloc[order], *(_add_noise(frame, schema, share, random) for share in NOISE)]
    frames += [frame.assign(**{feature.name: _empty(rows, feature.type)}) for feature in features]
    asked = answer(chain, pd.concat(frames, ignore_index=True), schema.task)  # once: a chain has a price per call
    parts = [asked.take(slice(start, start + rows)) for start in range(0, len(asked.predictions), rows)]
    whole, permuted, noisy, emptied = parts[0], parts[1], parts[2 : 2 + len(NOISE)], parts[2 + len(NOISE) :]
    value = score(metric, truth, whole)
    if not np.isfinite(value):
        return None

    def disturbed(what: str, answers: Answers) -> Disturbance:
        found = score(metric, truth, answers)
        return Disturbance(what=what, score=found, loss=value - found)

    alone = [answer(chain, frame.iloc[[row]], schema.task) for row in range(min(_ALONE, rows))]
    depends = _differ(whole.take(order), permuted) or any(
        _differ(whole.take(slice(row, row + 1)), single) for row, single in enumerate(alone)
    )
    missing = [disturbed(feature.name, answers) for feature, answers in zip(features, emptied, strict=True)]
    return Robustness(
        rows=rows,
        score=value,
        noise=tuple(disturbed(_name(share), answers) for share, answers in zip(NOISE, noisy, strict=True)),
        missing=tuple(sorted(missing, key=lambda one: -one.loss)[:_SHOWN]),
        depends_on_order=depends,
    )


def _name(share: float) -> str:
    percent = f"{share:.0%}".replace("%", " %")
    return f"{percent} noise"


def _add_noise(frame: pd.DataFrame, schema: DataSchema, share: float, random: np.random.Generator) -> pd.DataFrame:
    """Move numbers by so many standard deviations; put another row's value in the place of so many others."""
    noisy = {}
    for feature in schema.features:
        values = frame[feature.name].to_numpy()
        if feature.type is FeatureType.NUMERIC:
            spread = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
            noisy[feature.name] = values + random.normal(scale=share, size=len(values)) * spread
        else:
            other = values[random.permutation(len(values))]
            noisy[feature.name] = np.where(random.random(len(values)) < share, other, values)
    return frame.assign(**noisy)


def _empty(rows: int, kind: FeatureType) -> npt.NDArray[Any]:
    is_text = kind not in (FeatureType.NUMERIC, FeatureType.BOOLEAN, FeatureType.DATE)
    return np.full(rows, None, dtype=object) if is_text else np.full(rows, np.nan)


def _differ(one: Answers, other: Answers) -> bool:
    ours, theirs = (
        answers.predictions if answers.probabilities is None else answers.probabilities for answers in (one, other)
    )
    return not np.allclose(ours, theirs, rtol=_SAME, atol=_SAME)

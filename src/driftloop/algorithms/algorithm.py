"""What the catalogue says of one algorithm: what it is good for, what it costs, what of it is tuned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from driftloop.spec import Task

Params: TypeAlias = Mapping[str, Any]

SIMPLER, RICHER = 1, -1
"""Directions in which a model is changed after the last one over- or under-fitted."""


@dataclass(frozen=True)
class Shape:
    """Size of what candidates are fitted on."""

    rows: int
    columns: int
    """Of the matrix, after one-hot encoding."""
    classes: int = 0
    """0 for a number as target."""
    rarest: int = 0
    """Rows of the rarest class."""
    is_scaled: bool = True
    """Whether numbers were brought to one scale."""

    @property
    def cells(self) -> int:
        """Numbers in the matrix."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Range:
    """Numbers that a hyperparameter may take."""

    low: float
    high: float
    is_log: bool = False
    is_whole: bool = False
    wide: tuple[float, float] | None = None
    """Limits when the search is widened; None: the same."""
    simpler: int = 0
    """1: a greater number makes a simpler model; -1: a smaller one; 0: neither."""

    def suggest(self, name: str, trial: Any, *, is_wide: bool) -> float:
        """Ask an Optuna trial."""
        low, high = self.limits(is_wide=is_wide)
        if self.is_whole:
            return int(trial.suggest_int(name, int(low), int(high), log=self.is_log))
        return float(trial.suggest_float(name, low, high, log=self.is_log))

    def limits(self, *, is_wide: bool) -> tuple[float, float]:
        """Return the limits in force."""
        return self.wide if is_wide and self.wide else (self.low, self.high)

    def distribution(self, *, is_wide: bool) -> Any:
        """Return the same as Optuna's."""
        from optuna.distributions import FloatDistribution, IntDistribution

        low, high = self.limits(is_wide=is_wide)
        if self.is_whole:
            return IntDistribution(int(low), int(high), log=self.is_log)
        return FloatDistribution(low, high, log=self.is_log)

    def lean(self, value: float, direction: int) -> float:
        """Return the number half-way from `value` to the end that is SIMPLER or RICHER."""
        if not self.simpler:
            return value
        end = self.high if self.simpler == direction else self.low
        middle = (value * end) ** 0.5 if self.is_log else (value + end) / 2
        return round(middle) if self.is_whole else middle


@dataclass(frozen=True)
class Choice:
    """Values that a hyperparameter may take."""

    options: tuple[Any, ...]

    def suggest(self, name: str, trial: Any, *, is_wide: bool) -> Any:  # noqa: ARG002 - as of `Range`
        """Ask an Optuna trial."""
        return trial.suggest_categorical(name, self.options)

    def distribution(self, *, is_wide: bool) -> Any:  # noqa: ARG002 - as of `Range`
        """Return the same as Optuna's."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.options)


@dataclass(frozen=True)
class Growth:
    """How an estimator is fitted piece by piece, each going on where the last ended (`warm_start`)."""

    parameter: str
    """What counts the pieces, e.g. `max_iter`."""
    sizes: Callable[[Params], Sequence[int]]
    """Hyperparameters → rising values of the parameter. The same place stands for the same progress, so that trials
    can be compared half-way."""
    is_total: bool = True
    """Whether the parameter counts all pieces so far, as of trees; False: those of one call, as a network's epochs."""
    can_harm: bool = True
    """Whether more pieces can make a worse model; the best number is kept. False: the last is."""

    def grow(self, estimator: Any, size: int, before: int) -> None:
        """Make the next call of `fit` go on to `size` pieces from `before`."""
        grown = getattr(estimator, "regressor", estimator)  # of a `ScaledTarget`
        grown.set_params(**{"warm_start": True, self.parameter: size if self.is_total else size - before})

    def settle(self, estimator: Any, size: int) -> None:
        """Leave no trace of growing: the estimator is as one that was fitted in one go."""
        getattr(estimator, "regressor", estimator).set_params(**{"warm_start": False, self.parameter: size})


def never(_: Shape) -> str:
    """Leave nothing out."""
    return ""


@dataclass(frozen=True, eq=False)
class Algorithm:
    """One entry of the catalogue."""

    name: str
    tasks: frozenset[Task]
    reason: str
    """What it is good for, in one sentence."""
    defaults: Params
    """Hyperparameters of the first trial."""
    space: Mapping[str, Range | Choice]
    """Hyperparameters that further trials choose."""
    build: Callable[[Task, Params, int], Any]
    """(task, hyperparameters, seed) → estimator, not fitted."""
    seconds: Callable[[Shape], float]
    """About how long one fit with the defaults takes on one thread of a laptop."""
    leave_out: Callable[[Shape], str] = never
    """Why `Auto` does not try it on a table of this shape, as the rest of a sentence; empty: it does."""
    growth: Growth | None = None
    takes_weights: bool = True
    """Whether `fit` takes `sample_weight`. For the others rows are drawn again by their weights."""
    wants_scale: bool = False
    """Whether numbers of unlike scales mislead it."""
    most_rows: int = 10_000_000
    """More training rows are sampled down to this many."""
    fewest_rows: int = 2
    """It can't be fitted on fewer."""
    fewest_of_class: int = 1
    """It can't be fitted with fewer rows of a class."""
    most_trials: int = 10_000
    """More have no use."""
    weight: int = 1
    """Its part of the budget, beside the others' parts."""
    rank: int = field(default=5)
    """`Auto` drops the greatest first where the budget is too small for all."""

    def suggest(self, trial: Any, *, is_wide: bool = False) -> dict[str, Any]:
        """Return the hyperparameters of a further trial, from an Optuna trial."""
        chosen = {name: part.suggest(name, trial, is_wide=is_wide) for name, part in self.space.items()}
        return {**self.defaults, **chosen}

    def distributions(self, *, is_wide: bool = False) -> dict[str, Any]:
        """Return the space as Optuna's distributions."""
        return {name: part.distribution(is_wide=is_wide) for name, part in self.space.items()}

    def lean(self, params: Params, direction: int) -> dict[str, Any]:
        """Return hyperparameters half-way to the SIMPLER or RICHER end of the space."""
        return {
            name: part.lean(value, direction) if isinstance(part := self.space.get(name), Range) else value
            for name, value in params.items()
        }

    def within(self, params: Params, *, is_wide: bool = False) -> dict[str, Any]:
        """Return those of the hyperparameters that are tuned, each brought into its limits."""
        kept: dict[str, Any] = {}
        for name, part in self.space.items():
            value = params.get(name, self.defaults[name])
            if isinstance(part, Range):
                low, high = part.limits(is_wide=is_wide)
                value = min(max(value, low), high)
            elif value not in part.options:
                value = self.defaults[name]
            kept[name] = value
        return kept

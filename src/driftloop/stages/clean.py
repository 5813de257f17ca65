"""Fifth stage: missing values, outliers and noise, by what the training rows alone teach.

The first link of the model's chain. Rows are left out of the training rows only; who asks gets an answer. The usual
choices are written on NumPy and pandas so that neither this stage nor a server pays for more than medians.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, FeatureType, PreparationSpec
from driftloop.stages.filling import RowImputer, fillable, filling_of, fit_row_imputer, missing_flag
from driftloop.stages.noise import doubtful_labels, smooth
from driftloop.stages.outliers import (
    OF_NUMBERS,
    OF_ROWS,
    UNUSUAL_ROW,
    Limits,
    RowDetector,
    extreme_flag,
    find_limits,
    fit_row_detector,
    is_extreme,
)
from driftloop.stages.records import CleanedColumn, CleaningRecord, LeftOutRows

FEWEST_ROWS = 20
"""Training rows that cleaning must leave: of fewer, nothing can be learned."""


class CleaningError(InvalidInputError):
    """A choice of `preparation` can't be carried out on these rows."""

    def __init__(self, field: str, value: str, constraint: str, got: str, remedy: str) -> None:
        super().__init__(f"The 'preparation.{field}' '{value}' {constraint}. Got {got}. {remedy}")


class Cleaner:
    """Fills missing values and marks or draws in what is extreme; a transformer in a `Pipeline`, made fitted.

    The attributes of the class are what models of earlier versions, which lack them, are read with.
    """

    limits: Limits | None = None
    extremes: Limits | None = None
    imputer: RowImputer | None = None
    detector: RowDetector | None = None

    def __init__(
        self,
        fillings: Mapping[str, float | str],
        flagged: Sequence[str],
        *,
        limits: Limits | None = None,
        extremes: Limits | None = None,
        imputer: RowImputer | None = None,
        detector: RowDetector | None = None,
    ) -> None:
        """Keep what was learned.

        Args:
            fillings: what a missing value becomes, for each column that is kept, in order.
            flagged: columns that get a flag where they are missing.
            limits: that numbers are drawn in to.
            extremes: limits beyond which numbers get a flag.
            imputer: goes before `fillings`.
            detector: raises a flag for unusual rows.
        """
        self.fillings = fillings
        self.flagged = flagged
        self.limits = limits
        self.extremes = extremes
        self.imputer = imputer
        self.detector = detector

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame without missing values, flags behind the features; shape (n_rows, n_features + n_flags)."""
        drawn_in = frame
        if self.limits:
            drawn_in = frame.assign(**{name: frame[name].clip(*limits) for name, limits in self.limits.items()})
        imputed = self.imputer.fill(drawn_in) if self.imputer else {}
        columns: dict[str, npt.NDArray[Any]] = {}
        for name, filling in self.fillings.items():
            values = imputed[name] if name in imputed else drawn_in[name].to_numpy()
            missing = pd.isna(values)
            columns[name] = np.where(missing, filling, values) if missing.any() else values
        if self.detector:
            unusual = self.detector.flags(columns)
        for name in self.flagged:
            columns[missing_flag(name)] = np.isnan(frame[name].to_numpy()).astype(np.float64)
        for name, limits in (self.extremes or {}).items():
            columns[extreme_flag(name)] = is_extreme(frame[name].to_numpy(), limits).astype(np.float64)
        if self.detector:
            columns[UNUSUAL_ROW] = unusual
        return pd.DataFrame(columns, index=frame.index, copy=False)

    def save(self, path: Path) -> None:
        """Write to a file: JSON, or the model file's format where a part of it is scikit-learn's."""
        if self.imputer or self.detector:
            from driftloop.stages.modelfile import save_model

            save_model(self, path)
        else:
            path.write_text(json.dumps(vars(self)))

    @classmethod
    def load(cls, path: Path) -> "Cleaner":
        """Read what `save` wrote."""
        if path.read_bytes()[:1] == b"{":
            return cls(**json.loads(path.read_text()))
        from driftloop.stages.modelfile import load_model

        cleaner: Cleaner = load_model(path)
        return cleaner


@dataclass(frozen=True)
class CleanedRows:
    """The training rows, cleaned, and what was learned from them."""

    cleaner: Cleaner
    frame: pd.DataFrame
    """Its index are the positions of the rows among the training rows: some may have been left out."""
    record: CleaningRecord

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Positions of the rows that are left, rising."""
        return self.frame.index.to_numpy()


def clean_training_rows(
    frame: pd.DataFrame, labels: npt.NDArray[Any] | None, schema: DataSchema, preparation: PreparationSpec, *, seed: int
) -> CleanedRows:
    """Clean the training rows and learn how to clean others.

    Args:
        frame: the model's frame of the training rows, in the order of time where there is a time column.
        labels: their target, shape (n_rows,); None where there is none. Only `LabelFilter` reads it.
        schema: types of the features.
        preparation: what to do.
        seed: of every random choice.

    Raises:
        CleaningError: these rows don't fit a choice, or too few of them would be left.
    """
    return _Cleaning(frame, labels, schema, preparation, seed).run()


class _Cleaning:
    """One pass over the training rows; keeps what was left out, and why."""

    def __init__(
        self,
        frame: pd.DataFrame,
        labels: npt.NDArray[Any] | None,
        schema: DataSchema,
        preparation: PreparationSpec,
        seed: int,
    ) -> None:
        self.frame = frame.copy(deep=False)
        self.frame.index = pd.RangeIndex(len(frame))
        self.labels, self.schema, self.preparation, self.seed = labels, schema, preparation, seed
        self.numbers = [feature.name for feature in schema.features if feature.type is FeatureType.NUMERIC]
        self.left_out: list[LeftOutRows] = []
        if preparation.outliers in (*OF_NUMBERS, *OF_ROWS) and not self.numbers:
            raise CleaningError(
                "outliers", preparation.outliers, "needs at least one column of numbers", "none", "Remove it."
            )

    def run(self) -> CleanedRows:
        preparation, before = self.preparation, len(self.frame)
        missing = {feature.name: int(self.frame[feature.name].isna().sum()) for feature in self.schema.features}
        if preparation.missing == "DropRows":
            gaps = self.frame[[feature.name for feature in fillable(self.schema)]].isna().any(axis=1).to_numpy()
            self.leave_out(gaps, "missing", "have a missing number, date, or true or false")
        if preparation.noise == "Smooth":
            self.smooth()
        method, action = preparation.outliers, self.outlier_action()
        limits = find_limits(self.frame, self.numbers, method) if method in OF_NUMBERS else {}
        extreme = {name: is_extreme(self.frame[name].to_numpy(), bounds) for name, bounds in limits.items()}
        if extreme and action == "Drop":
            self.leave_out(np.any(list(extreme.values()), axis=0), "outliers", "have an extreme number")
        cleaner = self.fit_cleaner(limits, action)
        cleaned = cleaner.transform(self.frame)
        if preparation.outliers in OF_ROWS:
            numbers = [name for name in self.numbers if name in cleaner.fillings]
            detector, flags = fit_row_detector(cleaned, numbers, preparation.outliers, seed=self.seed)
            if action == "Drop":
                cleaned = self.leave_out(flags > 0, "outliers", "are unlike the others", cleaned)
            else:
                cleaner.detector = detector
                cleaned = cleaned.assign(**{UNUSUAL_ROW: flags})
        if preparation.noise == "LabelFilter":
            cleaned = self.filter_labels(cleaned)
        beyond = {name: int(is_beyond.sum()) for name, is_beyond in extreme.items()}
        return CleanedRows(cleaner, cleaned, self.record(cleaner, before, missing, limits, beyond))

    def leave_out(
        self, unwanted: npt.NDArray[np.bool_], field: str, reason: str, cleaned: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Drop rows; return the cleaned ones, if there are any yet, without them."""
        value = getattr(self.preparation, field)
        self.left_out.append(LeftOutRows(field=field, choice=value, rows=int(unwanted.sum()), reason=reason))
        self.frame = self.frame[~unwanted]
        kept = self.frame.index.to_numpy()
        if len(kept) < FEWEST_ROWS:
            total = len(kept) + int(unwanted.sum())
            constraint = f"must leave at least {FEWEST_ROWS} training rows"
            got = f"{len(kept)} of {total}, because the others {reason}"
            raise CleaningError(field, value, constraint, got, f"Choose another '{field}', or collect more rows.")
        if self.labels is not None and self.schema.target.classes:
            for label in self.schema.target.classes:
                if not (self.labels[kept] == label).any():
                    constraint = "must leave rows of every class"
                    got = f"none of {label!r}: all of them {reason}"
                    raise CleaningError(field, value, constraint, got, f"Choose another '{field}'.")
        return self.frame if cleaned is None else cleaned.loc[kept]

    def smooth(self) -> None:
        if not self.schema.time_column:
            raise CleaningError(
                "noise",
                "Smooth",
                "needs rows in the order of time",
                "no 'data.timeColumn'",
                "Name it, or remove Smooth.",
            )
        self.frame = smooth(self.frame, self.numbers)

    def outlier_action(self) -> str:
        action = self.preparation.outlier_action
        if self.preparation.outliers in OF_ROWS:
            return "Flag" if action == "Auto" else action
        return "Clip" if action == "Auto" else action

    def fit_cleaner(self, limits: Limits, action: str) -> Cleaner:
        preparation, frame = self.preparation, self.frame
        filled = fillable(self.schema)
        gaps = [feature.name for feature in filled if frame[feature.name].isna().any()]
        dropped = gaps if preparation.missing == "DropColumns" else []
        kept = [feature for feature in self.schema.features if feature.name not in dropped]
        if not kept:
            raise CleaningError(
                "missing",
                "DropColumns",
                "must leave at least one column",
                f"missing values in all of them ({', '.join(gaps)})",
                "Choose another 'missing'.",
            )
        usual = frame
        if action == "Clip" and limits:
            limits = {name: bounds for name, bounds in limits.items() if name not in dropped}
            usual = frame.assign(**{name: frame[name].clip(*bounds) for name, bounds in limits.items()})
        extremes = {name: bounds for name, bounds in limits.items() if is_extreme(frame[name].to_numpy(), bounds).any()}
        imputer = None
        if preparation.missing in ("KNN", "Iterative") and filled:
            imputer = fit_row_imputer(usual, self.schema, preparation, seed=self.seed)
        return Cleaner(
            {feature.name: filling_of(usual[feature.name], feature.type, preparation) for feature in kept},
            gaps if preparation.missing in ("Auto", "Constant") else [],
            limits=limits if action == "Clip" else None,
            extremes=extremes if action == "Flag" else None,
            imputer=imputer,
        )

    def filter_labels(self, cleaned: pd.DataFrame) -> pd.DataFrame:
        if self.labels is None or not self.schema.target.classes:
            got = f"the task {self.schema.task}"
            raise CleaningError("noise", "LabelFilter", "needs classes to doubt", got, "Remove LabelFilter.")
        labels = self.labels[cleaned.index.to_numpy()]
        names, counts = np.unique(labels, return_counts=True)
        if counts.min() < 2:  # noqa: PLR2004 - one to fit on, one to ask about
            got = f"1 training row of {names[counts.argmin()].item()!r}"
            raise CleaningError(
                "noise", "LabelFilter", "needs two rows of each class", got, "Collect more of them, or remove it."
            )
        doubted = doubtful_labels(cleaned, labels, self.schema, seed=self.seed)
        return self.leave_out(doubted, "noise", "have a label that three kinds of models contradict", cleaned)

    def record(
        self,
        cleaner: Cleaner,
        before: int,
        missing: Mapping[str, int],
        limits: Limits,
        beyond: Mapping[str, int],
    ) -> CleaningRecord:
        preparation = self.preparation
        return CleaningRecord(
            rows_before=before,
            rows=len(self.frame),
            missing=preparation.missing,
            noise=preparation.noise,
            outliers=preparation.outliers,
            outlier_action="" if preparation.outliers in ("Auto", "None") else self.outlier_action(),
            left_out=tuple(self.left_out),
            columns=tuple(
                CleanedColumn(
                    name=feature.name,
                    type=feature.type,
                    missing=missing[feature.name],
                    filling=_told(cleaner, feature.name),
                    is_flagged=feature.name in cleaner.flagged,
                    is_dropped=feature.name not in cleaner.fillings,
                    limits=tuple(limits.get(feature.name, ())),
                    beyond=beyond.get(feature.name, 0),
                )
                for feature in self.schema.features
            ),
        )


def _told(cleaner: Cleaner, name: str) -> str:
    """Return what a missing value of a column becomes, in plain words."""
    if name not in cleaner.fillings:
        return ""
    if cleaner.imputer and name in cleaner.imputer.names:
        return "what its row suggests"
    filling = cleaner.fillings[name]
    return filling or "no words" if isinstance(filling, str) else f"{filling:.6g}"

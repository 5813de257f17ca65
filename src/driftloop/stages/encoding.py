"""The blocks of the matrix: which columns are encoded and scaled how, and why. Part of `transform`.

A block is one entry of scikit-learn's ColumnTransformer. What it is called tells what its columns become.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.spec import DataSchema, FeatureType, PreparationSpec, Task
from driftloop.spec.problem import SUPERVISED
from driftloop.spec.words import WORD_PATTERN
from driftloop.stages.datenumbers import CYCLES, PARTS, date_cycles, date_parts
from driftloop.stages.filling import evenly
from driftloop.stages.matrices import MatrixColumn, MatrixColumnKind

FOLDS = 5
SKEWED = 2.0
"""Skewness from which on `normalization: Auto` reshapes a column."""
MOST_ONE_HOT = 200
"""Categories of a column that `encoding: OneHot` gives a column each; rarer ones share one."""
MOST_TERMS, MOST_REDUCED_TERMS, TEXT_COMPONENTS = 1000, 20_000, 100
"""Words and pairs of words that TFIDF weighs, that TFIDFSVD does, and the numbers that it reduces them to."""
_MOST_TEXTS_LOOKED_AT = 2000
_FEWEST_TEXTS = 2
"""A word or pair of words must occur in so many training texts."""
_QUANTILES = 1000


class BlockName(StrEnum):
    """What the columns of a block are; a text column's has its name behind."""

    NUMBERS = "numbers"
    RESHAPED = "reshaped_numbers"
    DATES = "dates"
    ONE_HOT = "few_categories"
    TARGET = "many_categories"
    ORDINAL = "ordered_categories"
    BOOLEANS = "booleans"
    TEXT = "text"


_ALIKE: Mapping[str, MatrixColumnKind] = {
    BlockName.NUMBERS: MatrixColumnKind.NUMBER,
    BlockName.RESHAPED: MatrixColumnKind.NUMBER,
    BlockName.BOOLEANS: MatrixColumnKind.BOOLEAN,
    BlockName.ORDINAL: MatrixColumnKind.ORDINAL,
}
"""Blocks in which each input is one column."""


@dataclass(frozen=True)
class Block:
    """Columns that are treated alike."""

    name: str
    step: Any
    """Unfitted; `passthrough` where nothing is to be done."""
    inputs: tuple[str, ...]
    what: str
    """What they become, as a plain phrase."""
    why: str
    """Why; who chose."""

    @property
    def entry(self) -> tuple[str, Any, Any]:
        """The entry of the ColumnTransformer; a text goes in as one series."""
        is_text = self.name.startswith(BlockName.TEXT)
        return str(self.name), self.step, self.inputs[0] if is_text else list(self.inputs)


@dataclass(frozen=True)
class LeftOutText:
    """A text column of which no word is used."""

    name: str
    reason: str


def plan_blocks(
    cleaned: pd.DataFrame, y: npt.NDArray[Any] | None, schema: DataSchema, preparation: PreparationSpec, *, seed: int
) -> tuple[list[Block], list[LeftOutText]]:
    """Decide on the blocks, by the cleaned training rows; see `transform.fit_transformer` for the arguments."""
    kept = [feature for feature in schema.features if feature.name in cleaned]
    names: dict[FeatureType, list[str]] = {kind: [] for kind in FeatureType}
    for feature in kept:
        names[feature.type].append(feature.name)
    flags = [name for name in cleaned.columns if name not in schema.feature_names]
    blocks = [
        *_number_blocks(cleaned, names[FeatureType.NUMERIC], preparation, seed=seed),
        *_date_blocks(names[FeatureType.DATE], preparation),
        *_category_blocks(cleaned, y, names[FeatureType.CATEGORICAL], schema, preparation, seed=seed),
    ]
    booleans = names[FeatureType.BOOLEAN] + flags
    if booleans:
        blocks.append(Block(BlockName.BOOLEANS, "passthrough", tuple(booleans), "0 or 1", "they are so"))
    left_out = []
    for name in names[FeatureType.TEXT]:
        found = _text_block(cleaned[name], name, preparation, seed=seed)
        if isinstance(found, Block):
            blocks.append(found)
        else:
            left_out.append(found)
    return blocks, left_out


def columns_of(block: Block, fitted: Any) -> list[MatrixColumn]:
    """Return the matrix columns that a fitted block gives, in its order."""
    kind, inputs = block.name, block.inputs
    if kind in _ALIKE:
        return [MatrixColumn(name, name, _ALIKE[kind]) for name in inputs]
    last = fitted[0] if hasattr(fitted, "steps") else fitted
    if kind == BlockName.DATES:
        parts = CYCLES if last.func is date_cycles else PARTS
        return [MatrixColumn(f"{name}: {part}", name, MatrixColumnKind.NUMBER) for part in parts for name in inputs]
    if kind == BlockName.ONE_HOT:
        told = zip(inputs, map(list, _one_hot_values(last)), strict=True)
        return [
            MatrixColumn(f"{name} = {value}", name, MatrixColumnKind.ONE_HOT)
            for name, values in told
            for value in values
        ]
    if kind == BlockName.TARGET:
        classes = last.classes_ if last.target_type_ == "multiclass" else [None]
        return [
            MatrixColumn(f"{name} by target" + ("" if c is None else f": {c}"), name, MatrixColumnKind.NUMBER)
            for name in inputs
            for c in classes
        ]
    terms = last.get_feature_names_out()
    if fitted is not last:
        terms = [f"component {place + 1}" for place in range(fitted[1].n_components)]
    return [MatrixColumn(f"{inputs[0]}: {term}", inputs[0], MatrixColumnKind.TEXT) for term in terms]


def _one_hot_values(encoder: Any) -> Iterator[list[str]]:
    for values, rare in zip(encoder.categories_, encoder.infrequent_categories_, strict=True):
        together = [] if rare is None else ["(others)"]
        yield [str(value) for value in values if rare is None or value not in set(rare)] + together


def _chain(*steps: Any) -> Any:
    from sklearn.pipeline import Pipeline

    if not steps:
        return "passthrough"
    return Pipeline([(type(step).__name__.lower(), step) for step in steps])


def _scalers(preparation: PreparationSpec) -> tuple[list[Any], str]:
    """Return the scaler of numbers, none for no scaling, and what it does."""
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    match preparation.scaling:
        case "None":
            return [], "as they are"
        case "MinMax":
            return [MinMaxScaler()], "between 0 and 1"
        case "MaxAbs":
            return [MaxAbsScaler()], "divided by the largest"
        case "Robust":
            return [RobustScaler()], "less the median, by quartiles"
    return [StandardScaler()], "standardised"


def _number_blocks(
    cleaned: pd.DataFrame, numbers: Sequence[str], preparation: PreparationSpec, *, seed: int
) -> Iterator[Block]:
    from sklearn.preprocessing import Normalizer, PowerTransformer, QuantileTransformer

    scalers, scaled = _scalers(preparation)
    why = "Auto: most algorithms want numbers of one size" if preparation.scaling == "Auto" else "the loop asks for it"
    reshaped: Sequence[str] = ()
    shaper: Any = PowerTransformer(standardize=False)
    shape, reason = "made nearly normal (Yeo-Johnson)", "the loop asks for it"
    match preparation.normalization:
        case "Auto":
            reshaped = [name for name in numbers if is_skewed(cleaned[name].to_numpy(dtype=np.float64))]
            reason = f"Auto: their skewness is beyond {SKEWED:g}"
        case "YeoJohnson":
            reshaped = numbers
        case "Quantile":
            reshaped, shape = numbers, "made normal by ranks"
            shaper = QuantileTransformer(
                n_quantiles=min(_QUANTILES, len(cleaned)), output_distribution="normal", random_state=seed
            )
        case "L2":
            scalers, scaled = [*scalers, Normalizer()], f"{scaled}, each row of unit length"
            why = "the loop asks for it"
    plain = tuple(name for name in numbers if name not in reshaped)
    if plain:
        yield Block(BlockName.NUMBERS, _chain(*scalers), plain, scaled, why)
    if reshaped:
        yield Block(BlockName.RESHAPED, _chain(shaper, *scalers), tuple(reshaped), f"{shape}, {scaled}", reason)


def is_skewed(values: npt.NDArray[np.float64]) -> bool:
    """Return whether the skewness (third standardised moment) of a column without gaps is beyond 2, either way."""
    centred = values - values.mean()
    variance = np.mean(centred**2)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(variance > 0 and abs(np.mean(centred**3)) > SKEWED * variance**1.5)


def _date_blocks(dates: Sequence[str], preparation: PreparationSpec) -> Iterator[Block]:
    from sklearn.preprocessing import FunctionTransformer

    if not dates:
        return
    scalers, scaled = _scalers(preparation)
    why = "the loop asks for it"
    if preparation.dates == "Auto":
        why = "Auto: trees split parts more easily, and linear models have the days"
    if preparation.dates == "Cyclic":
        function, what = date_cycles, "days, and sine and cosine of year, week and day"
    else:
        function, what = date_parts, "days, day of the year, weekday and hour"
    yield Block(
        BlockName.DATES, _chain(FunctionTransformer(function), *scalers), tuple(dates), f"{what}; {scaled}", why
    )


def _category_blocks(
    cleaned: pd.DataFrame,
    y: npt.NDArray[Any] | None,
    categories: Sequence[str],
    schema: DataSchema,
    preparation: PreparationSpec,
    *,
    seed: int,
) -> Iterator[Block]:
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

    most, asked = preparation.max_one_hot_categories, "the loop asks for it"
    counts = {name: cleaned[name].nunique() for name in categories}
    one_hot: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    ordinal: tuple[str, ...] = ()
    limit, why_one_hot, why_target = MOST_ONE_HOT, asked, asked
    match preparation.encoding:
        case "OneHot":
            one_hot = tuple(categories)
        case "Target":
            target = tuple(categories)
        case "Ordinal":
            ordinal = tuple(categories)
        case "Auto" if y is None or schema.task not in SUPERVISED:
            one_hot, limit = tuple(categories), most
            why_one_hot = f"Auto: there is no target; beyond {most} categories the rarest share a column"
        case _:
            one_hot = tuple(name for name in categories if counts[name] <= most)
            target = tuple(name for name in categories if counts[name] > most)
            why_one_hot, why_target = f"Auto: at most {most} categories", f"Auto: more than {most} categories"
    if one_hot:
        encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=limit, sparse_output=False)
        yield Block(BlockName.ONE_HOT, encoder, one_hot, "a column for each category", why_one_hot)
    scalers, scaled = _scalers(preparation)
    if target:
        encoder = TargetEncoder(target_type=_target_type(schema), cv=_folds(y, schema, seed))
        what = f"the mean of the target in the other folds; {scaled}"
        yield Block(BlockName.TARGET, _chain(encoder, *scalers), target, what, why_target)
    if ordinal:
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        what = f"their place in the alphabet, new ones before all; {scaled}"
        yield Block(BlockName.ORDINAL, _chain(encoder, *scalers), ordinal, what, asked)


def _folds(y: Any, schema: DataSchema, seed: int) -> Any:
    from sklearn.model_selection import KFold, StratifiedKFold

    folder, folds = KFold, min(FOLDS, len(y))
    if schema.task is Task.CLASSIFICATION:
        folder, folds = StratifiedKFold, min(FOLDS, max(int(np.unique(y, return_counts=True)[1].min()), 2))
    return folder(folds, shuffle=True, random_state=seed)


def _target_type(schema: DataSchema) -> str:
    if schema.task is Task.REGRESSION:
        return "continuous"
    return "binary" if len(schema.target.classes) == 2 else "multiclass"  # noqa: PLR2004


def _text_block(texts: "pd.Series[Any]", name: str, preparation: PreparationSpec, *, seed: int) -> Block | LeftOutText:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    if preparation.text == "None":
        return LeftOutText(name, "the loop asks for it")
    few = _count_terms(texts.iloc[evenly(len(texts), _MOST_TEXTS_LOOKED_AT)])
    if few < MOST_TERMS and len(texts) > _MOST_TEXTS_LOOKED_AT:
        few = _count_terms(texts)
    if few == 0:
        return LeftOutText(name, f"no word of it occurs in {_FEWEST_TEXTS} training texts")
    components = min(TEXT_COMPONENTS, few - 1, len(texts) - 1)
    reduces = preparation.text == "TFIDFSVD" or (preparation.text == "Auto" and few >= MOST_TERMS)
    why = "the loop asks for it"
    if preparation.text == "Auto":
        why = f"Auto: {'at least' if reduces else 'fewer than'} {MOST_TERMS:,} words and pairs of words occur twice"
    reduces = reduces and components > 0
    weights = TfidfVectorizer(**_TERMS, sublinear_tf=True, max_features=MOST_REDUCED_TERMS if reduces else MOST_TERMS)
    block = f"{BlockName.TEXT} {name}"
    if not reduces:
        return Block(block, weights, (name,), "weights of its words and pairs of words (TF-IDF)", why)
    reducer = TruncatedSVD(components, random_state=seed)
    scalers, scaled = _scalers(preparation)  # or regularisation would hold the small numbers down
    what = f"weights of its words (TF-IDF), reduced to {components} numbers by truncated SVD; {scaled}"
    return Block(block, _chain(weights, reducer, *scalers), (name,), what, why)


_TERMS: dict[str, Any] = {
    "token_pattern": WORD_PATTERN,
    "ngram_range": (1, 2),
    "strip_accents": "unicode",
    "min_df": _FEWEST_TEXTS,
}


def _count_terms(texts: "pd.Series[Any]") -> int:
    """Return how many words and pairs of words occur in two of the texts."""
    from sklearn.feature_extraction.text import CountVectorizer

    try:
        return len(CountVectorizer(**_TERMS).fit(texts).vocabulary_)
    except ValueError:  # by which it says that there are none
        return 0

"""How rows are cleaned, turned into numbers and balanced: group `preparation` of the ModelLoop.

Field docstrings are the reference documentation.
"""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from driftloop.spec.boundary import Boundary, RuleError

MissingName = Literal[
    "Auto", "Mean", "Median", "MostFrequent", "Constant", "KNN", "Iterative", "DropRows", "DropColumns"
]
NoiseName = Literal["Auto", "Smooth", "LabelFilter", "None"]
OutlierName = Literal["Auto", "ZScore", "IQR", "IsolationForest", "LocalOutlierFactor", "Clip", "None"]
OutlierAction = Literal["Auto", "Clip", "Drop", "Flag"]
ScalingName = Literal["Auto", "Standard", "MinMax", "MaxAbs", "Robust", "None"]
NormalizationName = Literal["Auto", "YeoJohnson", "Quantile", "L2", "None"]
EncodingName = Literal["Auto", "OneHot", "Ordinal", "Target"]
DatesName = Literal["Auto", "Parts", "Cyclic"]
TextName = Literal["Auto", "TFIDF", "TFIDFSVD", "None"]
ExtractionName = Literal["Auto", "PCA", "TruncatedSVD", "None"]
SelectionName = Literal["Auto", "MutualInformation", "ANOVA", "VarianceThreshold", "None"]
SamplingName = Literal[
    "Auto",
    "ClassWeights",
    "RandomOverSampler",
    "SMOTE",
    "SMOTENC",
    "ADASYN",
    "RandomUnderSampler",
    "NearMiss",
    "TomekLinks",
    "SMOTEENN",
    "None",
]
AugmentationName = Literal["Auto", "GaussianJitter", "Mixup", "WordDropout", "None"]

OUTLYING_ROWS: tuple[OutlierName, ...] = ("IsolationForest", "LocalOutlierFactor")
"""Choices of `outliers` that look at whole rows."""
SELECTED_BY_TARGET: tuple[SelectionName, ...] = ("MutualInformation", "ANOVA")
"""Choices of `selection` that ask what a column tells of the target."""


class PreparationSpec(Boundary):
    """How rows are cleaned, turned into numbers and balanced. Everything is learned from the training rows alone."""

    missing: MissingName = "Auto"
    """Missing numbers, dates and booleans. Mean, Median, MostFrequent: filled with that of the training rows.
    Constant: numbers with `missingConstant`, and an indicator. KNN: with the mean of the five nearest of at most 2,000
    training rows, which the model then holds. Iterative: predicted from the other columns. DropRows: training rows with
    a missing value are left out (requests are filled with the median). DropColumns: columns with a missing value in
    training are left out. Auto: the median, with an indicator where values were missing in training. A missing boolean
    is the more frequent one unless its row is looked at. Missing categories are a category of their own, missing texts
    have no words."""
    missing_constant: float = 0.0
    """What `missing: Constant` fills in for numbers. Dates get the median."""
    noise: NoiseName = "Auto"
    """Smooth: numbers of time-ordered rows are replaced by the running median of themselves and the four rows before
    (training rows; a request is taken as it is). LabelFilter: training rows whose label a linear model, nearest
    neighbours and a random forest, cross-validated, all contradict are left out (classification). Auto: None, because
    both take away what a model may need; the report of LabelFilter says how many labels look wrong."""
    outliers: OutlierName = "Auto"
    """Extreme numbers, or rows. Clip: beyond the 0.5 % and 99.5 % quantiles of the training rows. ZScore: beyond three
    standard deviations. IQR: beyond 1.5 interquartile ranges from the quartiles. IsolationForest, LocalOutlierFactor:
    rows unlike the others, together 1 % (the latter among at most 10,000 training rows, which the model then holds if
    it flags). Auto: None; trees don't mind extreme numbers, and cutting them may cut what matters."""
    outlier_action: OutlierAction = "Auto"
    """What becomes of `outliers`. Clip: drawn in to the limit, in requests, too (not whole rows). Drop: training rows
    are left out. Flag: a column says so. Auto: Clip of numbers, Flag of rows."""
    scaling: ScalingName = "Auto"
    """Scaling of numbers, learned from the training rows. Standard: to mean 0 and standard deviation 1. MinMax: to 0
    to 1. MaxAbs: to at most 1 in size, 0 stays 0. Robust: by median and quartiles. Auto: Standard."""
    normalization: NormalizationName = "Auto"
    """Shape of numbers, before scaling. YeoJohnson: nearly normal. Quantile: exactly normal by ranks. L2: each row of
    unit length, after scaling. Auto: YeoJohnson for the columns with a skewness above 2, for linear models, k-NN and
    networks better; trees don't mind."""
    encoding: EncodingName = "Auto"
    """Categories. OneHot: a column each; rare ones beyond `maxOneHotCategories` share one. Ordinal: one column of
    numbers in the order of frequency. Target: the mean target of each, cross-fitted, so that no row sees its own. Auto:
    OneHot up to `maxOneHotCategories`, else Target."""
    max_one_hot_categories: Annotated[int, Field(ge=2, le=200)] = 12
    """Columns with more categories than this are not one-hot encoded by Auto."""
    dates: DatesName = "Auto"
    """Parts: days since 1970, day of the year, weekday, hour. Cyclic: sine and cosine of year, week and day beside the
    days. Auto: Parts."""
    text: TextName = "Auto"
    """Free text (a column of texts of three words or more, most of them different). TFIDF: weights of up to 1,000 words
    and pairs of words. TFIDFSVD: of up to 20,000, reduced to 100 numbers by truncated SVD. None: left out. Auto:
    TFIDFSVD, or TFIDF where fewer than 1,000 words and pairs of words occur twice."""
    extraction: ExtractionName = "Auto"
    """Fewer, combined columns. PCA: principal components. TruncatedSVD: the same without centring. Auto: None, but PCA
    from 500 columns on, words of texts not counted."""
    components: Annotated[int | None, Field(ge=1, le=1000)] = None
    """Columns that `extraction` leaves. Absent: as many as hold 95 % of the variance, at most 100."""
    selection: SelectionName = "Auto"
    """Fewer columns, the others left as they are. MutualInformation: those with the greatest information gain on the
    target. ANOVA: those with the greatest F statistic. VarianceThreshold: those that vary. Auto: only constant ones are
    left out."""
    selected_columns: Annotated[int | None, Field(ge=1, le=10_000)] = None
    """Columns that MutualInformation and ANOVA keep. Absent: half of them."""
    sampling: SamplingName = "Auto"
    """Balancing of rare classes in the training rows, by imbalanced-learn. Probabilities are corrected back to the true
    shares, so that predictions stay the most probable class. Classification only. ClassWeights: rare ones weigh more.
    RandomOverSampler: their rows are repeated. SMOTE: rows are made up between neighbours. SMOTENC: the same, with
    categories taken from the neighbours. ADASYN: more of them where the class is hard to tell. RandomUnderSampler: rows
    of the frequent classes are left out. NearMiss: all but those near the rare class. TomekLinks: those in pairs of
    nearest neighbours of different classes. SMOTEENN: SMOTE, then rows that their neighbours contradict are left out.
    Auto: ClassWeights where the rarest class has less than a fiftieth of an equal share (1 % of two classes), else
    None."""
    augmentation: AugmentationName = "Auto"
    """More training rows than there are. GaussianJitter: copies with a tenth of a standard deviation of noise. Mixup:
    mixtures of two rows and of their targets (of the same class in a classification). WordDropout: copies of texts with
    a tenth of the words left out. Auto: None, because models of tables seldom gain by it."""

    @field_validator("missing_constant")
    @classmethod
    def _constant_is_used(cls, constant: float, info: ValidationInfo) -> float:
        if constant and info.data.get("missing") != "Constant":
            raise RuleError("must come with missing: Constant", remedy="Remove it, or set missing to Constant.")
        return constant

    @field_validator("outlier_action")
    @classmethod
    def _action_has_an_object(cls, action: OutlierAction, info: ValidationInfo) -> OutlierAction:
        outliers = info.data.get("outliers")
        if action != "Auto" and outliers in ("Auto", "None"):
            raise RuleError("must come with outliers to act on", remedy="Remove it, or set outliers.")
        if action == "Clip" and outliers in OUTLYING_ROWS:
            raise RuleError("must be Drop or Flag for whole rows", remedy="Clip numbers by outliers: Clip.")
        return action

    @field_validator("components")
    @classmethod
    def _components_are_extracted(cls, components: int | None, info: ValidationInfo) -> int | None:
        if components and info.data.get("extraction") in ("Auto", "None"):
            raise RuleError("must come with extraction", remedy="Remove it, or set extraction to PCA or TruncatedSVD.")
        return components

    @field_validator("selected_columns")
    @classmethod
    def _columns_are_selected(cls, columns: int | None, info: ValidationInfo) -> int | None:
        if columns and info.data.get("selection") not in SELECTED_BY_TARGET:
            remedy = "Remove it, or set selection to one of the two."
            raise RuleError("must come with selection MutualInformation or ANOVA", remedy=remedy)
        return columns

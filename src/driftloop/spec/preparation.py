"""How rows are cleaned, turned into numbers and balanced: group `preparation` of the ModelLoop.

Field docstrings are the reference documentation.
"""

from typing import Annotated, Literal

from pydantic import Field

from driftloop.spec.boundary import Boundary

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


class PreparationSpec(Boundary):
    """How rows are cleaned, turned into numbers and balanced. Everything is learned from the training rows alone."""

    missing: MissingName = "Auto"
    """Missing numbers, dates and booleans. Mean, Median, MostFrequent: filled with that of the training rows.
    Constant: with `missingConstant`, and an indicator. KNN: with the mean of the five nearest training rows. Iterative:
    predicted from the other columns. DropRows: training rows with a missing value are left out (requests are filled
    with the median). DropColumns: columns with a missing value in training are left out. Auto: the median, with an
    indicator where values were missing in training. Missing categories are a category of their own."""
    missing_constant: float = 0.0
    """What `missing: Constant` fills in."""
    noise: NoiseName = "Auto"
    """Smooth: numbers of time-ordered rows are replaced by the running median of themselves and the four rows before
    (training rows; a request is taken as it is). LabelFilter: training rows whose label cross-validated models of three
    kinds all contradict are left out. Auto: None; the report says how many labels look wrong."""
    outliers: OutlierName = "Auto"
    """Extreme numbers, or rows. Clip: beyond the 0.5 % and 99.5 % quantiles of the training rows. ZScore: beyond three
    standard deviations. IQR: beyond 1.5 interquartile ranges from the quartiles. IsolationForest, LocalOutlierFactor:
    rows unlike the others, together 1 %. Auto: None; the models of Auto are robust, and clipping is tried by tuning."""
    outlier_action: OutlierAction = "Auto"
    """Clip: drawn in to the limit, in requests, too (not of whole rows). Drop: training rows are left out. Flag: a
    column says so. Auto: Clip of numbers, Flag of rows."""
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
    """Free text. TFIDF: weights of up to 1,000 words and pairs of words. TFIDFSVD: of up to 20,000, reduced to 100
    numbers by truncated SVD. None: left out. Auto: TFIDFSVD, or TFIDF where there are fewer than 1,000 words."""
    extraction: ExtractionName = "Auto"
    """Fewer, combined columns. PCA: principal components. TruncatedSVD: the same without centring. Auto: None, but PCA
    from 500 columns on."""
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

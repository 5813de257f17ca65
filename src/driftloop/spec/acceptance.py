"""What a challenger must show before it may serve: group `acceptance` of the ModelLoop.

Field docstrings are the reference documentation.
"""

from typing import Annotated, Literal

from pydantic import Field

from driftloop.spec.boundary import Boundary, Duration
from driftloop.spec.problem import Ratio


class FairnessSpec(Boundary):
    """How differently the model may treat the groups of the sensitive columns."""

    metric: Literal["demographic_parity_difference", "equalized_odds_difference"] = "equalized_odds_difference"
    """Difference between groups, by fairlearn's name. demographic_parity_difference: of the share predicted positive.
    equalized_odds_difference: of the true or the false positive rate, whichever differs more."""
    max: Ratio = 0.1
    """Largest difference allowed on the test rows, 0 to 1."""
    mitigation: Literal["None", "ExponentiatedGradient"] = "None"
    """How a difference is made smaller. ExponentiatedGradient: the class is decided by classifiers that are fitted
    again under the constraint. The sensitive column is needed while training and never in requests: equal rows get
    equal answers, whatever the group. For two classes; probabilities stay as they are."""


class AcceptanceSpec(Boundary):
    """What a challenger must show before it may serve."""

    champion_comparison: Literal["Better", "NotWorse"] = "Better"
    """Against the champion on the newest labelled rows. Better: the 95 % interval of the difference lies above 0.
    NotWorse: the difference itself is at least 0."""
    max_generalization_gap: Annotated[float, Field(gt=0)] | None = None
    """Largest allowed difference of the metric between training and test rows."""
    max_latency: Duration | None = None
    """Largest allowed time of a one-row prediction (95th percentile), measured when the Bento is verified."""
    fairness: FairnessSpec | None = None
    """Largest difference between the groups of each of data.sensitiveColumns. Absent: assessed and reported, not
    judged. A model that can't be assessed, because the rows lack the column or its groups are small, is rejected."""

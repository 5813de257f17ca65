"""Small records for the tests of the prediction log."""

from datetime import UTC, datetime, timedelta

from driftloop.predictionlog import Label, PredictionBatch

START = datetime(2013, 3, 1, tzinfo=UTC)
FOREVER = START + timedelta(days=3650)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def batch(first, *, hours=0.0, rows=2, version="v1", dropped=0, features=None, outputs=None):
    """Predictions `p<first>`, `p<first+1>`, ... with keys `k<first>`, ..."""
    numbers = range(first, first + rows)
    return PredictionBatch(
        model_version=version,
        time=at(hours),
        prediction_ids=[f"p{number}" for number in numbers],
        keys=[f"k{number}" for number in numbers],
        features=features if features is not None else {"distance": [float(number) for number in numbers]},
        outputs=outputs if outputs is not None else {"prediction": [True] * rows, "probability": [0.75] * rows},
        dropped=dropped,
    )


def label(value, *, hours, key=None, prediction_id=None):
    return Label(label=value, time=at(hours), key=key, prediction_id=prediction_id)

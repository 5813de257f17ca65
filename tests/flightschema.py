"""The schema of the small model of flights, and a row of it."""

from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task

SCHEMA = DataSchema(
    task=Task.CLASSIFICATION,
    target=Target(name="late", classes=(False, True)),
    features=(
        Feature(name="distance", type=FeatureType.NUMERIC, nullable=False),
        Feature(name="wind", type=FeatureType.NUMERIC, nullable=True),
        Feature(name="carrier", type=FeatureType.CATEGORICAL, nullable=True, categories=("UA", "DL")),
        Feature(name="night", type=FeatureType.BOOLEAN, nullable=False),
        Feature(name="booked", type=FeatureType.DATE, nullable=True),
    ),
    key_column="flight",
    time_column="departure",
)
ROW = {"distance": 1.5, "wind": None, "carrier": "UA", "night": True, "booked": "2013-01-01T08:00:00Z"}

import pytest

from driftloop.serving.predictor import Predictor
from tests.flightschema import SCHEMA
from tests.smallmodel import fit, flights


@pytest.fixture(scope="session")
def predictor():
    return Predictor(fit(flights()), SCHEMA, "0123456789ab")

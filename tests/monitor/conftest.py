import pytest

from driftloop.adapters.alibi_engine import AlibiDetectEngine
from driftloop.monitor.engines import DriftTest, SciPyEngine
from tests.monitor import traffic


@pytest.fixture(scope="session", params=["AlibiDetect", "SciPy"])
def engine(request) -> DriftTest:
    return AlibiDetectEngine() if request.param == "AlibiDetect" else SciPyEngine()


@pytest.fixture(scope="session")
def baseline():
    return traffic.baseline_of(traffic.rows(8000, seed=1))


@pytest.fixture(scope="session")
def judge(baseline):
    return traffic.judge_of(baseline)

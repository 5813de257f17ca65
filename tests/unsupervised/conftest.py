import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True)
def one_thread():
    """As in the stage `train`."""
    with threadpool_limits(limits=1):
        yield

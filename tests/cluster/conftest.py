from collections.abc import Iterator

import pytest

from driftloop.adapters.kubeapi import KubeApi
from tests.cluster.apiserver import (
    ApiServer,
    api_server,
    each_api_server,
    fake_api_server,
    install_definitions,
    namespace,
    new_namespace,
    real_api_server,
    shared_fake_api_server,
)

__all__ = ["api_server", "each_api_server", "fake_api_server", "namespace", "real_api_server", "shared_fake_api_server"]


@pytest.fixture
def api(each_api_server: ApiServer) -> KubeApi:
    """An administrator's API, of the fake and of the real server; our custom resources are known."""
    install_definitions(each_api_server)
    return each_api_server.connect()


@pytest.fixture
def place(each_api_server: ApiServer) -> Iterator[str]:
    """A new namespace on each."""
    with new_namespace(each_api_server) as name:
        yield name

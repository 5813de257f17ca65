from pathlib import Path

import pytest

from tests.cluster.apiserver import ApiServer, fake_api_server, install_definitions
from tests.operator.world import World

__all__ = ["fake_api_server"]


@pytest.fixture
def world(fake_api_server: ApiServer, tmp_path: Path) -> World:
    """One loop on a fake API server, its object store in a folder, and an operator that takes steps when told to."""
    install_definitions(fake_api_server)
    return World(fake_api_server, str(tmp_path / "store"))

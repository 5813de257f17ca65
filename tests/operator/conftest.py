from collections.abc import Iterator
from pathlib import Path

import pytest

from driftloop.workload.rights import RBAC_RULES, AccessRole, permits
from tests.cluster.apiserver import ApiServer, fake_api_server, install_definitions
from tests.operator.world import OPERATOR_USER, World

__all__ = ["fake_api_server"]


@pytest.fixture
def world(fake_api_server: ApiServer, tmp_path: Path) -> Iterator[World]:
    """One loop on a fake API server, its object store in a folder, and an operator that takes steps when told to.

    Whatever a test has it do, the access rules must allow.
    """
    install_definitions(fake_api_server)
    yield World(fake_api_server, str(tmp_path / "store"))
    rules = RBAC_RULES[AccessRole.OPERATOR]
    asked = {(c.verb, c.group, c.resource) for c in fake_api_server.calls() if c.user == OPERATOR_USER}
    assert {call for call in asked if not permits(rules, *call)} == set()

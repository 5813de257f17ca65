"""API servers for tests, as pytest fixtures; import what you need into a conftest or a test module.

- `api_server`: the real one where it is offered, else the fake. For tests of what works on the API.
- `fake_api_server`: the fake, new for every test, with faults and denied rights.
- `each_api_server`: every contract test runs against the fake and against the real one.
- `namespace`: a new namespace on `api_server`.

A real one is offered by KUBECONFIG (its current context; the tests make namespaces of their own and remove them), or by
KUBEBUILDER_ASSETS, a folder with etcd and kube-apiserver.
"""

import atexit
import functools
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from driftloop.adapters.kubeapi import ApiUnavailableError, KubeApi, NotFoundError
from driftloop.workload.crd import driftreport_crd, modelloop_crd
from driftloop.workload.kinds import KINDS
from driftloop.workload.rights import Rule
from tests.cluster.fakeapi import Call, FakeApi
from tests.cluster.fakeserver import serve
from tests.cluster.realapi import TOKEN, RealApi, is_offered, kubeconfig, real_api

HOW_TO_OFFER = (
    "No API server is offered. Set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver "
    "(such as `setup-envtest use -p path` prints), or KUBECONFIG to a cluster for tests."
)


@dataclass
class ApiServer:
    """An API server and an administrator's way to it."""

    kubeconfig: Path
    """Its one context is `test`, unless it is your own cluster's."""
    fake: FakeApi | None = None
    real: RealApi | None = None

    @property
    def is_real(self) -> bool:
        return self.fake is None

    def connect(self, kubeconfig: Path | None = None) -> KubeApi:
        return KubeApi.connect(kubeconfig=kubeconfig or self.kubeconfig)  # threads share the environment

    def calls(self) -> list[Call]:
        """Return what was asked so far; skips where a cluster of your own does not tell."""
        if self.fake:
            return list(self.fake.calls)
        if self.real is None:
            pytest.skip("A cluster given by KUBECONFIG does not tell which calls were made; use KUBEBUILDER_ASSETS.")
        return self.real.calls

    def kubeconfig_of(self, folder: Path, name: str, rules: Sequence[Rule], namespace: str) -> Path:
        """Make a service account with rights in the whole cluster, and return the way in as that user.

        The fake grants everything, and records the user's name.
        """
        file = folder / f"{name}.kubeconfig"
        if self.fake:
            file.write_text(self.kubeconfig.read_text().replace(TOKEN, name))
            return file
        admin = self.connect()
        account = {"namespace": namespace, "name": name}
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": f"{namespace}-{name}"}}
        admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        admin.create(role | {"kind": "ClusterRole", "rules": [rule.to_dict() for rule in rules]})
        binding = {
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": f"{namespace}-{name}",
            },
            "subjects": [{"kind": "ServiceAccount"} | account],
        }
        admin.create(role | {"kind": "ClusterRoleBinding"} | binding)
        path = KINDS["ServiceAccount"].path(namespace, name, "token")
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = admin._object("POST", path, "a token", body=asked)["status"]["token"]
        assert self.real, "rights are tested with KUBEBUILDER_ASSETS"
        file.write_text(kubeconfig(self.real.url, token, self.real.ca))
        return file


@contextmanager
def run_fake(folder: Path) -> Iterator[ApiServer]:
    fake = FakeApi()
    url, end = serve(fake)
    file = folder / "fake.kubeconfig"
    file.write_text(kubeconfig(url, TOKEN, None))
    try:
        yield ApiServer(file, fake=fake)
    finally:
        end()


@contextmanager
def run_real(folder: Path) -> Iterator[ApiServer]:
    """Offer the real one.

    Skips where there is none.
    """
    if is_offered():
        with real_api() as real:
            file = folder / "real.kubeconfig"
            file.write_text(kubeconfig(real.url, TOKEN, real.ca))
            yield ApiServer(file, real=real)
    elif os.environ.get("KUBECONFIG"):
        yield ApiServer(Path(os.environ["KUBECONFIG"]))
    else:
        pytest.skip(HOW_TO_OFFER)


@pytest.fixture(scope="session")
def real_api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with run_real(tmp_path_factory.mktemp("real-api")) as server:
        yield server


@functools.cache
def the_shared_fake() -> ApiServer:
    """Start one for the whole process: modules that import the fixtures below have each their own of them."""
    ending = ExitStack()
    atexit.register(ending.close)
    return ending.enter_context(run_fake(Path(ending.enter_context(TemporaryDirectory()))))


@pytest.fixture(scope="session")
def shared_fake_api_server() -> ApiServer:
    return the_shared_fake()


@pytest.fixture(scope="session", params=["fake", "real"])
def each_api_server(request: pytest.FixtureRequest) -> ApiServer:
    return request.getfixturevalue({"fake": "shared_fake_api_server", "real": "real_api_server"}[request.param])


@pytest.fixture(scope="session")
def api_server(request: pytest.FixtureRequest) -> ApiServer:
    is_real = is_offered() or os.environ.get("KUBECONFIG")
    return request.getfixturevalue("real_api_server" if is_real else "shared_fake_api_server")


@pytest.fixture
def fake_api_server(tmp_path: Path) -> Iterator[ApiServer]:
    with run_fake(tmp_path) as server:
        yield server


@pytest.fixture
def namespace(api_server: ApiServer) -> Iterator[str]:
    with new_namespace(api_server) as name:
        yield name


@contextmanager
def new_namespace(server: ApiServer, labels: dict[str, str] | None = None) -> Iterator[str]:
    """Make a namespace, and remove it in the end."""
    api, name = server.connect(), f"test-{uuid.uuid4().hex[:10]}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}})
    try:
        yield name
    finally:
        api.delete("Namespace", None, name)


def install_definitions(server: ApiServer) -> None:
    """Make our custom resources known; wait until they are served."""
    api = server.connect()
    for definition in (modelloop_crd(), driftreport_crd()):
        api.apply(definition)
    deadline = time.monotonic() + 30
    for kind in ("ModelLoop", "DriftReport"):
        while True:
            try:
                api.list(kind)
                break
            except (NotFoundError, ApiUnavailableError):  # not served yet, or not stored yet
                assert time.monotonic() < deadline
                time.sleep(0.1)

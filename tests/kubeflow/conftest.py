"""A Kubeflow Pipelines server, a Kubernetes API, and runners between them on a clock of the test's own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from driftloop.adapters.kubeapi import KubeApi
from driftloop.adapters.kubeflow import KubeflowRunner
from driftloop.loop.parameters import pipeline_parameters
from driftloop.loop.runner import RunOrder
from driftloop.spec import ModelLoop
from driftloop.workload.platform import Platform
from tests.cluster.apiserver import ApiServer, fake_api_server, install_definitions
from tests.kubeflow.kfpserver import START, KfpServer, kfp_server

__all__ = ["fake_api_server"]

NAMESPACE = "team-a"
PLATFORM = Platform.model_validate(
    {
        "images": {
            "controller": "driftloop-controller:1",
            "monitor": "driftloop-monitor:1",
            "serving": "driftloop-serving:1",
            "pipeline": "driftloop-pipeline:1",
        },
        "store": {
            "uri": "s3://bucket/driftloop",
            "endpointUrl": "http://s3.storage:8333",
            "secretName": "store-keys",
        },
    }
)


def make_loop(**spec) -> ModelLoop:
    return ModelLoop.model_validate(
        {
            "apiVersion": "driftloop.dev/v1alpha1",
            "kind": "ModelLoop",
            "metadata": {"name": "wine", "namespace": NAMESPACE},
            "spec": {
                "problem": {"task": "Classification"},
                "data": {"uri": "s3://lake/wine.csv", "targetColumn": "kind"},
            }
            | spec,
        }
    )


def make_order(run_key="0123456789ab", *, loop=None, **fields) -> RunOrder:
    loop = loop or make_loop()
    parameters = pipeline_parameters(
        loop,
        data_uri=loop.spec.data.uri,
        time_column=None,
        algorithms=["Linear"],
        run_key=run_key,
        result_uri=f"s3://bucket/driftloop/loops/team-a/wine/runs/{run_key}/result.json",
        store_uri="s3://bucket/driftloop/loops/team-a/wine",
        champion_uri="",
        runtime_image=PLATFORM.images.serving,
        image=PLATFORM.images.pipeline,
        code_digest="code",
    )
    reason = "ConceptDrift in the window of 2013-03-01: accuracy fell from 0.95 to 0.71"
    order = {"number": 3, "pipeline": "training", "parameters": parameters, "reason": reason, "report": "wine-7f3a"}
    return RunOrder(loop=loop, run_key=run_key, **(order | fields))


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Cluster:
    """Everything a runner talks to."""

    kfp: KfpServer
    objects: KubeApi
    clock: Clock = field(default_factory=Clock)

    def runner(self, **options) -> KubeflowRunner:
        """Another operator, which knows nothing yet."""
        return KubeflowRunner(options.pop("url", self.kfp.url), self.objects, PLATFORM, now=self.clock, **options)


@pytest.fixture
def objects(fake_api_server: ApiServer) -> KubeApi:
    install_definitions(fake_api_server)
    api = fake_api_server.connect()
    for name in (NAMESPACE, "kubeflow"):
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    api.create(
        {
            "apiVersion": "driftloop.dev/v1alpha1",
            "kind": "ModelLoop",
            "metadata": {"name": "wine", "namespace": NAMESPACE},
            "spec": {},
        }
    )
    return api


@pytest.fixture
def make_cluster(objects: KubeApi) -> Iterator[Callable[..., Cluster]]:
    opened = []

    def make(**settings) -> Cluster:
        context = kfp_server(**settings)
        opened.append(context)
        return Cluster(context.__enter__(), objects)

    yield make
    for context in opened:
        context.__exit__(None, None, None)


@pytest.fixture
def cluster(make_cluster) -> Cluster:
    return make_cluster()

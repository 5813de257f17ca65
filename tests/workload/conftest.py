import pytest

from driftloop.spec import ModelLoop
from driftloop.workload.deployment import build_server_deployment
from driftloop.workload.owner import Owner
from driftloop.workload.platform import Images, Platform, Store

DIGEST = "0123456789ab" + "c" * 52
VERSION = DIGEST[:12]
URI = f"s3://models/driftloop/loops/team/wine/bentos/{DIGEST}"
OWNER = Owner(object_uid="11111111-2222-3333-4444-555555555555", loop_uid="loop-identity")
PLATFORM = Platform(
    images=Images(controller="c:1", monitor="m:1", serving="s:1", pipeline="p:1"),
    store=Store(uri="s3://models/driftloop", endpoint_url="http://seaweedfs.storage:8333", secret_name="store-keys"),  # noqa: S106
)


def make_loop(**spec):
    """A ModelLoop with some groups set."""
    return ModelLoop.model_validate(
        {
            "apiVersion": "driftloop.dev/v1alpha1",
            "kind": "ModelLoop",
            "metadata": {"name": "wine", "namespace": "team"},
            "spec": {
                "problem": {"task": "Classification"},
                "data": {"uri": "s3://lake/wine.csv", "targetColumn": "good", "keyColumn": "id"},
                **spec,
            },
        }
    )


def make_deployment(loop=None, platform=PLATFORM, image="serving:of-the-bento", **more):
    return build_server_deployment(loop or make_loop(), VERSION, URI, DIGEST, image, platform, OWNER, **more)


@pytest.fixture
def deployment():
    return make_deployment()


@pytest.fixture
def pod(deployment):
    return deployment["spec"]["template"]["spec"]

"""What the chart renders to with no more values than it needs."""

import kubernetes_validate
import pytest
import yaml

from tests.chart.podsecurity import find_violations
from tests.chart.rendering import CHART, NEWEST, OLDEST, pods_of, render_chart, the

pytestmark = pytest.mark.render
GOLDEN = CHART.parents[1] / "tests" / "chart" / "golden" / "default.yaml"
EVERYTHING = (
    "images.registry=registry.example.com/ml",
    'json:images.pullSecrets=["registry"]',
    "store.secretName=driftloop-store",
    "store.endpointUrl=http://seaweedfs.storage:8333",
    "kubeflow.tokenAudience=pipelines.kubeflow.org",
    "webhook.secretName=hook",
    'json:watchNamespaces=["team-a","team-b"]',
    "json:networkPolicy.egress=[{}]",
    'json:operator.tolerations=[{"key":"pool","operator":"Exists"}]',
    'json:operator.affinity={"nodeAffinity":{}}',
    'json:operator.nodeSelector={"pool":"system"}',
    "operator.priorityClassName=high",
    'json:operator.podLabels={"team":"ml"}',
    'json:operator.podAnnotations={"note":"x"}',
    'json:serviceAccount.annotations={"role":"x"}',
)


def test_the_default_rendering_is_the_golden_one():
    """`python -m tests.chart.test_default` writes it anew."""
    assert _default() == GOLDEN.read_text(encoding="utf-8")


def _default():
    # The generated definitions are compared where they are generated.
    kept = [d for d in render_chart() if d["kind"] not in ("CustomResourceDefinition", "ValidatingAdmissionPolicy")]
    return yaml.safe_dump_all(kept, sort_keys=False, width=110)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", [(), EVERYTHING], ids=["default", "everything"])
def test_every_object_keeps_to_the_strict_schema(version, values):
    for document in render_chart(*values, version=version):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_schema_check_sees_an_unknown_field():
    deployment = the(render_chart(), "Deployment")
    deployment["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, NEWEST, strict=True)


@pytest.mark.parametrize("values", [(), EVERYTHING], ids=["default", "everything"])
def test_every_pod_is_restricted(values):
    pods = dict(pods_of(render_chart(*values)))
    assert set(pods) == {"driftloop", "driftloop-test"}
    assert {name: list(find_violations(pod)) for name, pod in pods.items()} == {"driftloop": [], "driftloop-test": []}


def test_the_checker_sees_each_violation():
    pod = {
        "hostNetwork": True,
        "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
        "containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}],
    }
    assert [line.split(":")[0] for line in find_violations(pod)] == [
        "hostNetwork",
        "volumes.host",
        "c.allowPrivilegeEscalation",
        "c.capabilities.drop",
        "c.capabilities.add",
        "c.runAsNonRoot",
        "c.seccompProfile.type",
        "c.readOnlyRootFilesystem",
        "c.resources",
    ]


def test_no_loop_is_in_the_chart():
    assert not [d for d in render_chart(*EVERYTHING) if d["apiVersion"].startswith("driftloop.dev")]


if __name__ == "__main__":
    GOLDEN.write_text(_default(), encoding="utf-8")

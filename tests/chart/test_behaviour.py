"""One value, one behaviour."""

import json
import os
from unittest import mock

import pytest
import yaml

from driftloop.operator.settings import OperatorSettings
from tests.chart.rendering import CHART, OLDEST, environment, operator_container, render_chart, the

pytestmark = pytest.mark.render
DIGEST = f"sha256:{'a' * 64}"


def settings_of(*values):
    """Read the operator's settings from the environment that the chart gives it."""
    given = {name: value for name, value in environment(render_chart(*values)).items() if name.startswith("DRIFTLOOP")}
    with mock.patch.dict(os.environ, given, clear=True):
        return OperatorSettings()


def test_one_operator_acts_and_is_gone_before_the_next_one_starts():
    spec = the(render_chart(), "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert not [d for d in render_chart() if d["kind"] == "PodDisruptionBudget"]  # it would block draining the node


def test_the_environment_names_every_setting_and_no_other():
    fields = set()
    for name, field in OperatorSettings.model_fields.items():
        if name != "platform":
            fields.add(name)
            continue
        for group, inner in field.annotation.model_fields.items():
            nested = getattr(inner.annotation, "model_fields", None)
            fields |= {f"platform__{group}__{leaf}" for leaf in nested} if nested else {f"platform__{group}"}
    given = {name for name in environment(render_chart()) if name.startswith("DRIFTLOOP_OPERATOR_")}
    assert given == {f"DRIFTLOOP_OPERATOR_{name.upper()}" for name in fields}


def test_defaults_of_the_chart_are_the_settings_own():
    told = settings_of()
    for name, field in OperatorSettings.model_fields.items():
        if not field.is_required():
            assert getattr(told, name) == field.default, name
    platform = type(told.platform)
    assert told.platform == platform(
        images=told.platform.images, store=platform.model_fields["store"].annotation(uri="s3://bucket/driftloop")
    )


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("maxConcurrentRuns=7", lambda s: s.max_concurrent_runs == 7),
        ("json:flushIntervalSeconds=12.5", lambda s: s.platform.flush_interval_seconds == 12.5),
        ("store.region=eu-central-1", lambda s: s.platform.store.region == "eu-central-1"),
        ("store.secretName=keys", lambda s: "keys" in s.platform.store.secret_name),
        (
            "store.endpointUrl=http://s3.storage:8333",
            lambda s: s.platform.store.endpoint_url == "http://s3.storage:8333",
        ),
        ("kubeflow.url=http://ml-pipeline:8888", lambda s: s.kubeflow_url == "http://ml-pipeline:8888"),
        ("kubeflow.uiUrl=http://ui", lambda s: s.kubeflow_ui_url == "http://ui"),
        ("webhook.url=http://hook", lambda s: s.webhook_url == "http://hook"),
        ("webhook.timeoutSeconds=2", lambda s: s.webhook_timeout_seconds == 2),
        ("prometheus.loops=true", lambda s: s.platform.service_monitors is True),
        ("json:apiServerPorts=[6443]", lambda s: s.platform.api_server_ports == (6443,)),
        ('json:watchNamespaces=["a","b"]', lambda s: s.watch_namespaces == ("a", "b")),
        ('json:images.pullSecrets=["r"]', lambda s: s.platform.images.pull_secrets == ("r",)),
        ("images.pullPolicy=Always", lambda s: s.platform.images.pull_policy == "Always"),
        (
            "images.registry=r.example.com/x/",
            lambda s: s.platform.images.monitor == "r.example.com/x/driftloop-monitor:0.1.0",
        ),
        ("images.serving.tag=v2", lambda s: s.platform.images.serving == "driftloop-serving:v2"),
        (
            f"images.pipeline.digest=sha256:{'a' * 64}",
            lambda s: s.platform.images.pipeline == f"driftloop-pipeline@sha256:{'a' * 64}",
        ),
        ("operator.workers=3", lambda s: s.workers == 3),
        ("operator.pollSeconds=30", lambda s: s.poll_seconds == 30),
        ("operator.busyPollSeconds=1", lambda s: s.busy_poll_seconds == 1),
        ("operator.availableSeconds=60", lambda s: s.available_seconds == 60),
        ("operator.drainSeconds=0", lambda s: s.drain_seconds == 0),
        ("operator.leaseSeconds=30", lambda s: s.lease_seconds == 30),
        ("operator.logLevel=DEBUG", lambda s: s.log_level == "DEBUG"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_reaches_the_operator(value, read):
    assert read(settings_of(value))
    assert not read(settings_of())


def test_the_ports_are_served_probed_and_scraped_alike():
    documents = render_chart("operator.metricsPort=9100", "operator.healthPort=9101")
    container = operator_container(documents)
    assert {p["name"]: p["containerPort"] for p in container["ports"]} == {"metrics": 9100, "health": 9101}
    env = environment(documents)
    assert (env["DRIFTLOOP_OPERATOR_METRICS_PORT"], env["DRIFTLOOP_OPERATOR_HEALTH_PORT"]) == ("9100", "9101")
    assert the(documents, "Service")["spec"]["ports"] == [{"name": "metrics", "port": 9100, "targetPort": "metrics"}]
    assert {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")} == {
        "health"
    }


def test_the_stores_keys_come_from_the_secret():
    env = {entry["name"]: entry for entry in operator_container(render_chart("store.secretName=keys"))["env"]}
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert env[key]["valueFrom"] == {"secretKeyRef": {"name": "keys", "key": key}}
    assert not [name for name in environment(render_chart()) if "ACCESS_KEY" in name]


def test_a_webhooks_address_may_be_secret():
    env = {entry["name"]: entry for entry in operator_container(render_chart("webhook.secretName=hook"))["env"]}
    assert env["DRIFTLOOP_OPERATOR_WEBHOOK_URL"]["valueFrom"] == {"secretKeyRef": {"name": "hook", "key": "url"}}


def test_a_token_for_kubeflow_has_its_audience():
    documents = render_chart("kubeflow.tokenAudience=pipelines.kubeflow.org")
    [volume] = [
        v for v in the(documents, "Deployment")["spec"]["template"]["spec"]["volumes"] if v["name"] == "kubeflow-token"
    ]
    assert volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "pipelines.kubeflow.org"
    path = environment(documents)["DRIFTLOOP_OPERATOR_KUBEFLOW_TOKEN_PATH"]
    [mount] = [m for m in operator_container(documents)["volumeMounts"] if m["name"] == "kubeflow-token"]
    assert path == f"{mount['mountPath']}/{volume['projected']['sources'][0]['serviceAccountToken']['path']}"


def test_resource_definitions_outlive_the_release_and_every_pruner():
    definitions = [d for d in render_chart() if d["kind"] == "CustomResourceDefinition"]
    assert {d["metadata"]["name"] for d in definitions} == {"modelloops.driftloop.dev", "driftreports.driftloop.dev"}
    for definition in definitions:
        assert definition["metadata"]["annotations"] == {
            "helm.sh/resource-policy": "keep",
            "argocd.argoproj.io/sync-options": "Prune=false,Delete=false,ServerSideApply=true",
            "kustomize.toolkit.fluxcd.io/prune": "disabled",
        }
        assert "app.kubernetes.io/instance" not in definition["metadata"]["labels"]


def test_resource_definitions_are_the_generated_ones():
    for path in (CHART / "files" / "crds").glob("*.yaml"):
        generated = yaml.safe_load(path.read_text(encoding="utf-8"))
        rendered = the(render_chart(), "CustomResourceDefinition", generated["metadata"]["name"])
        assert rendered["spec"] == generated["spec"]


def test_resource_definitions_can_be_left_to_others():
    assert not [d for d in render_chart("crds.install=false") if d["kind"] == "CustomResourceDefinition"]


def test_resource_definitions_may_go_with_the_release():
    for definition in (d for d in render_chart("crds.keep=false") if d["kind"] == "CustomResourceDefinition"):
        assert "helm.sh/resource-policy" not in definition["metadata"]["annotations"]


def test_approvals_are_bound_where_kubernetes_can():
    kinds = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    assert kinds <= {d["kind"] for d in render_chart()}
    assert not kinds & {d["kind"] for d in render_chart("approvalPolicy.enabled=false")}
    assert not kinds & {d["kind"] for d in render_chart(version=OLDEST)}  # admission policies came with 1.30


def test_the_admission_policy_is_the_generated_one():
    generated = list(yaml.safe_load_all((CHART / "files" / "approvalpolicy.yaml").read_text(encoding="utf-8")))
    rendered = render_chart()
    for document in generated:
        assert the(rendered, document["kind"], document["metadata"]["name"])["spec"] == document["spec"]


def test_only_metrics_are_reached_from_other_pods():
    spec = the(render_chart(), "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    assert [[p["port"] for p in rule["ports"]] for rule in spec["ingress"]] == [["metrics"], ["health"]]
    assert spec["ingress"][0]["from"] == [{"namespaceSelector": {}}]
    assert not [d for d in render_chart("networkPolicy.enabled=false") if d["kind"] == "NetworkPolicy"]


def test_what_the_operator_may_reach_can_be_narrowed():
    rule = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}
    spec = the(render_chart(f"json:networkPolicy.egress={json.dumps([rule])}"), "NetworkPolicy")["spec"]
    assert (spec["policyTypes"], spec["egress"]) == (["Ingress", "Egress"], [rule])


def test_prometheus_objects_come_when_asked_for():
    assert not {"ServiceMonitor", "PrometheusRule"} & {d["kind"] for d in render_chart()}
    documents = render_chart(
        "prometheus.serviceMonitor.enabled=true", "prometheus.rules.enabled=true", "prometheus.labels.release=kube"
    )
    service = the(documents, "Service")
    monitor = the(documents, "ServiceMonitor")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert monitor["metadata"]["labels"]["release"] == "kube"
    rules = the(documents, "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert [rule["alert"].removeprefix("Driftloop") for rule in rules] == [
        "OperatorDown",
        "LoopStalled",
        "RunFailed",
        "MonitorSilent",
        "DriftOpen",
    ]


def test_the_check_of_an_installation_is_a_hook_that_cleans_up():
    hooks = [d for d in render_chart() if "helm.sh/hook" in d["metadata"].get("annotations", {})]
    assert {d["kind"] for d in hooks} == {"Pod", "Role", "RoleBinding", "ServiceAccount"}
    for hook in hooks:
        assert hook["metadata"]["annotations"]["helm.sh/hook"] == "test"
        assert hook["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    script = the(hooks, "Pod", "driftloop-test")["spec"]["containers"][0]["args"][0]
    assert script.strip() == (CHART / "files" / "check_install.py").read_text(encoding="utf-8").strip()


def test_a_release_of_another_name_says_so_in_every_name():
    names = {
        d["metadata"]["name"]
        for d in render_chart("userRoles.create=false", "crds.install=false", release="blue")
        if "admission" not in d["apiVersion"]
    }
    assert names == {"blue-driftloop", "blue-driftloop-test"}

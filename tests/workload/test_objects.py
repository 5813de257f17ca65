import json

import kubernetes_validate
import pytest

from driftloop.spec import ModelLoop
from driftloop.workload import names
from driftloop.workload.access import build_role, build_role_binding, build_service_account
from driftloop.workload.fixed import build_fixed_objects
from driftloop.workload.loopconfig import build_loop_config
from driftloop.workload.network import build_network_policy
from driftloop.workload.rights import RBAC_RULES, AccessRole
from driftloop.workload.scaling import build_autoscaler, build_disruption_budget
from driftloop.workload.services import build_labels_service, build_predictions_service
from tests.podsecurity import containers
from tests.workload.conftest import OWNER, PLATFORM, VERSION, make_deployment, make_loop

AUTOSCALED = {"minReplicas": 1, "maxReplicas": 3}


def all_objects(loop):
    return [
        *build_fixed_objects(loop, PLATFORM, OWNER),
        make_deployment(loop),
        build_predictions_service(loop, VERSION, OWNER),
        build_autoscaler(loop, VERSION, OWNER),
    ]


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
def test_every_object_fits_the_schema_of_the_oldest_and_the_newest_kubernetes(version):
    loop = make_loop(
        serving=AUTOSCALED | {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "ml"}]},
        monitoring={"labels": {"uri": "postgresql://db.data/x", "query": "labels"}},
    )
    for built in all_objects(loop):
        assert kubernetes_validate.validate(built, version, strict=True) == version[:4]


@pytest.mark.parametrize("serving", [AUTOSCALED, AUTOSCALED | {"metricsMonitor": "ServiceMonitor"}])
def test_every_object_is_labelled_owned_and_in_the_loop_s_namespace(serving):
    for built in all_objects(make_loop(serving=serving)):
        metadata = built["metadata"]
        assert names.loop_labels("wine").items() <= metadata["labels"].items()
        assert metadata["ownerReferences"] == [names.owner_reference("wine", OWNER.object_uid)]
        assert metadata["namespace"] == "team"


def test_no_two_objects_of_a_kind_share_a_name():
    built = [(one["kind"], one["metadata"]["name"]) for one in all_objects(make_loop(serving=AUTOSCALED))]
    assert len(set(built)) == len(built)


def test_the_longest_name_of_a_loop_still_names_a_deployment():
    assert len(names.deployment_name("a" * 50, VERSION)) == 63


def test_predictions_go_to_one_model_version():
    spec = build_predictions_service(make_loop(), VERSION, OWNER)["spec"]
    assert spec["selector"] == {
        "driftloop.dev/loop": "wine",
        "app.kubernetes.io/component": "server",
        "driftloop.dev/model-version": VERSION,
    }
    assert (spec["ports"][0]["port"], spec["ports"][0]["targetPort"]) == (80, "http")


def test_without_a_champion_no_pod_is_asked():
    spec = build_predictions_service(make_loop(), None, OWNER)["spec"]
    assert spec["selector"]["driftloop.dev/model-version"] == "none"


def test_labels_go_to_the_monitor_of_any_version():
    service = build_labels_service(make_loop(), OWNER)
    assert service["metadata"]["name"] == "wine-labels"
    assert service["spec"]["selector"].keys() == {"driftloop.dev/loop", "app.kubernetes.io/component"}
    assert service["spec"]["ports"][0]["targetPort"] == "labels"


def test_the_selectors_find_the_pods():
    labels = make_deployment()["spec"]["template"]["metadata"]["labels"]
    loop = make_loop()
    for selector in (
        build_predictions_service(loop, VERSION, OWNER)["spec"]["selector"],
        build_labels_service(loop, OWNER)["spec"]["selector"],
        build_disruption_budget(loop, OWNER)["spec"]["selector"]["matchLabels"],
        build_network_policy(loop, PLATFORM, OWNER)["spec"]["podSelector"]["matchLabels"],
        make_deployment()["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()


def test_the_monitor_s_role_is_what_the_adapters_need():
    granted = {
        (group, resource, verb)
        for rule in build_role(make_loop(), OWNER)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    needed = {
        (rule.group, resource, verb)
        for rule in RBAC_RULES[AccessRole.MONITOR]
        for resource in rule.resources
        for verb in rule.verbs
    }
    assert granted == needed


def test_the_monitor_may_take_no_other_lease_than_the_loop_s():
    leases = [rule for rule in build_role(make_loop(), OWNER)["rules"] if "leases" in rule["resources"]]
    assert [rule.get("resourceNames") for rule in leases if rule["verbs"] != ["create"]] == [["wine-evaluator"]]


def test_the_role_is_bound_to_the_pods_account():
    binding = build_role_binding(make_loop(), OWNER)
    account = build_service_account(make_loop(), OWNER)
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": "team"}]
    assert binding["roleRef"]["name"] == build_role(make_loop(), OWNER)["metadata"]["name"]


def test_the_account_mounts_no_token_by_itself():
    assert build_service_account(make_loop(), OWNER)["automountServiceAccountToken"] is False


def test_nodes_take_one_pod_at_a_time():
    assert build_disruption_budget(make_loop(), OWNER)["spec"]["maxUnavailable"] == 1


def test_there_is_no_autoscaler_where_nothing_is_to_scale():
    assert build_autoscaler(make_loop(serving={"minReplicas": 2, "maxReplicas": 2}), VERSION, OWNER) is None


def test_the_autoscaler_looks_at_the_server_alone():
    [metric] = build_autoscaler(make_loop(serving=AUTOSCALED | {"targetUtilization": 55}), VERSION, OWNER)["spec"][
        "metrics"
    ]
    assert metric["containerResource"]["container"] == "server"
    assert metric["containerResource"]["target"]["averageUtilization"] == 55


def test_the_autoscaler_scales_the_champion():
    spec = build_autoscaler(make_loop(serving=AUTOSCALED), VERSION, OWNER)["spec"]
    assert spec["scaleTargetRef"]["name"] == make_deployment()["metadata"]["name"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 3)


def test_a_servicemonitor_is_made_only_where_it_is_asked_for():
    asked = make_loop(serving={"metricsMonitor": "ServiceMonitor"})
    everywhere = PLATFORM.model_copy(update={"service_monitors": True})
    for loop, platform, expected in ((make_loop(), PLATFORM, 0), (asked, PLATFORM, 1), (make_loop(), everywhere, 1)):
        kinds = [one["kind"] for one in build_fixed_objects(loop, platform, OWNER)]
        assert kinds.count("ServiceMonitor") == expected


def test_the_monitors_read_the_loop_as_it_is():
    loop = make_loop(monitoring={"window": {"duration": "2h"}})
    text = build_loop_config(loop, OWNER)["data"]["loop.json"]
    assert ModelLoop.model_validate_json(text) == loop


def test_annotations_are_no_business_of_the_monitors():
    loop = make_loop()
    asked = loop.metadata.model_copy(update={"annotations": {"driftloop.dev/retrain-requested-at": "now"}})
    changed = loop.model_copy(update={"metadata": asked})
    assert build_loop_config(changed, OWNER) == build_loop_config(loop, OWNER)


def rules_of(direction, loop=None, platform=PLATFORM):
    return build_network_policy(loop or make_loop(), platform, OWNER)["spec"][direction]


def test_every_pod_of_the_cluster_may_ask_for_predictions():
    [rule] = [one for one in rules_of("ingress") if one["ports"][0]["port"] == 3000]
    assert rule["from"] == [{"namespaceSelector": {}}]


def test_labels_are_taken_from_the_own_namespace_and_from_labelled_ones():
    [rule] = [one for one in rules_of("ingress") if one["ports"][0]["port"] == 8090]
    assert rule["from"] == [
        {"podSelector": {}},
        {"namespaceSelector": {"matchLabels": {"driftloop.dev/reaches-labels": "true"}}},
    ]


def test_pods_may_resolve_names():
    assert {(port["port"], port["protocol"]) for port in rules_of("egress")[0]["ports"]} == {(53, "UDP"), (53, "TCP")}


def test_pods_reach_the_api_server():
    assert 6443 in {port["port"] for rule in rules_of("egress") for port in rule.get("ports", ())}


def store_at(url):
    return PLATFORM.model_copy(update={"store": PLATFORM.store.model_copy(update={"endpoint_url": url})})


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        (
            "http://seaweedfs.storage:8333",
            {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "storage"}}}]},
        ),
        (
            "http://minio-service.kubeflow.svc.cluster.local:9000",
            {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kubeflow"}}}]},
        ),
        ("http://minio:9000", {"to": [{"podSelector": {}}]}),
        ("https://s3.eu-west-1.amazonaws.com", {"ports": [{"port": 443, "protocol": "TCP"}]}),
        ("https://example.com:9443", {"ports": [{"port": 9443, "protocol": "TCP"}]}),
        ("http://10.0.0.7:8333", {"ports": [{"port": 8333, "protocol": "TCP"}]}),
        ("", {"ports": [{"port": 443, "protocol": "TCP"}]}),
    ],
)
def test_pods_reach_the_object_store(url, rule):
    assert rule in rules_of("egress", platform=store_at(url))


def test_pods_reach_the_table_of_labels():
    loop = make_loop(monitoring={"labels": {"uri": "postgresql+psycopg://me@db.example.com/x", "query": "labels"}})
    assert {"ports": [{"port": 5432, "protocol": "TCP"}]} in rules_of("egress", loop)


def test_pods_reach_nothing_else():
    assert len(rules_of("egress")) == 3


def test_builders_share_no_state():
    before = json.dumps(make_deployment())
    for one in containers(make_deployment()["spec"]["template"]["spec"]):
        one["resources"]["limits"]["cpu"] = "9"
    assert json.dumps(make_deployment()) == before

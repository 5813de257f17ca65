"""What the access rules allow and what they don't, tried on a real API server with the rules in force."""

import pytest

from driftloop.adapters.kubeapi import KubeApi, RejectedError
from driftloop.adapters.lease import Lease
from driftloop.spec.modelloop import ModelLoop
from driftloop.workload import access
from driftloop.workload.owner import Owner
from driftloop.workload.rights import RBAC_RULES, AccessRole, Rule, permits
from tests.cluster.apiserver import ApiServer, install_definitions, new_namespace

SPEC = {"problem": {"task": "Classification"}, "data": {"uri": "s3://lake/a.csv", "targetColumn": "late"}}


def a_loop(namespace):
    metadata = {"namespace": namespace, "name": "flights"}
    return {"apiVersion": "driftloop.dev/v1alpha1", "kind": "ModelLoop", "metadata": metadata, "spec": SPEC}


def monitor_rules(namespace):
    """Return the rules of the Role that the workload gives its monitor."""
    loop = ModelLoop.model_validate(a_loop(namespace))
    role = access.build_role(loop, Owner("uid", "loop-uid"))
    return [
        Rule(
            rule["apiGroups"][0],
            tuple(rule["resources"]),
            tuple(rule["verbs"]),
            tuple(rule.get("resourceNames", ())),
        )
        for rule in role["rules"]
    ]


def test_the_operator_hands_on_no_right_that_it_lacks():
    for rule in monitor_rules("team"):
        for resource in rule.resources:
            for verb in rule.verbs:
                assert permits(RBAC_RULES[AccessRole.OPERATOR], verb, rule.group, resource), (verb, resource)


def test_the_monitors_role_is_what_the_monitor_needs():
    granted = {(v, rule.group, r) for rule in monitor_rules("team") for r in rule.resources for v in rule.verbs}
    needed = {(v, rule.group, r) for rule in RBAC_RULES[AccessRole.MONITOR] for r in rule.resources for v in rule.verbs}
    assert granted == needed


def test_nobody_reads_secrets_or_grants_at_large():
    for rules in RBAC_RULES.values():
        for rule in rules:
            assert "*" not in (rule.group, *rule.resources, *rule.verbs)
            assert not {"secrets", "clusterroles", "clusterrolebindings"} & set(rule.resources)
            assert not {"escalate", "bind", "impersonate"} & set(rule.verbs)


@pytest.fixture
def as_role(real_api_server: ApiServer, tmp_path):
    """Return the API as a user with a role's rules, and a namespace."""
    if real_api_server.real is None:
        pytest.skip("Rights of made-up users need an API server of the tests' own: set KUBEBUILDER_ASSETS.")
    install_definitions(real_api_server)
    with new_namespace(real_api_server) as namespace:

        def enter(name, rules) -> KubeApi:
            return real_api_server.connect(real_api_server.kubeconfig_of(tmp_path, name, rules, namespace))

        yield enter, namespace


def test_a_monitor_elects_and_reports_and_does_nothing_else(as_role):
    enter, namespace = as_role
    api = enter("monitor", monitor_rules(namespace))
    assert Lease(api, namespace, "flights-evaluator", "pod-a").hold()
    assert Lease(api, namespace, "flights-evaluator", "pod-a").hold()
    assert api.list("DriftReport", namespace) == []
    with pytest.raises(RejectedError, match=r"\(403\).*leases"):
        Lease(api, namespace, "other-loops-lease", "pod-a").hold()
    for kind in ("Secret", "ConfigMap", "Pod", "ModelLoop"):
        with pytest.raises(RejectedError, match=r"\(403\)"):
            api.list(kind, namespace)


def test_an_operator_makes_what_a_loop_needs_and_reads_no_secret(as_role):
    enter, namespace = as_role
    api = enter("operator", RBAC_RULES[AccessRole.OPERATOR])
    with pytest.raises(RejectedError, match=r"\(403\)"):
        api.create(a_loop(namespace))  # people create loops
    enter("editor", (Rule("driftloop.dev", ("modelloops",), ("create",)),)).create(a_loop(namespace))
    obj = api.patch("ModelLoop", namespace, "flights", {"metadata": {"finalizers": ["driftloop.dev/loop"]}})
    loop, owner = ModelLoop.model_validate(a_loop(namespace)), Owner(obj["metadata"]["uid"], "loop-uid")
    for built in (
        access.build_service_account(loop, owner),
        access.build_role(loop, owner),
        access.build_role_binding(loop, owner),
    ):
        api.apply(built)
    api.patch_status("ModelLoop", namespace, "flights", {"uid": "x"})
    api.emit_event(obj, reason="Seen", message="m")
    for kind in ("Deployment", "Job", "Service", "NetworkPolicy", "DriftReport", "RoleBinding", "Role"):
        api.delete_all(kind, namespace, {"driftloop.dev/loop": "flights"})
    for kind in ("Secret", "ClusterRole"):
        with pytest.raises(RejectedError, match=r"\(403\)"):
            api.list(kind, None)
    wide = access.build_role(loop, owner) | {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    with pytest.raises(RejectedError, match="attempting to grant RBAC permissions not currently held"):
        api.apply(wide)

"""Who may do what, by the chart."""

import pytest

from driftloop.workload.kinds import KINDS
from driftloop.workload.rights import AccessRole, policy_rules
from tests.chart.rendering import render_chart, the

pytestmark = pytest.mark.render
CLUSTER = {kind.plural for kind in KINDS.values() if not kind.is_namespaced}


def grants(rules):
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


WANTED = grants(policy_rules(AccessRole.OPERATOR))


def test_the_operator_has_what_its_adapter_needs_and_no_more():
    role = the(render_chart(), "ClusterRole")
    assert grants(role["rules"]) == WANTED
    binding = the(render_chart(), "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "driftloop", "namespace": "driftloop-system"}]
    assert not [d for d in render_chart() if d["kind"] == "Role" and d["metadata"]["name"] == "driftloop"]


def test_watched_namespaces_get_a_role_each_and_the_cluster_keeps_but_reading():
    documents = render_chart('json:watchNamespaces=["team-a","team-b"]')
    assert grants(the(documents, "ClusterRole")["rules"]) == {grant for grant in WANTED if grant[1] in CLUSTER}
    roles = {
        d["metadata"]["namespace"]: d for d in documents if d["kind"] == "Role" and d["metadata"]["name"] == "driftloop"
    }
    assert set(roles) == {"team-a", "team-b", "driftloop-system"}  # its own, for the Lease
    for role in roles.values():
        assert grants(role["rules"]) == {grant for grant in WANTED if grant[1] not in CLUSTER}
    bound = {
        d["metadata"]["namespace"]
        for d in documents
        if d["kind"] == "RoleBinding" and d["metadata"]["name"] == "driftloop"
    }
    assert bound == set(roles)


def test_the_operator_reads_no_secret():
    assert not [grant for grant in WANTED if grant[1] in ("secrets", "*") or grant[2] == "*"]


def test_the_operator_may_hand_on_what_it_gives_its_monitors():
    assert grants(policy_rules(AccessRole.MONITOR)) <= WANTED


def test_people_see_edit_and_approve_by_roles_of_their_own():
    documents = render_chart()
    viewer, editor, approver = (
        the(documents, "ClusterRole", f"driftloop-loop-{who}") for who in ("viewer", "editor", "approver")
    )
    assert {grant[2] for grant in grants(viewer["rules"])} == {"get", "list", "watch"}
    assert ("driftloop.dev", "modelloops", "create") in grants(editor["rules"])
    assert not [
        grant
        for grant in grants(editor["rules"])
        if grant[1].endswith("/status") and grant[2] not in ("get", "list", "watch")
    ]
    assert ("driftloop.dev", "modelloops", "approve") in grants(approver["rules"])
    assert "approve" not in {grant[2] for grant in grants(editor["rules"]) | grants(viewer["rules"])}


def test_viewers_and_editors_join_kubernetes_own_roles_and_approvers_never_do():
    aggregated = {
        d["metadata"]["name"]: sorted(
            label.rpartition("-")[2] for label in d["metadata"]["labels"] if "aggregate" in label
        )
        for d in render_chart()
        if d["kind"] == "ClusterRole" and d["metadata"]["name"].startswith("driftloop-loop")
    }
    assert aggregated == {
        "driftloop-loop-viewer": ["admin", "edit", "view"],
        "driftloop-loop-editor": ["admin", "edit"],
        "driftloop-loop-approver": [],
    }
    apart = [d for d in render_chart("userRoles.aggregate=false") if d["kind"] == "ClusterRole"]
    assert not [label for d in apart for label in d["metadata"]["labels"] if "aggregate" in label]
    assert not [d for d in render_chart("userRoles.create=false") if d["metadata"]["name"].startswith("driftloop-loop")]

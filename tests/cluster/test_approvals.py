"""Who approved is who the API server says it was: the admission policy, on a real API server."""

import time

import pytest

from driftloop.adapters.kubeapi import RejectedError
from driftloop.workload.approvalpolicy import APPROVE_VERB, approval_policy, approval_policy_binding
from driftloop.workload.names import APPROVE_ANNOTATION
from driftloop.workload.rights import Rule
from tests.cluster.apiserver import install_definitions, new_namespace, run_real

GROUP = "driftloop.dev"
SPEC = {"problem": {"task": "Classification"}, "data": {"uri": "energy.csv", "targetColumn": "high"}}
RUN_KEY = "0123456789ab"
USABLE = Rule(GROUP, ("modelloops",), ("get", "patch", "create", "delete"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real API server of its own: the policy would judge what other tests write."""
    with run_real(tmp_path_factory.mktemp("approvals")) as real:
        api = real.connect()
        install_definitions(real)
        api.apply(approval_policy())
        api.apply(approval_policy_binding())
        with new_namespace(real) as namespace:
            api.create(a_loop(namespace, "probe"))
            wait_until_enforced(api, namespace)
        yield real


def wait_until_enforced(api, namespace):
    deadline = time.monotonic() + 30
    while True:
        try:
            approve(api, namespace, f"{RUN_KEY}@nobody-{time.monotonic()}", name="probe")
        except RejectedError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def place(server):
    with new_namespace(server) as name:
        yield name


@pytest.fixture(scope="module")
def approver(server, place, tmp_path_factory):
    rules = [USABLE, Rule(GROUP, ("modelloops",), (APPROVE_VERB,))]
    return server.connect(server.kubeconfig_of(tmp_path_factory.mktemp("ana"), "ana", rules, place))


@pytest.fixture(scope="module")
def user(server, place, tmp_path_factory):
    """May change the loop in every way, and not approve."""
    return server.connect(server.kubeconfig_of(tmp_path_factory.mktemp("bob"), "bob", [USABLE], place))


@pytest.fixture
def loop(server, place, request):
    name = f"loop-{abs(hash(request.node.name)) % 10**8}"
    server.connect().create(a_loop(place, name))
    return name


def a_loop(place, name, **annotations):
    metadata = {"namespace": place, "name": name, "annotations": annotations}
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "ModelLoop", "metadata": metadata, "spec": SPEC}


def approve(api, place, value, *, name):
    return api.patch("ModelLoop", place, name, {"metadata": {"annotations": {APPROVE_ANNOTATION: value}}})


def account(place, name):
    return f"system:serviceaccount:{place}:{name}"


@pytest.mark.parametrize("challenger", [RUN_KEY, "sha256:" + "ab" * 32, "ab" * 32])
def test_who_may_approve_does_so_in_the_own_name(approver, place, loop, challenger):
    value = f"{challenger}@{account(place, 'ana')}"
    assert approve(approver, place, value, name=loop)["metadata"]["annotations"][APPROVE_ANNOTATION] == value


@pytest.mark.parametrize("name", ["bob", "", "system:admin"])
def test_nobody_approves_in_another_name(approver, place, loop, name):
    with pytest.raises(RejectedError, match=f"then @{account(place, 'ana')}: approve in your own name. Got {RUN_KEY}@"):
        approve(approver, place, f"{RUN_KEY}@{name}", name=loop)


@pytest.mark.parametrize("what", ["yes", "", "v2", f"{RUN_KEY} "])
def test_an_approval_names_what_is_approved(approver, place, loop, what):
    with pytest.raises(RejectedError, match="must be the run key or digest of the challenger"):
        approve(approver, place, f"{what}@{account(place, 'ana')}", name=loop)


def test_the_right_to_change_a_loop_is_not_the_right_to_approve(user, place, loop):
    with pytest.raises(
        RejectedError, match=f"must have the verb approve on modelloops.driftloop.dev to approve {loop}"
    ):
        approve(user, place, f"{RUN_KEY}@{account(place, 'bob')}", name=loop)


def test_an_approval_that_stands_hinders_nobody(approver, user, place, loop):
    value = f"{RUN_KEY}@{account(place, 'ana')}"
    approve(approver, place, value, name=loop)
    changed = user.patch("ModelLoop", place, loop, {"spec": {"suspend": True}})
    assert changed["metadata"]["annotations"][APPROVE_ANNOTATION] == value


def test_an_approval_may_be_taken_back_by_whoever_may_change_the_loop(approver, user, place, loop):
    approve(approver, place, f"{RUN_KEY}@{account(place, 'ana')}", name=loop)
    assert APPROVE_ANNOTATION not in approve(user, place, None, name=loop)["metadata"].get("annotations", {})


def test_a_loop_made_again_brings_no_approval_along(user, place):
    forged = a_loop(place, "again", **{APPROVE_ANNOTATION: f"{RUN_KEY}@{account(place, 'ana')}"})
    with pytest.raises(RejectedError, match="approve in your own name"):
        user.create(forged)


def test_other_annotations_are_free(user, place, loop):
    user.patch("ModelLoop", place, loop, {"metadata": {"annotations": {"driftloop.dev/rollback": "previous"}}})

"""What `helm uninstall` leaves: the custom resource definitions, because custom resources go with them."""

from tests.cluster_e2e.conftest import SYSTEM, delete_loops


def test_uninstall_leaves_the_definitions_alone(cluster, installed):
    delete_loops(cluster)
    cluster.helm("uninstall", "driftloop", "-n", SYSTEM, "--wait")
    assert cluster.get("crd", name="modelloops.driftloop.dev")
    left = cluster.kubectl(
        "get", "all,clusterroles,clusterrolebindings,validatingadmissionpolicies", "-A",
        "-l", "app.kubernetes.io/instance=driftloop", "-o", "name",
    )  # fmt: skip
    assert left.split() == []

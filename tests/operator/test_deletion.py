import pytest

from driftloop.operator.deletion import OWNED_KINDS, StillThereError, delete_loop
from tests.operator.world import NAME, A


def delete(world):
    delete_loop(world.surroundings, world.loop_object(), world.namespace, NAME)


def left(world):
    known = [kind for kind in OWNED_KINDS if kind != "ServiceMonitor"]  # whose definition is not installed
    return [kind for kind in known if world.api.list(kind, world.namespace, {"driftloop.dev/loop": NAME})]


def test_nothing_of_a_deleted_loop_is_left_in_the_cluster_and_its_history_stays(world):
    world.serve_first(serving={"minReplicas": 1, "maxReplicas": 3})
    world.drift()
    world.step()
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {}}
    world.api.create(lease | {"metadata": {"name": f"{NAME}-evaluator", "namespace": world.namespace}})
    assert len(left(world)) > 6

    delete(world)
    delete(world)

    assert left(world) == []
    assert world.api.get("Lease", world.namespace, f"{NAME}-evaluator") is None
    assert world.runs.cancelled[:1] == world.runs.started[1:]
    assert world.kinds()[-1] == "RunStarted"


def test_purge_removes_the_folder_once_the_pods_have_ended(world):
    world.serve_first(deletionPolicy="Purge")
    world.add_pod(A)

    with pytest.raises(StillThereError, match="1 of its pods"):
        delete(world)
    assert world.store.names(world.layout.root)

    for pod in world.api.list("Pod", world.namespace):
        world.api.delete("Pod", world.namespace, pod["metadata"]["name"])
    delete(world)
    assert world.store.names(world.layout.root) == []


def test_a_loop_whose_spec_can_t_be_read_is_deleted_too(world):
    world.serve_first()
    world.apply(problem={"task": "Magic"})

    delete(world)

    assert left(world) == []


def test_a_loop_made_again_under_its_name_goes_on_from_its_history(world):
    world.serve_first()
    delete(world)
    world.api.delete("ModelLoop", world.namespace, NAME)

    world.restart()
    world.apply()
    world.step()

    assert world.deployments() == [A[:12]]
    assert len(world.runs.started) == 1

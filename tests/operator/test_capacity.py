from driftloop.operator.capacity import Capacity
from driftloop.operator.looprun import LoopRun
from tests.cluster.apiserver import install_definitions
from tests.operator.world import NAME, World, make_spec


def test_no_more_runs_begin_than_allowed_and_the_others_say_why(fake_api_server, tmp_path):
    install_definitions(fake_api_server)
    world = World(fake_api_server, str(tmp_path / "store"), max_concurrent_runs=2)
    names = [f"loop-{number}" for number in range(4)]
    for name in names:
        obj = {"apiVersion": "driftloop.dev/v1alpha1", "kind": "ModelLoop", "spec": make_spec()}
        world.api.create(obj | {"metadata": {"name": name, "namespace": "default"}})
    runs = [LoopRun(world.surroundings, "default", name) for name in names]

    for run in runs:
        run.step()

    assert len(world.runs.started) == 2
    waiting = world.api.get("ModelLoop", "default", "loop-3")["status"]["waitingFor"][0]
    assert "2 runs are in progress in the cluster" in waiting
    assert "no model yet" in waiting

    world.restart()  # the next operator counts what the ledgers say
    runs = [LoopRun(world.surroundings, "default", name) for name in names]
    runs[3].step()
    assert len(world.runs.started) == 2

    world.fail_run("out of memory")
    runs[1].step()
    runs[3].step()
    assert len(world.runs.started) == 3


def test_a_loop_that_has_its_place_keeps_it():
    capacity = Capacity(1, lambda: [f"default/{NAME}"])

    assert capacity.take(f"default/{NAME}")
    assert not capacity.take("default/other")
    capacity.note(f"default/{NAME}", has_run=False)
    assert capacity.take("default/other")

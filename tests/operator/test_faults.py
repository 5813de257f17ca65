import pytest

from driftloop.adapters.kubeapi import ApiUnavailableError
from driftloop.loop.runner import RunnerUnavailableError
from tests.cluster.apiserver import install_definitions, run_fake
from tests.operator.faults import API_EFFECTS, RUNNER_EFFECTS, STORE_EFFECTS, Fault, KilledError
from tests.operator.world import A, B, World

MOST_EFFECTS = 200


def lose_reply(effect):
    if effect.startswith("KubeApi"):
        return ApiUnavailableError("fake", "the reply was lost")
    if effect.startswith("RunServer"):
        return RunnerUnavailableError("fake", "fake", "the reply was lost")
    return OSError("the reply was lost")


def kill(effect):
    return KilledError(effect)


def live(world, fault):
    """Let a loop live through its first training, a drift, a retraining and a rollback, struck by a fault once."""

    def begin():
        return world.restart(
            api=fault.watch(world.api, API_EFFECTS),
            store=fault.watch(world.store, STORE_EFFECTS),
            runner=fault.watch(world.runs, RUNNER_EFFECTS),
        )

    def settle():
        for _ in range(4):
            try:
                world.step()
            except KilledError:
                begin()

    begin()
    world.apply()
    settle()
    world.finish_run(A)
    settle()
    world.make_available(A)
    settle()
    name = world.drift()
    settle()
    world.finish_run(B)
    settle()
    world.make_available(B)
    settle()
    world.end_drain()
    settle()
    world.annotate(rollback="previous")
    settle()
    world.make_available(A)
    settle()
    world.end_drain()
    settle()
    return name


def outcome(world, report):
    status = world.status()
    return {
        "ledger": world.kinds(),
        "runs": len(world.runs.started),
        "keys": len(set(world.runs.started)),
        "served": world.served_version(),
        "deployments": world.deployments(),
        "champion": status["champion"]["version"],
        "conditions": [(one["type"], one["status"], one["reason"]) for one in status["conditions"]],
        "history": [line["entry"] for line in status["history"]],
        "decision": world.api.get("DriftReport", world.namespace, report)["status"]["decision"]["action"],
        "notices": world.store.names(world.layout.notices)[:7],
        "told": {reason for reason, _ in world.events()},
        "kinds": {
            kind: len(world.api.list(kind, world.namespace, {"driftloop.dev/loop": "wine"}))
            for kind in ("Deployment", "Service", "ServiceAccount", "ConfigMap", "Role", "RoleBinding", "DriftReport")
        },
    }


def live_once(folder, number, strike):
    folder.mkdir(parents=True)
    with run_fake(folder) as server:
        install_definitions(server)
        world, fault = World(server, str(folder / "store")), Fault(number, strike)
        report = live(world, fault)
        return outcome(world, report), fault


def strike_after_each(folder, strike, every):
    wanted, undisturbed = live_once(folder / "0", 0, strike)
    assert wanted["ledger"] == ["RunStarted", "RunFinished", "Promoted"] * 2 + ["RolledBack"]
    assert (wanted["runs"], wanted["served"], wanted["deployments"]) == (2, A[:12], [A[:12]])
    assert 40 < undisturbed.count < MOST_EFFECTS

    struck = set()
    for number in range(1, undisturbed.count + 1, every):
        found, fault = live_once(folder / str(number), number, strike)
        assert fault.struck, number
        assert found == wanted, f"after effect {number}, {fault.struck}"
        struck.add(fault.struck)
    return struck


@pytest.mark.parametrize("strike", [kill, lose_reply])
def test_the_end_is_the_same_after_some_effect_at_which_the_operator_is_cut_off(tmp_path, strike):
    assert len(strike_after_each(tmp_path, strike, 17)) > 2


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("strike", [kill, lose_reply])
def test_the_end_is_the_same_after_whichever_effect_the_operator_is_cut_off(tmp_path, strike):
    struck = strike_after_each(tmp_path, strike, 1)

    assert {"KubeApi.apply", "FsspecStore.create", "RunServer.start", "KubeApi.patch_status"} <= struck

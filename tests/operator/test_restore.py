from tests.cluster.apiserver import install_definitions, run_fake
from tests.operator.world import A, B, World


def test_a_wiped_status_comes_back_the_same_and_nothing_runs(world):
    world.serve_first()
    world.write_state()
    world.steps(2)
    before = world.status()
    world.api.patch_status("ModelLoop", world.namespace, "wine", dict.fromkeys(before))
    assert world.status() == {}

    world.restart()
    world.steps(3)

    after = world.status()
    assert after["champion"] == before["champion"]
    assert after["uid"] == before["uid"]
    assert len(world.runs.started) == 1
    undated = [{k: v for k, v in one.items() if k != "lastTransitionTime"} for one in after["conditions"]]
    assert undated == [{k: v for k, v in one.items() if k != "lastTransitionTime"} for one in before["conditions"]]


def test_a_loop_restored_in_another_cluster_keeps_its_champion_and_starts_no_run(world, tmp_path):
    world.serve_first()
    world.write_state()
    world.step()
    told = world.store.names(world.layout.notices)
    uid, object_uid = world.status()["uid"], world.loop_object()["metadata"]["uid"]

    with run_fake(tmp_path) as server:
        install_definitions(server)
        elsewhere = World(server, world.settings.platform.store.uri)
        elsewhere.apply()
        assert elsewhere.loop_object()["metadata"]["uid"] != object_uid
        elsewhere.step()
        elsewhere.make_available(A)
        elsewhere.steps(3)

        assert elsewhere.status()["uid"] == uid
        assert elsewhere.status()["champion"]["version"] == A[:12]
        assert elsewhere.served_version() == A[:12]
        assert elsewhere.runs.started == []
        assert elsewhere.kinds() == ["RunStarted", "RunFinished", "Promoted"]
        assert elsewhere.store.names(elsewhere.layout.notices) == told
        assert elsewhere.events() == []


def test_a_hole_in_the_ledger_is_told_and_nothing_is_decided(world):
    world.serve_first()
    world.store.remove(f"{world.layout.ledger}/0000000002.json")

    world.restart()
    world.steps(2)

    assert world.condition("Reconciling")["reason"] == "DamagedLedger"
    assert "Entry 2" in world.condition("Reconciling")["message"]
    assert len(world.runs.started) == 1


def test_of_two_operators_that_append_the_second_decides_again(world):
    world.serve_first()
    first = world.run
    second = world.restart()
    second.step()
    name = world.drift()

    first.step()
    second.step()
    first.step()

    started = [entry for entry in world.entries() if entry.entry == "RunStarted"]
    assert [entry.report for entry in started] == ["", name]
    assert len(world.runs.started) == 2


def test_an_operator_that_was_overtaken_starts_no_second_run(world):
    world.serve_first()
    first = world.run
    second = world.restart()
    second.step()
    world.drift()
    record = first._record

    def record_late(entry):
        second.step()  # is quicker between the decision and the append
        record(entry)

    first._record = record_late
    first.step()
    first._record = record
    first.step()
    assert world.kinds().count("RunStarted") == 2
    assert len(world.runs.started) == 2


def test_another_operators_promotion_is_followed(world):
    world.serve_first()
    first = world.run
    world.drift()
    second = world.restart()
    second.step()
    world.finish_run(B)
    second.step()
    world.make_available(B)
    second.step()

    first.step()

    assert world.served_version() == B[:12]
    assert world.kinds().count("Promoted") == 2

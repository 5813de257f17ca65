from driftloop.spec import VerdictKind
from tests.operator.world import HOUR, A


def decision(world, name):
    return world.api.get("DriftReport", world.namespace, name)["status"]["decision"]


def test_a_held_back_report_says_so_and_later_names_its_run(world):
    world.serve_first()
    world.windows += 1
    world.write_state(labelled_rows=10)
    name = world.report(world.make_verdict(at=world.now() + HOUR))
    world.steps(2)
    held = decision(world, name)
    assert held["action"] == "Hold"
    assert "10 labelled rows of the 100 needed" in held["reason"]
    assert world.kinds()[-1] == "RunHeld"

    world.write_state(labelled_rows=500)
    world.step()

    assert decision(world, name)["action"] == "StartRun"


def test_a_data_fault_is_quarantined_and_trains_nothing(world):
    world.serve_first()
    name = world.drift(kind=VerdictKind.DATA_FAULT)

    world.steps(2)

    assert decision(world, name)["action"] == "Quarantine"
    assert len(world.runs.started) == 1
    assert world.condition("Drifted")["reason"] == "DataFault"


def test_the_end_of_an_episode_needs_nothing(world):
    world.serve_first()
    world.drift()
    world.step()
    name = world.drift(kind=VerdictKind.STABLE)

    world.step()

    assert decision(world, name)["action"] == "None"


def test_a_second_report_of_an_episode_names_the_run_that_answers_it(world):
    world.serve_first()
    first = world.drift()
    world.step()
    second = world.drift(kind=VerdictKind.PERFORMANCE_DROP)

    world.step()

    assert decision(world, second)["runKey"] == decision(world, first)["runKey"]
    assert len(world.runs.started) == 2


def test_old_reports_go_but_none_of_the_open_episode(world):
    world.serve_first(monitoring={"window": {"duration": "1h"}, "reportHistoryLimit": 2})
    quiet = [world.drift(kind=VerdictKind.STABLE), world.drift(kind=VerdictKind.STABLE)]
    episode = [world.drift() for _ in range(3)]

    world.steps(2)

    left = [one["metadata"]["name"] for one in world.api.list("DriftReport", world.namespace)]
    assert sorted(left) == sorted(episode)
    assert not set(quiet) & set(left)


def test_a_report_about_a_model_that_serves_no_more_needs_nothing(world):
    world.serve_first()

    name = world.drift(digest="e" * 64)
    world.step()

    assert decision(world, name)["action"] == "None"
    assert "v1 does" in decision(world, name)["reason"]
    assert world.status()["champion"]["version"] == A[:12]

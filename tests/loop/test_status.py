from driftloop.loop.decisions import Facts, Wait
from driftloop.loop.history import RunHeld, Started, replay
from driftloop.loop.status import project_status
from tests.loop.conftest import START, make_loop


def shown_history(entries):
    status = project_status(
        make_loop(), replay(entries), Facts(loop_uid="uid"), Wait(()), now=START, settled_through=None,
        serving=True, watching=True, recent=entries, log={}, labels={}, run_stage="", addresses={},
    )  # fmt: skip
    return [entry["entry"] for entry in status["history"]]


def test_many_starts_in_a_row_are_shown_once_and_push_nothing_out():
    start, held = Started(at=START, driftloop_version="1"), RunHeld(at=START, run_key="k", reason="cooldown")
    assert shown_history([start, held, *[start] * 20]) == ["Started", "RunHeld", "Started"]

"""How much a rerun tries: one step further each time that the step before was not accepted."""

from datetime import UTC, datetime, timedelta

import pytest

from driftloop.loop.basis import Basis
from driftloop.loop.decisions import StartRun
from driftloop.loop.history import Promoted, Rejected, RunFinished, RunStarted, model_of, replay
from driftloop.loop.ladder import with_effort
from driftloop.loop.recording import entry_of
from driftloop.loop.telling import tell
from driftloop.spec import RunVerdict
from tests.loop.conftest import make_loop, make_result

START = datetime(2024, 1, 1, tzinfo=UTC)
BASIS = Basis(groups={"training": "a"}, content="d")  # as `make_result` saw it


class Story:
    """A loop with a champion, and what became of the runs since."""

    def __init__(self, **spec) -> None:
        self.entries: list = []
        self.spec = make_loop(**spec).spec
        self.run("first", promote=True)

    @property
    def state(self):
        return replay(self.entries)

    def at(self) -> datetime:
        return START + timedelta(hours=len(self.entries))

    def order(self, key: str = "next", *, basis: Basis = BASIS, **fields) -> StartRun:
        run = StartRun(key, "drift", **{"from_log": True, **fields})
        return with_effort(self.spec, self.state, run, basis)

    def run(self, key: str, *, verdict=RunVerdict.ACCEPTED, promote: bool = False, digest: str = "") -> None:
        order = self.order(key)
        self.entries.append(entry_of(order, self.state, self.at(), data_uri="x").model_copy(update={"basis": BASIS}))
        result = make_result(key, verdict=verdict, digest=digest or key.ljust(64, "0"))
        self.entries.append(RunFinished(at=self.at(), run_key=key, result=result))
        model = model_of(self.state.run(key), result)
        self.entries.append(
            Promoted(at=self.at(), model=model, reason="")
            if promote
            else Rejected(at=self.at(), run_key=key, reason="worse")
        )

    def fail(self, key: str) -> None:
        self.run(key, verdict=RunVerdict.REJECTED)


def test_a_first_model_and_other_pipelines_have_no_rung():
    assert Story().entries[0].effort is None
    assert Story().order(pipeline="adoption").effort is None


def test_a_rerun_climbs_only_while_the_step_before_is_not_accepted():
    story = Story()
    efforts = []
    for key in ("b", "c", "d", "e"):
        efforts.append(story.order().effort)
        story.fail(key)
    assert efforts == ["Refit", "Tune", "Widen", "Widen"]
    assert "v4 (Widen) was not accepted" in story.order().effort_reason
    story.run("f", promote=True)
    assert story.order().effort == "Refit"


def test_a_run_that_was_set_aside_or_failed_for_other_reasons_is_no_step():
    story = Story()
    story.run("b")  # accepted, and turned down because a person wanted another
    assert story.order().effort == "Refit"
    key, number = "c", len(story.state.runs) + 1
    story.entries.append(RunStarted(at=story.at(), run_key=key, number=number, reason="", data_uri="x", effort="Refit"))
    story.entries.append(RunFinished(at=story.at(), run_key=key, error="no disk"))
    assert story.order().effort == "Refit"


def test_the_champion_once_more_counts_as_not_accepted():
    story = Story()
    story.run("b", digest="first".ljust(64, "0"))
    assert story.order().effort == "Tune"


def test_a_changed_file_is_tuned_and_unchanged_data_are_not_refitted():
    story = Story()
    changed = Basis(groups={"training": "b"}, content="d")
    assert story.order(basis=changed, from_log=False).effort == "Tune"
    assert story.order(basis=changed).effort_reason.startswith("the file changed")
    again = story.order(from_log=False)
    assert again.effort == "Tune"
    assert "nothing is new" in again.effort_reason
    newer = Basis(groups={"training": "a"}, content="2")
    assert story.order(basis=newer, from_log=False).effort == "Refit"


@pytest.mark.parametrize("effort", ["Refit", "Tune", "Widen"])
def test_the_file_can_fix_the_rung(effort):
    story = Story(training={"effort": effort})
    assert story.order().effort == effort
    assert "spec.training.effort" in story.order().effort_reason


def test_runs_from_before_there_were_rungs_were_tuned():
    story = Story()
    story.fail("b")
    story.entries = [
        entry.model_copy(update={"effort": None}) if isinstance(entry, RunStarted) else entry for entry in story.entries
    ]
    assert story.order().effort == "Widen"


def test_the_rung_is_told_with_its_reason():
    story = Story()
    story.fail("b")
    entry = entry_of(story.order(), story.state, story.at(), data_uri="x")
    assert "[Tune: v2 (Refit) was not accepted: hyperparameters are tuned]" in tell(entry)

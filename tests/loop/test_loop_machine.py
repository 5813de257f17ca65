"""Any order of verdicts, run ends, restarts and clock steps keeps the loop's promises."""

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from driftloop.loop.decide import decide
from driftloop.loop.decisions import Facts, Hold, Promote, Quarantine, Reject, StartRun
from driftloop.loop.history import (
    LEDGER_ENTRY,
    Promoted,
    Quarantined,
    Rejected,
    RunFinished,
    RunHeld,
    RunStarted,
    Started,
    replay,
)
from driftloop.spec import ReportKind, RunVerdict, VerdictKind
from tests.loop.conftest import START, WEEK, make_loop, make_result, make_verdict


class LoopMachine(RuleBasedStateMachine):
    """A loop whose world is driven at random; its only memory is the ledger."""

    def __init__(self):
        super().__init__()
        self.spec = make_loop().spec
        self.entries = []
        self.verdicts = []
        self.week = 0
        self.digests = 0
        self.rejected_digests = set()

    @property
    def now(self):
        return START + self.week * WEEK

    @property
    def state(self):
        return replay(self.entries)

    @rule(kind=st.sampled_from(list(ReportKind)), verdict=st.sampled_from(list(VerdictKind)))
    def a_window_is_judged(self, kind, verdict):
        champion = self.state.champion
        version = champion.version if champion else "none"
        self.verdicts.append(make_verdict(self.week, verdict, version=version, kind=kind))
        self.week += 1

    @precondition(lambda self: self.state.open_run)
    @rule(outcome=st.sampled_from(["accepted", "rejected", "failed"]))
    def the_run_ends(self, outcome):
        run = self.state.open_run
        if outcome == "failed":
            self.entries.append(RunFinished(at=self.now, run_key=run.run_key, error="it broke"))
            return
        self.digests += 1
        digest = f"{self.digests:064x}"[::-1]
        verdict = RunVerdict.ACCEPTED if outcome == "accepted" else RunVerdict.REJECTED
        if outcome == "rejected":
            self.rejected_digests.add(digest)
        result = make_result(run.run_key, digest=digest, verdict=verdict)
        self.entries.append(RunFinished(at=self.now, run_key=run.run_key, result=result))

    @rule()
    def the_controller_restarts(self):
        lines = [LEDGER_ENTRY.dump_json(entry) for entry in self.entries]
        self.entries = [LEDGER_ENTRY.validate_json(line) for line in lines]
        self.entries.append(Started(at=self.now, driftloop_version="1"))

    @rule(labelled=st.sampled_from([0, 5000]))
    def the_loop_decides(self, labelled):
        facts = Facts(loop_uid="uid", verdicts=tuple(self.verdicts), labelled_rows=labelled)
        decision = decide(self.spec, self.state, facts, self.now)
        match decision:
            case StartRun():
                state = self.state
                first = state.champion is None
                assert first or labelled >= self.spec.data.min_rows
                self.entries.append(
                    RunStarted(
                        at=self.now,
                        run_key=decision.run_key,
                        number=state.next_number,
                        reason=decision.reason,
                        data_uri="x",
                        data_through=None if first else self.now,
                    )
                )
            case Promote():
                self.entries.append(Promoted(at=self.now, model=decision.model, reason=decision.reason))
            case Reject():
                self.entries.append(
                    Rejected(at=self.now, run_key=decision.model.result.run_key, reason=decision.reason)
                )
            case Quarantine():
                window = decision.verdict.window
                assert window.start not in self.state.quarantined
                self.entries.append(
                    Quarantined(at=self.now, window_start=window.start, window_end=window.end, reason=decision.reason)
                )
            case Hold():
                assert decision.run_key not in self.state.held, "a hold is recorded once"
                self.entries.append(RunHeld(at=self.now, run_key=decision.run_key, reason=decision.reason))

    @invariant()
    def no_run_key_is_used_twice(self):
        assert len(self.state.run_keys) == len(self.state.runs)

    @invariant()
    def at_most_one_run_is_open(self):
        open_runs = len(self.state.runs) - sum(isinstance(entry, RunFinished) for entry in self.entries)
        assert open_runs == (1 if self.state.open_run else 0)

    @invariant()
    def no_rejected_model_ever_serves(self):
        champion = self.state.champion
        assert champion is None or champion.result.bento_digest not in self.rejected_digests

    @invariant()
    def retrainings_keep_the_cooldown(self):
        times = [run.at for run in self.state.runs if run.data_through]
        assert all(later - earlier >= self.spec.retraining.cooldown for earlier, later in pairwise(times))


TestLoopMachine = LoopMachine.TestCase
TestLoopMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

"""Any order of verdicts, run ends, requests, changes, restarts and clock steps keeps the loop's promises."""

from collections import Counter
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from driftloop.loop.basis import basis_of
from driftloop.loop.decide import decide
from driftloop.loop.decisions import (
    Facts,
    Hold,
    Promote,
    Quarantine,
    RollBack,
    StartRun,
    Wait,
)
from driftloop.loop.episodes import episode_key, open_episodes
from driftloop.loop.history import LEDGER_ENTRY, Answer, RunFinished, Started, replay
from driftloop.loop.quiet import active_mutes
from driftloop.loop.recording import entry_of
from driftloop.loop.requests import Acknowledge, Approve, Mute, Record, Request, Retrain, Rollback, Unmute
from driftloop.loop.tenure import served_at, tenures
from driftloop.spec import Harm, ReportKind, RunVerdict, Trigger, VerdictKind
from tests.loop.conftest import START, WEEK, make_loop, make_result, make_verdict

CRITERIA = {"task": "Classification", "successCriteria": [{"name": "profit", "goal": 1}]}


class LoopMachine(RuleBasedStateMachine):
    """A loop whose world is driven at random; its only memory is the ledger."""

    def __init__(self):
        super().__init__()
        self.trials, self.approval, self.suspend = 30, "Automatic", False
        self.content = 0
        self.entries = []
        self.verdicts = []
        self.requests = []
        self.week = 0
        self.rejected_digests = set()

    @property
    def spec(self):
        return make_loop(
            problem=CRITERIA,
            training={"maxTrialCount": self.trials},
            promotion={"approval": self.approval},
            retraining={"triggers": list(Trigger), "cooldown": "14d", "limit": {"max": 2, "per": "60d"}},
            suspend=self.suspend,
        ).spec

    @property
    def basis(self):
        return basis_of(self.spec, f"content-{self.content}")

    @property
    def now(self):
        return START + self.week * WEEK

    @property
    def state(self):
        return replay(self.entries)

    @initialize(serves=st.booleans())
    def a_model_may_serve_already(self, serves):
        if serves:
            self.decide_once(5000)
            self.the_run_ends("accepted")
            self.decide_once(5000)

    @rule(
        kind=st.sampled_from(list(ReportKind)),
        verdict=st.sampled_from([*VerdictKind, *[VerdictKind.COVARIATE_DRIFT] * 5]),
        harm=st.sampled_from([None, *Harm, Harm.HARMLESS]),
        expected=st.sampled_from(["", "", "a season"]),
    )
    def a_window_is_judged(self, kind, verdict, harm, expected):
        champion = self.state.champion
        version = champion.version if champion else "none"
        judged = make_verdict(self.week, verdict, version=version, kind=kind)
        if verdict is VerdictKind.COVARIATE_DRIFT:
            judged = judged.model_copy(update={"harm": harm, "expected": expected if harm is not Harm.HARMFUL else ""})
        self.verdicts.append(judged)
        self.week += 1

    @precondition(lambda self: self.state.champion and not self.state.open_run and not self.state.candidate)
    @rule(harm=st.sampled_from([None, *Harm]), expected=st.sampled_from(["", "", "a season"]))
    def the_inputs_drift_and_the_loop_decides(self, harm, expected):
        self.a_window_is_judged(ReportKind.INPUTS, VerdictKind.COVARIATE_DRIFT, harm, expected)
        for _ in range(len(self.requests) + 2):  # what people asked is answered first
            self.decide_once(5000)

    @precondition(lambda self: self.state.open_run)
    @rule(outcome=st.sampled_from(["accepted", "accepted", "one known before", "rejected", "failed"]))
    def the_run_ends(self, outcome):
        run = self.state.open_run
        if outcome == "failed":
            self.entries.append(RunFinished(at=self.now, run_key=run.run_key, error="it broke"))
            return
        digest = f"{len(self.entries) + 1:064x}"[::-1]
        if outcome == "one known before" and self.state.served:
            withdrawn = [model for model in self.state.served if model.version in self.state.withdrawn]
            digest = (withdrawn or self.state.served)[0].result.bento_digest
        verdict = RunVerdict.REJECTED if outcome == "rejected" else RunVerdict.ACCEPTED
        if outcome == "rejected":
            self.rejected_digests.add(digest)
        result = make_result(run.run_key, digest=digest, verdict=verdict)
        if run.basis:
            result = result.model_copy(update={"data_digest": run.basis.content})
        self.entries.append(RunFinished(at=self.now, run_key=run.run_key, result=result))

    @rule(trials=st.sampled_from([30, 40]))
    def the_file_is_edited(self, trials):
        self.trials = trials

    @rule(content=st.integers(0, 2))
    def the_data_change(self, content):
        self.content = content

    @rule(approval=st.sampled_from(["Automatic", "Manual"]), suspend=st.booleans())
    def the_rules_change(self, approval, suspend):
        self.approval, self.suspend = approval, suspend

    @rule(
        verb=st.sampled_from(
            ["retrain", "retrain", "rollback", "rollback", "v1", "approve", "record", "record wrongly"]
        )
    )
    def a_person_asks(self, verb):
        candidate = self.state.candidate
        action = {
            "retrain": Retrain(),
            "rollback": Rollback(),
            "v1": Rollback(model="v1"),
            "approve": Approve(run_key=candidate.result.run_key if candidate else "none"),
            "record": Record(name="profit", value=1, measured_at=self.now),
            "record wrongly": Record(name="loss", value=1, measured_at=self.now),
        }[verb]
        self.requests.append(Request(id=f"r{len(self.requests)}", at=self.now, by="ada", action=action))

    @rule(
        verb=st.sampled_from(["mute", "mute wrongly", "unmute", "acknowledge"]),
        kind=st.sampled_from(["", "CovariateDrift", "ConceptDrift"]),
        weeks=st.integers(-1, 4),
    )
    def a_person_wants_silence(self, verb, kind, weeks):
        action = {
            "mute": Mute(until=(self.now + weeks * WEEK).isoformat(), kind=kind, reason="we know"),
            "mute wrongly": Mute(until="soon", kind=kind, reason="we know"),
            "unmute": Unmute(kind=kind),
            "acknowledge": Acknowledge(report="newest", reason="we know"),
        }[verb]
        self.requests.append(Request(id=f"r{len(self.requests)}", at=self.now, by="ada", action=action))

    @rule()
    def the_controller_restarts(self):
        lines = [LEDGER_ENTRY.dump_json(entry) for entry in self.entries]
        self.entries = [LEDGER_ENTRY.validate_json(line) for line in lines]
        self.entries.append(Started(at=self.now, driftloop_version="1"))

    @rule(labelled=st.sampled_from([0, 10, 5000, 5000, 5000]), times=st.integers(1, 4))
    def the_loop_decides(self, labelled, times):
        for _ in range(times):
            self.decide_once(labelled)

    @rule(labelled=st.sampled_from([0, 10, 5000]))
    def the_controller_is_killed_before_its_entry_is_on_disk(self, labelled):
        self.decide_once(labelled, died=True)

    def decide_once(self, labelled, *, died=False):
        facts = Facts(
            loop_uid="uid",
            verdicts=tuple(self.verdicts),
            labelled_rows=labelled,
            requests=tuple(self.requests),
            basis=self.basis,
        )
        decision = decide(self.spec, self.state, facts, self.now)
        assert decision == decide(self.spec, self.state, facts, self.now), "the same facts, the same decision"
        self.check(decision, labelled)
        if not isinstance(decision, Wait) and not died:
            self.entries.append(entry_of(decision, self.state, self.now, data_uri="x"))

    def check(self, decision, labelled):
        state = self.state
        match decision:
            case StartRun(from_log=True):
                assert labelled >= self.spec.data.min_rows
                assert decision.request or self.counts(decision), "what is quiet or harmless starts nothing"
            case StartRun(request=None) if state.champion:
                assert decision.basis.key not in state.learned, "one run for each basis, however often it comes back"
            case Promote() | StartRun():
                assert not (self.suspend and state.champion)
            case RollBack():
                assert decision.model.version in {model.version for model in state.served}
                assert decision.model.version != state.champion.version
            case Quarantine():
                assert decision.verdict.window.start not in state.quarantined
            case Hold():
                assert decision.run_key not in state.held, "a hold is recorded once"

    def counts(self, decision):
        """Whether some open episode calls for this run, told anew from the verdicts and the ledger."""
        state, found = self.state, []
        for episode in open_episodes(state, self.verdicts):
            newest = episode[-1]
            muted = {mute.kind for mute in active_mutes(state, self.now)} & {None, newest.verdict}
            if episode_key("uid", episode[0]) == decision.run_key:
                found.append(newest.harm is not Harm.HARMLESS and not newest.expected and not muted)
        return any(found) and decision.run_key not in state.acknowledged

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
    def drift_keeps_the_cooldown(self):
        runs = self.state.runs
        for before, run in pairwise(runs[1:]):
            asked_or_edited = run.by or run.basis
            assert asked_or_edited or run.at - before.at >= self.spec.retraining.cooldown

    @invariant()
    def every_request_is_answered_at_most_once_and_none_is_made_up(self):
        answers = Counter(entry.request_id for entry in self.entries if isinstance(entry, Answer) and entry.request_id)
        assert set(answers.values()) <= {1}
        assert set(answers) <= {request.id for request in self.requests}

    @invariant()
    def the_newest_tenure_is_the_champions(self):
        champion, found = self.state.champion, tenures(self.entries)
        assert (found[-1].version if found else None) == (champion.version if champion else None)
        assert served_at(self.entries, self.now) == (found[-1] if found else None)

    def teardown(self):
        """Left alone, the loop answers everything that was asked."""
        for _ in range(3 * len(self.requests) + 5):
            if self.state.open_run:
                self.the_run_ends("failed")
            self.decide_once(5000)
        assert self.state.handled == {request.id for request in self.requests}


TestLoopMachine = LoopMachine.TestCase
TestLoopMachine.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)

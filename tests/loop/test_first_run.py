"""What a loop without a model runs first: training, adoption or a proof of concept; and when that is over."""

import json

import pytest

from driftloop.loop.basis import basis_of
from driftloop.loop.decide import decide
from driftloop.loop.decisions import Facts, Promote, StartRun, Wait
from driftloop.loop.history import FeasibilityJudged, RunFinished, replay
from driftloop.loop.maturity import SMALL_TRIAL_COUNT, with_small_budget
from driftloop.loop.recording import entry_of
from driftloop.loop.telling import links, tell
from driftloop.spec import FeasibilityResult, FeasibilityVerdict
from tests.loop.conftest import START, make_loop, make_result

CONCEPT = {"maturity": "ProofOfConcept"}


def facts(loop, content="c"):
    return Facts(loop_uid="uid", basis=basis_of(loop.spec, content))


def judged(run_key, verdict=FeasibilityVerdict.NO_GO):
    result = FeasibilityResult(
        loop="flight-delays",
        run_key=run_key,
        verdict=verdict,
        reasons=("Not held: roc_auc 0.51.",),
        advice=(),
        algorithm="Linear",
        metric="roc_auc",
        test_score=0.51,
        data_digest="c",
        rows=100,
        run_id="r",
    )
    return FeasibilityJudged(at=START, run_key=run_key, result=result, report="runs/k/feasibility.html")


def first_run(loop):
    decision = decide(loop.spec, replay([]), facts(loop), START)
    return entry_of(decision, replay([]), START, data_uri="x")


@pytest.mark.parametrize(
    ("spec", "pipeline", "reason"),
    [
        ({}, "training", "no model yet"),
        ({"model": {"uri": "given"}}, "adoption", "no model yet, and there is one at given"),
        (CONCEPT, "feasibility", "a proof of concept is wanted"),
    ],
)
def test_the_file_says_which_pipeline_runs_first(spec, pipeline, reason):
    decision = decide(make_loop(**spec).spec, replay([]), facts(make_loop(**spec)), START)
    assert isinstance(decision, StartRun)
    assert decision.pipeline == pipeline
    assert decision.reason.startswith(reason)


def test_an_adopted_model_is_promoted_like_any_first_model():
    loop = make_loop(model={"uri": "given"})
    run = first_run(loop)
    assert tell(run).startswith("adopting v1")
    entries = [run, RunFinished(at=START, run_key=run.run_key, result=make_result(run.run_key, digest="b" * 64))]
    assert isinstance(decide(loop.spec, replay(entries), facts(loop), START), Promote)


@pytest.mark.parametrize("verdict", FeasibilityVerdict)
def test_a_judged_proof_of_concept_is_over_and_promotes_nothing(verdict):
    loop = make_loop(**CONCEPT)
    run = first_run(loop)
    state = replay([run, judged(run.run_key, verdict)])
    assert state.open_run is None
    assert state.candidate is None
    decision = decide(loop.spec, state, facts(loop), START)
    assert isinstance(decision, Wait)
    assert decision.is_over
    assert not decision.stalled


def test_new_data_are_judged_again():
    loop = make_loop(**CONCEPT)
    run = first_run(loop)
    decision = decide(loop.spec, replay([run, judged(run.run_key)]), facts(loop, "other"), START)
    assert isinstance(decision, StartRun)
    assert decision.pipeline == "feasibility"
    assert decision.run_key != run.run_key


def test_after_a_go_the_same_file_in_production_trains():
    loop = make_loop(**CONCEPT)
    run = first_run(loop)
    state = replay([run, judged(run.run_key, FeasibilityVerdict.GO)])
    decision = decide(make_loop().spec, state, facts(make_loop()), START)
    assert isinstance(decision, StartRun)
    assert decision.pipeline == "training"


def test_the_history_tells_verdict_and_page():
    entry = judged("k")
    assert tell(entry) == "proof of concept (run k) judged NoGo: Not held: roc_auc 0.51."
    assert links(entry) == {"run": "k", "report": "runs/k/feasibility.html"}
    assert json.loads(entry.model_dump_json(by_alias=True))["entry"] == "FeasibilityJudged"


def test_a_proof_of_concept_has_a_small_budget_unless_the_file_says_otherwise():
    assert with_small_budget(make_loop(**CONCEPT)).spec.training.max_trial_count == SMALL_TRIAL_COUNT
    explicit = make_loop(**CONCEPT, training={"maxTrialCount": 30})
    assert with_small_budget(explicit).spec.training.max_trial_count == 30
    assert with_small_budget(make_loop()).spec.training.max_trial_count == 30

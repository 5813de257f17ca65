from datetime import timedelta

import pytest

from driftloop.adapters.objectstore import FsspecStore
from driftloop.spec import AcceptanceSpec, Comparison, RunResult, RunVerdict
from driftloop.stages.records import ChampionComparison, Evaluation
from driftloop.stages.register import ResultExistsError, RunFacts, build_result, judge, write_result

EVALUATION = Evaluation(
    algorithm="Linear",
    params={"C": 1.0},
    metric="roc_auc",
    score=0.7,
    standard_error=0.01,
    train_score=0.85,
    validation_score=0.72,
    metrics={"roc_auc": 0.7},
    test_rows=500,
)


def against(difference: float, lower: float) -> ChampionComparison:
    return ChampionComparison(
        comparison=Comparison(
            metric="roc_auc",
            champion=0.7 - difference,
            challenger=0.7,
            difference=difference,
            lower=lower,
            upper=difference + 0.02,
            rows=400,
        )
    )


@pytest.mark.parametrize(
    ("rule", "verdict", "reason"),
    [
        ((ChampionComparison(), {}, None, 0.01), RunVerdict.ACCEPTED, "it is the first model"),
        ((ChampionComparison(), {}, 0.7, 0.01), RunVerdict.ACCEPTED, "Held: roc_auc 0.7000"),
        ((ChampionComparison(), {}, 0.71, 0.01), RunVerdict.REJECTED, "Not held: roc_auc 0.7000"),
        ((against(0.03, 0.01), {}, None, 0.01), RunVerdict.ACCEPTED, "difference +0.0300"),
        ((against(0.03, -0.01), {}, None, 0.01), RunVerdict.REJECTED, "interval above 0 wanted"),
        ((against(0.0, -0.01), {"championComparison": "NotWorse"}, None, 0.01), RunVerdict.ACCEPTED, "at least 0"),
        ((against(-0.01, -0.02), {"championComparison": "NotWorse"}, None, 0.01), RunVerdict.REJECTED, "at least 0"),
        ((ChampionComparison(failure="no rows"), {}, None, 0.01), RunVerdict.REJECTED, "Not held: no rows."),
        ((ChampionComparison(), {"maxGeneralizationGap": 0.1}, None, 0.01), RunVerdict.REJECTED, "0.1500 higher"),
        ((ChampionComparison(), {"maxLatency": "50ms"}, None, 0.01), RunVerdict.ACCEPTED, "10.0 ms (p95)"),
        ((ChampionComparison(), {"maxLatency": "50ms"}, None, 0.06), RunVerdict.REJECTED, "60.0 ms (p95)"),
    ],
)
def test_every_rule_is_applied_and_told(rule, verdict, reason):
    against_champion, acceptance, threshold, latency = rule
    spec = AcceptanceSpec.model_validate(acceptance)
    judgement = judge(EVALUATION, against_champion, spec, threshold=threshold, latency_seconds=latency)
    assert judgement.verdict is verdict
    assert any(reason in text for text in judgement.reasons)


def test_the_result_is_written_once(tmp_path):
    facts = RunFacts(
        loop="flights",
        run_key="k",
        run_id="1",
        bento_tag="flights:abc",
        bento_uri="/store/bentos/abc",
        bento_digest="abc",
        data_digest="def",
        rows=2500,
        runtime_image="image",
    )
    result = build_result(
        EVALUATION,
        ChampionComparison(),
        AcceptanceSpec(max_latency=timedelta(seconds=1)),
        facts,
        threshold=None,
        latency_seconds=0.01,
    )
    path = tmp_path / "runs" / "result.json"
    write_result(FsspecStore(), str(path), result)
    assert RunResult.model_validate_json(path.read_bytes()) == result
    with pytest.raises(ResultExistsError, match="must be written once"):
        write_result(FsspecStore(), str(path), result)

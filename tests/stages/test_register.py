from datetime import timedelta

import pytest

from driftloop.adapters.objectstore import FsspecStore
from driftloop.spec import AcceptanceSpec, ColumnImportance, Comparison, RunResult, RunVerdict
from driftloop.stages.records import (
    Assessment,
    ChampionComparison,
    ColumnAssessment,
    Evaluation,
    Explanation,
    GroupMetrics,
)
from driftloop.stages.register import Findings, ResultExistsError, RunFacts, build_result, judge, write_result

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
EXPLANATION = Explanation(
    metric="roc_auc",
    rows=500,
    repeats=10,
    score=0.7,
    columns=tuple(
        ColumnImportance(column=f"x{index}", importance=1 / (1 + index), standard_deviation=0.01) for index in range(8)
    ),
)
FAIR = {"fairness": {"metric": "equalized_odds_difference", "max": 0.1}}


def find(against_champion=ChampionComparison(), latency=0.01, **columns) -> Findings:  # noqa: B008 - frozen
    assessed = (ColumnAssessment(column=name, **facts) for name, facts in columns.items())
    assessment = Assessment(metric="roc_auc", columns=tuple(assessed))
    return Findings(EVALUATION, against_champion, EXPLANATION, assessment, latency_seconds=latency)


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
    judgement = judge(find(against_champion, latency), spec, threshold=threshold)
    assert judgement.verdict is verdict
    assert any(reason in text for text in judgement.reasons)


FACTS = RunFacts(
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


def odds(difference: float) -> dict:
    return {"differences": {"demographic_parity_difference": 0.9, "equalized_odds_difference": difference}}


@pytest.mark.parametrize(
    ("columns", "acceptance", "verdict", "reason"),
    [
        ({"sex": odds(0.1)}, FAIR, RunVerdict.ACCEPTED, "Held: equalized_odds_difference 0.1000 between the groups of"),
        ({"sex": odds(0.2)}, FAIR, RunVerdict.REJECTED, "groups of 'sex', at most 0.1 wanted"),
        ({"sex": odds(0.0), "age": odds(0.2)}, FAIR, RunVerdict.REJECTED, "Not held: equalized_odds_difference 0.2000"),
        (
            {"sex": odds(0.0) | {"not_compared": ("x",), "not_compared_in_odds": ("y",)}},
            FAIR,
            RunVerdict.ACCEPTED,
            "(x, y left out: too few rows)",
        ),
        (
            {"sex": {"not_assessed": "these rows don't carry 'sex'"}},
            FAIR,
            RunVerdict.REJECTED,
            "Not held: equalized_odds_difference not assessed: these rows don't carry 'sex'.",
        ),
        (
            {"sex": {"differences": {"demographic_parity_difference": 0.0}}},
            FAIR,
            RunVerdict.REJECTED,
            "not assessed: 'sex' has fewer than two groups with enough rows of each class",
        ),
        ({}, FAIR, RunVerdict.REJECTED, "there are no sensitive columns to assess it by"),
        ({"sex": odds(0.9)}, {}, RunVerdict.ACCEPTED, "it is the first model"),
        ({"sex": {"not_assessed": "they don't carry it"}}, {}, RunVerdict.ACCEPTED, "it is the first model"),
    ],
)
def test_fairness_is_judged_only_where_a_limit_is_declared(columns, acceptance, verdict, reason):
    judgement = judge(find(**columns), AcceptanceSpec.model_validate(acceptance), threshold=None)
    assert judgement.verdict is verdict
    assert any(reason in text for text in judgement.reasons)


def test_the_result_sums_up_importance_and_assessment_and_old_results_can_be_read():
    groups = (GroupMetrics(group="w", rows=40),)
    findings = find(sex=odds(0.05) | {"groups": groups})
    result = build_result(findings, AcceptanceSpec(), FACTS, threshold=None)
    assert [column.column for column in result.importance] == ["x0", "x1", "x2", "x3", "x4"]
    assert result.assessment[0].to_dict() == {"column": "sex", "notAssessed": "", **odds(0.05)}
    old = {name: value for name, value in result.to_dict().items() if name not in ("importance", "assessment")}
    assert RunResult.model_validate(old).assessment == ()


def test_the_result_is_written_once(tmp_path):
    acceptance = AcceptanceSpec(max_latency=timedelta(seconds=1))
    result = build_result(find(), acceptance, FACTS, threshold=None)
    path = tmp_path / "runs" / "result.json"
    write_result(FsspecStore(), str(path), result)
    assert RunResult.model_validate_json(path.read_bytes()) == result
    with pytest.raises(ResultExistsError, match="must be written once"):
        write_result(FsspecStore(), str(path), result)

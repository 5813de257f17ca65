from datetime import UTC, datetime

from driftloop.spec.loopstatus import CONDITION_MEANINGS, LONGEST_MESSAGE, ConditionType, DecisionStatus, ModelStatus

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def test_a_message_that_is_too_long_is_cut_rather_than_refused():
    reason = DecisionStatus(action="Reject", reason="x" * 100_000, at=NOW).reason
    assert len(reason) == LONGEST_MESSAGE
    assert reason.endswith("x…")


def test_a_score_has_four_decimals_so_that_it_fits_into_a_column():
    assert ModelStatus(label="v1", version="a", digest="a", score=0.7312987).score == 0.7313


def test_every_condition_is_explained():
    assert set(CONDITION_MEANINGS) == set(ConditionType)

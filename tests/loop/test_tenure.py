"""Who served when, and the chain from data to champion."""

from datetime import timedelta

import pytest

from driftloop.loop.history import Approved, Promoted, RolledBack, RunFinished, RunStarted, Started, model_of
from driftloop.loop.telling import links, tell
from driftloop.loop.tenure import served_at, tenures
from tests.loop.conftest import START, WEEK, make_result


@pytest.fixture
def entries():
    told = [Started(at=START, driftloop_version="1")]
    for number, digest in ((1, "a"), (2, "b")):
        run = RunStarted(
            at=START + number * WEEK, run_key=f"r{number}", number=number, reason="drift", data_uri="x.csv"
        )
        result = make_result(f"r{number}", digest=digest * 64)
        told += [
            run,
            RunFinished(at=run.at, run_key=run.run_key, result=result),
            Approved(at=run.at, run_key=run.run_key, by="ada"),
            Promoted(at=run.at, model=model_of(run, result), reason="better"),
        ]
    return [*told, RolledBack(at=START + 3 * WEEK, model=told[4].model, reason="it misled us", by="grace")]


def test_before_the_first_promotion_nothing_served(entries):
    assert served_at(entries, START) is None
    assert served_at([], START) is None


@pytest.mark.parametrize(("weeks", "model"), [(1, "v1"), (1.5, "v1"), (2, "v2"), (2.9, "v2"), (3, "v1"), (99, "v1")])
def test_a_moment_belongs_to_the_last_who_took_over(entries, weeks, model):
    assert served_at(entries, START + weeks * WEEK).model == model


def test_a_tenure_answers_what_served_trained_on_what_approved_by_whom(entries):
    tenure = served_at(entries, START + 2 * WEEK)
    assert (tenure.since, tenure.until) == (START + 2 * WEEK, START + 3 * WEEK)
    assert (tenure.version, tenure.bento_digest) == ("b" * 12, "b" * 64)
    assert (tenure.run_key, tenure.data_uri, tenure.data_digest, tenure.rows) == ("r2", "x.csv", "d", 5000)
    assert (tenure.approved_by, tenure.why) == ("ada", "better")


def test_tenures_follow_one_another_without_gaps(entries):
    found = tenures(entries)
    assert [tenure.model for tenure in found] == ["v1", "v2", "v1"]
    assert [tenure.until for tenure in found] == [*(tenure.since for tenure in found[1:]), None]
    assert found[-1].asked_by == "grace"


def test_every_entry_is_told_in_one_line(entries):
    assert all("\n" not in tell(entry) and len(tell(entry)) > 10 for entry in entries)
    assert "rolled back to v1 (aaaaaaaaaaaa): it misled us" in tell(entries[-1])
    assert links(entries[1]) == {"run": "r1", "data": "x.csv"}


def test_a_tenure_is_a_matter_of_the_ledgers_order(entries):
    assert served_at(entries[:6], START + timedelta(days=365)).until is None

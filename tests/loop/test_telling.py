from datetime import UTC, datetime, timedelta

import pytest

from driftloop.loop.telling import tell_verdict
from driftloop.spec import ReportKind, Verdict, VerdictKind, Window

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "span"),
    [(timedelta(days=7), "2026-03-01 to 03-08"), (timedelta(minutes=90), "2026-03-01 00:00 to 01:30")],
)
def test_a_verdict_is_told_with_a_span_that_tells_its_window_from_the_next(length, span):
    verdict = Verdict(
        kind=ReportKind.INPUTS,
        model_version="v1",
        window=Window(start=START, end=START + length, rows=10),
        verdict=VerdictKind.STABLE,
        summary="All is as ever. Judged on 10 rows.",
    )
    assert tell_verdict(verdict) == f"{span} inputs: Stable. All is as ever."

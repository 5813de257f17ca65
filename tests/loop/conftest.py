"""Builders of the loop's facts: specs, verdicts, results."""

from datetime import UTC, datetime, timedelta

import pytest

from driftloop.spec import (
    ModelLoop,
    ReportKind,
    RunResult,
    RunVerdict,
    Verdict,
    VerdictKind,
    Window,
)

START = datetime(2013, 3, 1, tzinfo=UTC)
WEEK = timedelta(days=7)


def make_loop(**spec):
    return ModelLoop.model_validate(
        {
            "apiVersion": "driftloop.dev/v1alpha1",
            "kind": "ModelLoop",
            "metadata": {"name": "flight-delays"},
            "spec": {
                "problem": {"task": "Classification"},
                "data": {"uri": "flights.parquet", "targetColumn": "late", "minRows": 1000},
                "retraining": {"cooldown": "14d", "limit": {"max": 2, "per": "60d"}},
            }
            | spec,
        }
    )


def make_verdict(week, verdict=VerdictKind.STABLE, *, version="aaaaaaaaaaaa", kind=ReportKind.PERFORMANCE):
    window = Window(start=START + week * WEEK, end=START + (week + 1) * WEEK, rows=2000, labelled_rows=2000)
    return Verdict(kind=kind, model_version=version, window=window, verdict=verdict, summary=f"{verdict} seen")


def make_result(run_key, *, digest="a" * 64, verdict=RunVerdict.ACCEPTED):
    return RunResult(
        loop="flight-delays",
        run_key=run_key,
        verdict=verdict,
        reasons=("roc_auc 0.700 is at least 0.600",),
        algorithm="HistGradientBoosting",
        metric="roc_auc",
        test_score=0.7,
        metrics={"roc_auc": 0.7},
        bento_tag=f"flight-delays:{digest[:12]}",
        bento_uri=f"store/bentos/{digest}",
        bento_digest=digest,
        data_digest="d",
        rows=5000,
        runtime_image="laptop",
        run_id="r",
    )


@pytest.fixture
def loop():
    return make_loop()

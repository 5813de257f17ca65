"""The reference of the custom resources names everything that there is."""

import re
from pathlib import Path

import pytest

from driftloop.operator import conditions, looprun, status
from driftloop.spec.loopstatus import ConditionType, ModelLoopStatus
from driftloop.workload.crd import driftreport_crd, modelloop_crd
from driftloop.workload.names import (
    ACKNOWLEDGE_ANNOTATION,
    APPROVE_ANNOTATION,
    MUTE_ANNOTATION,
    RETRAIN_ANNOTATION,
    ROLLBACK_ANNOTATION,
)

PAGE = (Path(__file__).parents[2] / "docs" / "kubernetes-api.md").read_text(encoding="utf-8")


def named(name):
    return f"`{name}`" in PAGE


def test_every_field_and_condition_of_the_status_is_there():
    fields = [field.alias for name, field in ModelLoopStatus.model_fields.items() if name != "conditions"]
    assert [name for name in [*fields, *ConditionType] if not named(name)] == []


def test_every_reason_is_there():
    sources = "".join(Path(module.__file__).read_text() for module in (conditions, looprun, status))
    patterns = (
        r'Finding\(\s*"(?:True|False|Unknown)", "(\w+)"',
        r'else "(\w+)", now\.last_failure',
        r'return "(\w+Unavailable)"',
        r'activity(?:, words)? = "(\w+)"',
        r'stalled="(\w+)"',
        r'(?:INVALID_SPEC|BUDGET_NOT_CARRIED) = "(\w+)"',
    )
    reasons = {reason for pattern in patterns for reason in re.findall(pattern, sources)}
    assert len(reasons) > 15
    assert [reason for reason in reasons if not named(reason)] == []


@pytest.mark.parametrize(
    "annotation",
    [APPROVE_ANNOTATION, RETRAIN_ANNOTATION, ROLLBACK_ANNOTATION, MUTE_ANNOTATION, ACKNOWLEDGE_ANNOTATION],
)
def test_every_verb_is_there(annotation):
    assert named(annotation)


@pytest.mark.parametrize("definition", [modelloop_crd(), driftreport_crd()], ids=lambda d: d["spec"]["names"]["kind"])
def test_every_column_and_short_name_is_there(definition):
    columns = [column["name"].upper() for column in definition["spec"]["versions"][0]["additionalPrinterColumns"]]
    assert [name for name in columns if name not in PAGE] == []
    assert all(named(name) for name in definition["spec"]["names"]["shortNames"])

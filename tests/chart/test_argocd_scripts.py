"""The Lua that Argo CD runs on ModelLoops, run here by Lua 5.1, which Argo CD's interpreter (gopher-lua) implements."""

import copy
import re

import pytest
import yaml

from driftloop.spec.loopstatus import ConditionType, ModelLoopStatus
from driftloop.workload import names
from tests.chart.rendering import MANIFESTS

lua51 = pytest.importorskip("lupa.lua51", reason="Lua is not installed. Get it with: pip install lupa")
pytestmark = pytest.mark.render
SETTINGS = yaml.safe_load((MANIFESTS / "gitops" / "example" / "argocd" / "argocd-cm.yaml").read_text(encoding="utf-8"))[
    "data"
]
HEALTH = SETTINGS["resource.customizations.health.driftloop.dev_ModelLoop"]
ACTIONS = yaml.safe_load(SETTINGS["resource.customizations.actions.driftloop.dev_ModelLoop"])
SCRIPTS = {definition["name"]: definition["action.lua"] for definition in ACTIONS["definitions"]}


def run(script, obj):
    lua = lua51.LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(copy.deepcopy(obj), recursive=True)
    return _plain(lua.execute(script))


def _plain(value):
    if lua51.lua_type(value) != "table":
        return value
    keys = list(value)
    if keys and keys == list(range(1, len(keys) + 1)):
        return [_plain(value[key]) for key in keys]
    return {key: _plain(value[key]) for key in keys}


def loop(*conditions, spec=None, observed=2, **status):
    """Build a loop in its second generation with conditions such as `("Ready", "True", "champion v2 serves")`."""
    told = [
        {"type": ConditionType(kind).value, "status": is_so, "reason": "Because", "message": message}
        for kind, is_so, message in conditions
    ]
    return {
        "metadata": {"name": "wine", "generation": 2},
        "spec": {"suspend": False, **(spec or {})},
        "status": {"observedGeneration": observed, "conditions": told, **status},
    }


@pytest.mark.parametrize(
    ("obj", "status", "message"),
    [
        ({"metadata": {"generation": 1}, "spec": {}}, "Progressing", "not looked at this loop"),
        (loop(("Ready", "True", "v2 serves")), "Healthy", "v2 serves"),
        (loop(("Ready", "True", "v2 serves"), observed=1), "Progressing", "newest spec"),
        (loop(("Ready", "False", ""), ("Reconciling", "True", "train runs")), "Progressing", "train runs"),
        (loop(("Ready", "True", "v2 serves"), ("Reconciling", "True", "retrains")), "Healthy", "v2 serves"),
        (loop(("Ready", "False", "x"), ("Stalled", "True", "set data.uri")), "Degraded", "set data.uri"),
        (loop(("Ready", "Unknown", "the API is away")), "Progressing", "the API is away"),
        (loop(("Ready", "True", ""), ("Stalled", "False", "")), "Healthy", "Because"),
        (loop(("Ready", "True", "v2"), spec={"suspend": True}), "Suspended", "suspend"),
    ],
)
def test_health_is_told(obj, status, message):
    health = run(HEALTH, obj)
    assert health["status"] == status
    assert message in health["message"]


def test_health_of_an_application_is_passed_on():
    script = SETTINGS["resource.customizations.health.argoproj.io_Application"]
    assert run(script, {})["status"] == "Progressing"
    assert run(script, {"status": {"health": {"status": "Healthy"}}})["status"] == "Healthy"


@pytest.mark.parametrize(
    ("obj", "enabled"),
    [
        ({"metadata": {}, "spec": {}}, {"retrain", "suspend"}),
        (loop(champion={"label": "v1"}), {"retrain", "rollback", "suspend"}),
        (loop(champion={"label": "v1"}, run={"runKey": "a"}), {"rollback", "suspend"}),
        (loop(champion={"label": "v1"}, challenger={"digest": "d"}), {"retrain", "approve", "rollback", "suspend"}),
        (loop(champion={"label": "v1"}, challenger={"digest": "d"}, spec={"suspend": True}), {"resume"}),
    ],
)
def test_only_what_makes_sense_can_be_pressed(obj, enabled):
    found = run(ACTIONS["discovery.lua"], obj)
    assert set(found) == set(SCRIPTS) == {"retrain", "approve", "rollback", "suspend", "resume"}
    assert {name for name, action in found.items() if not action["disabled"]} == enabled


def test_retrain_asks_anew_each_time():
    value = run(SCRIPTS["retrain"], loop())["metadata"]["annotations"][names.RETRAIN_ANNOTATION]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value)


def test_rollback_names_the_previous_model():
    value = run(SCRIPTS["rollback"], loop())["metadata"]["annotations"][names.ROLLBACK_ANNOTATION]
    assert re.fullmatch(r"previous@\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value)


def test_approve_names_the_challenger_and_argo_cd_itself():
    digest = "a" * 64
    annotations = run(SCRIPTS["approve"], loop(challenger={"digest": digest}))["metadata"]["annotations"]
    assert annotations == {names.APPROVE_ANNOTATION: f"{digest}@system:serviceaccount:argocd:argocd-server"}
    assert "challenger" in ModelLoopStatus.model_fields
    bound = yaml.safe_load((MANIFESTS / "gitops/example/argocd/approver.yaml").read_text(encoding="utf-8"))
    [subject] = bound["subjects"]
    assert f"system:serviceaccount:{subject['namespace']}:{subject['name']}" in annotations[names.APPROVE_ANNOTATION]


def test_approve_without_a_challenger_is_refused():
    with pytest.raises(lua51.LuaError, match="no challenger"):
        run(SCRIPTS["approve"], loop())


def test_an_action_keeps_what_else_is_there():
    obj = loop()
    obj["metadata"]["annotations"] = {"team": "ml"}
    for name in ("retrain", "rollback"):
        assert run(SCRIPTS[name], obj)["metadata"]["annotations"]["team"] == "ml"


@pytest.mark.parametrize(("action", "suspended"), [("suspend", True), ("resume", False)])
def test_a_loop_is_suspended_and_resumed(action, suspended):
    assert run(SCRIPTS[action], loop())["spec"]["suspend"] is suspended

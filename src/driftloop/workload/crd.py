"""The custom resources of driftloop as the API server gets them, made from the types in `spec`.

A CRD takes less than JSON schema: no references, titles, constants or nulls; unknown fields are dropped, or refused
where the client asks for it, as `kubectl` does (Kubernetes documentation, "Extend the Kubernetes API with
CustomResourceDefinitions", structural schemas).
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from driftloop.spec.boundary import DURATION_PATTERN
from driftloop.spec.driftreport import DriftReport, DriftReportSpec
from driftloop.spec.loopstatus import DriftReportStatus, ModelLoopStatus
from driftloop.spec.messages import PATTERN_WORDS
from driftloop.spec.modelloop import API_GROUP, KIND, ModelLoop, ModelLoopSpec
from driftloop.spec.placement import QUANTITY_PATTERN
from driftloop.spec.reference import FileSchema, resolve_reference
from driftloop.workload.crdrules import RULES, Rule

VERSION = "v1alpha1"
_LONGEST_DURATION = 64  # every duration that Python can count, with room to spare
_KEPT = (
    *("type", "format", "enum", "required", "pattern", "additionalProperties", "items", "properties"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
)
_DURATION_RULES = (
    Rule(
        "", f"self.matches(r'{DURATION_PATTERN}')", "must be a duration such as '90s', '10m', '12h', '30d' or '1h30m'"
    ),
    Rule("", "self.matches('[1-9]')", "must be a duration longer than 0"),
)


def modelloop_crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition of ModelLoops."""
    columns = [
        _condition_column("Ready", "status"),
        _column("Champion", ".status.champion.label", "The model that serves."),
        _column("Score", ".status.champion.score", "The metric on the champion's test rows.", kind="number"),
        _column("Drift", ".status.lastVerdict.verdict", "The newest verdict on its traffic."),
        _column("Retrained", ".status.retrainedAt", "When the newest run that made a model finished.", kind="date"),
        _column("Age", ".metadata.creationTimestamp", "", kind="date"),
        _condition_column("Ready", "reason", name="Reason", priority=1),
        _column("Run", ".status.run.runKey", "The run under way.", priority=1),
        _column("Version", ".status.champion.version", "The champion's model version.", priority=1),
        _column("Waiting", ".status.waitingFor[0]", "What the loop waits for.", priority=1),
    ]
    names = {"plural": "modelloops", "singular": "modelloop", "shortNames": ["loop", "mloop"]}
    return _definition(KIND, names, _root(ModelLoop, ModelLoopSpec, ModelLoopStatus), columns)


def driftreport_crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition of DriftReports."""
    columns = [
        _column("Loop", ".spec.loopName", "The ModelLoop."),
        _column("Model", ".spec.verdict.modelVersion", "The model version whose traffic it is about."),
        _column("Kind", ".spec.verdict.kind", "What was looked at."),
        _column("Verdict", ".spec.verdict.verdict", "The triage."),
        _column("Decision", ".status.decision.action", "What became of it."),
        _column("Age", ".metadata.creationTimestamp", "", kind="date"),
        _column("Window", ".spec.verdict.window.start", "Start of the window.", priority=1),
        _column("Run", ".status.decision.runKey", "The run that it started.", priority=1),
        _column("Summary", ".spec.verdict.summary", "What was seen.", priority=1),
    ]
    names = {"plural": "driftreports", "singular": "driftreport", "shortNames": ["dr"]}
    return _definition("DriftReport", names, _root(DriftReport, DriftReportSpec, DriftReportStatus), columns)


def _definition(
    kind: str, names: Mapping[str, Any], schema: Mapping[str, Any], columns: list[dict[str, Any]]
) -> dict[str, Any]:
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{API_GROUP}"},
        "spec": {
            "group": API_GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "categories": ["driftloop"], **names},
            "versions": [version],
        },
    }


def _column(name: str, path: str, description: str, *, kind: str = "string", priority: int = 0) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return column | ({"description": description} if description else {}) | ({"priority": priority} if priority else {})


def _condition_column(condition: str, field: str, *, name: str = "", priority: int = 0) -> dict[str, Any]:
    path = f'.status.conditions[?(@.type=="{condition}")].{field}'
    return _column(name or condition, path, f"The {field} of the condition {condition}.", priority=priority)


def _root(model: type[BaseModel], spec: type[BaseModel], status: type[BaseModel]) -> dict[str, Any]:
    root = {
        "description": " ".join((model.__doc__ or "").split()),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(spec),
            "status": structural_schema(status, with_defaults=False),
        },
    }
    rules = [rule.to_dict() for rule in RULES.get(model.__name__, ())]
    return root | ({"x-kubernetes-validations": rules} if rules else {})


def structural_schema(model: type[BaseModel], *, with_defaults: bool = True) -> dict[str, Any]:
    """Return the structural schema of a type, with its CEL rules.

    Args:
        model: the type.
        with_defaults: whether the API server fills in what is left out. Groups default to `{}`, so that their fields'
            own defaults come in; empty texts, lists and mappings stay away.
    """
    schema = model.model_json_schema(schema_generator=FileSchema)
    return _convert({**schema, "title": model.__name__}, schema.get("$defs", {}), with_defaults=with_defaults)


def _convert(written: Mapping[str, Any], definitions: Mapping[str, Any], *, with_defaults: bool) -> dict[str, Any]:
    schema = resolve_reference(written, definitions)
    described = " ".join(schema.get("description", "").split())
    converted: dict[str, Any] = {"description": described} if described else {}
    converted |= {name: schema[name] for name in _KEPT if schema.get(name, False) is not False}
    converted |= _choices_and_bounds(schema)
    for name in ("items", "additionalProperties"):
        if name in converted:
            converted[name] = _convert(converted[name], definitions, with_defaults=with_defaults)
    if "properties" in converted:
        fields = converted["properties"].items()
        converted["properties"] = {n: _convert(field, definitions, with_defaults=with_defaults) for n, field in fields}
    rules = [*RULES.get(schema.get("title", ""), ()), *_rules_of_pattern(schema.get("pattern", ""))]
    if rules:
        converted.pop("pattern", None)
        converted["x-kubernetes-validations"] = [rule.to_dict() for rule in rules]
    if with_defaults:
        converted |= _default(schema)
    if schema.get("pattern") == QUANTITY_PATTERN:
        del converted["type"]
    return converted | _kubernetes_types(schema)


def _choices_and_bounds(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what OpenAPI 3.0 writes in other words than JSON schema."""
    found: dict[str, Any] = {"enum": [schema["const"]]} if "const" in schema else {}
    for bound in ("Minimum", "Maximum"):
        if f"exclusive{bound}" in schema:
            found |= {bound.lower(): schema[f"exclusive{bound}"], f"exclusive{bound}": True}
    return found


def _rules_of_pattern(pattern: str) -> tuple[Rule, ...]:
    """Return rules that stand for a pattern: they tell in words what is wanted."""
    if pattern == DURATION_PATTERN:
        return _DURATION_RULES
    if pattern in PATTERN_WORDS and pattern != QUANTITY_PATTERN:
        return (Rule("", f"self.matches(r'{pattern}')", PATTERN_WORDS[pattern]),)
    return ()


def _default(schema: Mapping[str, Any]) -> dict[str, Any]:
    default = schema.get("default")
    if default is None or (default in ("", [], {}) and "properties" not in schema):
        return {}
    return {"default": {} if "properties" in schema else default}


def _kubernetes_types(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Kubernetes has beyond OpenAPI: quantities, bounded texts, lists with keys."""
    if schema.get("pattern") == QUANTITY_PATTERN:
        return {"x-kubernetes-int-or-string": True}
    if schema.get("pattern") == DURATION_PATTERN:
        return {"maxLength": _LONGEST_DURATION}
    if schema.get("title") == "Conditions":
        return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return {}

"""Pydantic's findings in the house grammar: constraint, value, remedy. Free of pydantic's own terms and links."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from driftloop.spec.boundary import RuleError
from driftloop.spec.data import NAME_PATTERN
from driftloop.spec.documents import Location
from driftloop.spec.operation import CRON_PATTERN
from driftloop.spec.placement import (
    OBJECT_NAME_PATTERN,
    PATH_PATTERN,
    QUANTITY_PATTERN,
    SECRET_KEY_PATTERN,
    VARIABLE_PATTERN,
)
from driftloop.spec.problems import did_you_mean, show_value
from driftloop.spec.reference import field_reference, fields_below

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PATTERN_WORDS = {
    NAME_PATTERN: "must consist of lower-case letters, digits and dashes, with a letter or digit at both ends",
    CRON_PATTERN: "must be a cron line of five fields, such as '0 3 1 * *'",
    QUANTITY_PATTERN: "must be a Kubernetes quantity, such as '500m' or '2Gi'",
    OBJECT_NAME_PATTERN: "must consist of lower-case letters, digits, dashes and dots, a letter or digit at both ends",
    VARIABLE_PATTERN: "must consist of letters, digits and underscores, and not begin with a digit",
    SECRET_KEY_PATTERN: "must consist of letters, digits, dashes, dots and underscores",
    PATH_PATTERN: "must be an absolute path without a colon",
}
_TYPE_WORDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "time_delta_type": "a duration with its unit, such as '10m' or '30d'",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_BOUND_WORDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("greater than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


@dataclass(frozen=True)
class Finding:
    """What is wrong with one field, before it is known in which file."""

    location: Location
    constraint: str
    value: str = ""
    remedy: str = ""


def explain_errors(error: ValidationError) -> list[Finding]:
    """Translate everything that pydantic found wrong with a ModelLoop."""
    details = error.errors(include_url=False)
    # A list whose items were refused is then called empty: an echo.
    return [_explain(detail) for detail in details if not (detail["type"] == "too_short" and detail["input"])]


def _explain(error: "ErrorDetails") -> Finding:
    location, kind, value, context = error["loc"], error["type"], error["input"], error.get("ctx", {})
    shown = show_value(value)
    match kind:
        case "missing":
            finding = Finding(location, "must be set", remedy=_how_to_set(location))
        case "extra_forbidden":
            finding = Finding(location, "is not a known field", remedy=_where_it_belongs(location))
        case "value_error":
            finding = _explain_rule(location, context["error"], value)
        case "enum" | "literal_error":
            finding = _explain_choice(location, value)
        case "string_pattern_mismatch":
            finding = Finding(location, PATTERN_WORDS[context["pattern"]], shown)
        case "string_too_short" | "too_short":
            finding = Finding(location, "must not be empty")
        case "string_too_long" | "too_long":
            unit = "characters" if kind == "string_too_long" else "items"
            finding = Finding(location, f"must have at most {context['max_length']} {unit}", shown)
        case _ if kind in _BOUND_WORDS:
            words, bound = _BOUND_WORDS[kind]
            finding = Finding(location, f"must be {words} {context[bound]:g}", shown)
        case _ if kind in _TYPE_WORDS:
            finding = Finding(location, f"must be {_TYPE_WORDS[kind]}", shown, _how_to_retype(kind, value))
        case _:
            finding = Finding(location, f"must be valid ({error['msg']})", shown)
    return finding


def _name_of(location: Location) -> str:
    """Return the path without list positions: the key of the field's reference."""
    return ".".join(step for step in location if isinstance(step, str))


def _how_to_set(location: Location) -> str:
    field = field_reference()[_name_of(location)]
    if field.choices:
        return f"Add it: {' or '.join(field.choices)}."
    return f"Add it: {field.description[0].lower()}{field.description[1:]}" if field.description else "Add it."


def _where_it_belongs(location: Location) -> str:
    *parents, name = location
    guess = did_you_mean(str(name), fields_below(_name_of(tuple(parents))))
    elsewhere = [path for path in field_reference() if path.endswith(f".{name}")]
    if not guess and elsewhere:
        return f"Did you mean {' or '.join(repr(path) for path in elsewhere)}?"
    return guess or f"Known here: {', '.join(fields_below(_name_of(tuple(parents))))}."


def _explain_rule(location: Location, rule: Exception, value: object) -> Finding:
    if not isinstance(rule, RuleError):
        return Finding(location, str(rule), show_value(value))
    if location and isinstance(location[-1], str):  # pydantic names a field by its Python name where the file is silent
        location = (*location[:-1], to_camel(location[-1]))
    for name in map(to_camel, rule.field.split(".") if rule.field else ()):
        location, value = (*location, name), value.get(name) if isinstance(value, dict) else None
    return Finding(location, rule.constraint, show_value(value), rule.remedy)


def _explain_choice(location: Location, value: object) -> Finding:
    choices = field_reference()[_name_of(location)].choices
    constraint = f"must be one of {', '.join(choices)}" if len(choices) > 1 else f"must be {choices[0]}"
    guess = did_you_mean(value, choices) if isinstance(value, str) and len(choices) > 1 else ""
    return Finding(location, constraint, show_value(value), guess)


def _how_to_retype(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f'Quote it: "{show_value(value)}".'
    if kind in ("int_type", "float_type") and isinstance(value, str) and re.fullmatch(r"[-+]?[0-9.]+", value):
        return f"Remove the quotes: {value}."
    return ""

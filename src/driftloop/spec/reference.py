"""Every field of the ModelLoop as a table: path, type, default, description.

Made from the types, for the documentation, for error messages and for the notice about fields without effect.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from driftloop.spec.boundary import DURATION_PATTERN, format_duration
from driftloop.spec.modelloop import ModelLoop

_TYPE_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_BOUND_WORDS = {
    "minimum": "at least",
    "exclusiveMinimum": "greater than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


@dataclass(frozen=True)
class FieldReference:
    """One field, or group of fields, as a user may write it."""

    path: str
    """Names from the root, e.g. `spec.data.minRows`; fields of list items stand below the list."""
    type: str
    """In words, bounds included."""
    choices: tuple[str, ...]
    """The values allowed, of the field or of its list items; empty: not an enumeration."""
    default: object
    """As in a file; None without one, and for groups."""
    description: str
    is_required: bool
    is_planned: bool
    """Accepted and checked, without effect in this version."""
    is_cluster_only: bool
    """Used in a cluster; a laptop ignores it."""

    @property
    def note(self) -> str:
        """Where the field has no effect, as a sentence; empty: it has one everywhere."""
        if self.is_planned:
            return "No effect in this version."
        return "A laptop ignores it." if self.is_cluster_only else ""


def modelloop_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the ModelLoop."""
    schema = ModelLoop.model_json_schema(schema_generator=FileSchema)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


@cache
def field_reference() -> Mapping[str, FieldReference]:
    """Return every field by its path, in the order of the types."""
    schema = modelloop_schema()
    return {field.path: field for field in _walk(schema, schema["$defs"], "")}


def fields_below(path: str) -> list[str]:
    """Return the names of the fields of a group; of the whole ModelLoop for an empty path."""
    prefix = f"{path}." if path else ""
    names = (known.removeprefix(prefix) for known in field_reference() if known.startswith(prefix))
    return [name for name in names if "." not in name]


def noted_fields(loop: ModelLoop) -> list[FieldReference]:
    """Return the fields that the loop's file sets and that have no effect: in this version, or on a laptop."""
    written = loop.model_dump(by_alias=True, exclude_unset=True)
    return [field for field in field_reference().values() if field.note and _has(written, field.path)]


class FileSchema(GenerateJsonSchema):
    """Writes defaults as they stand in a file."""

    def encode_default(self, dft: Any) -> Any:
        """Write a default; durations with their units."""
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def _walk(group: Mapping[str, Any], definitions: Mapping[str, Any], parent: str) -> Iterator[FieldReference]:
    for name, written in group["properties"].items():
        schema = resolve_reference(written, definitions)
        items = resolve_reference(schema.get("items", {}), definitions)
        path = f"{parent}.{name}" if parent else name
        below = schema if "properties" in schema else items
        yield FieldReference(
            path=path,
            type=_in_words(schema, items),
            choices=tuple(_choices(schema) or _choices(items)),
            default=None if "properties" in schema else schema.get("default"),
            description=" ".join(schema.get("description", "").split()),
            is_required=name in group.get("required", ()),
            is_planned=schema.get("planned", False),
            is_cluster_only=schema.get("clusterOnly", False),
        )
        if "properties" in below:
            yield from _walk(below, definitions, path)


def resolve_reference(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Follow references and drop the null of optional fields; what stands nearer to the field wins.

    The title of what was referred to is the type's name.
    """
    parts = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
    resolved = {**(parts[0] if parts else {}), **schema}
    if "$ref" in resolved:
        name = resolved["$ref"].rpartition("/")[2]
        resolved = {**resolve_reference(definitions[name], definitions), **resolved, "title": name}
    return resolved


def _choices(schema: Mapping[str, Any]) -> list[str]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _in_words(schema: Mapping[str, Any], items: Mapping[str, Any]) -> str:
    if choices := _choices(schema):
        return " or ".join(f"`{choice}`" for choice in choices)
    if schema.get("pattern") == DURATION_PATTERN:
        return "duration"
    if schema.get("format") == "date-time":
        return "time"
    match schema.get("type"):
        case "array":
            return f"list of {_in_words(items, {})}"
        case "object":
            return "group" if "properties" in schema else "mapping of text"
    bounds = [f"{words} {schema[bound]}" for bound, words in _BOUND_WORDS.items() if bound in schema]
    return ", ".join([_TYPE_WORDS[schema["type"]], *bounds])


def _has(written: Mapping[str, Any], path: str) -> bool:
    value: Any = written
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return True

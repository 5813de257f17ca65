"""How the fake API server selects and changes objects: selectors, patches, what an applier takes back."""

import copy
import re
from typing import Any


class StatusError(Exception):
    """An answer that is a refusal."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


def fits(obj: dict[str, Any], query: dict[str, str]) -> bool:
    """Whether an object meets the selectors of a query."""
    labels = obj["metadata"].get("labels") or {}
    by_label = filter(None, re.split(r",(?![^(]*\))", query.get("labelSelector", "")))
    by_field = filter(None, query.get("fieldSelector", "").split(","))
    return all(_has_label(labels, wanted) for wanted in by_label) and all(
        _has_field(obj, wanted) for wanted in by_field
    )


def _has_label(labels: dict[str, str], wanted: str) -> bool:
    among = re.fullmatch(r"(\S+)\s+(in|notin)\s+\((.*)\)", wanted.strip())
    if among:
        key, how, values = among.groups()
        return (labels.get(key) in [value.strip() for value in values.split(",")]) == (how == "in")
    if "!=" in wanted:
        key, value = wanted.split("!=")
        return labels.get(key) != value
    if "=" in wanted:
        key, value = re.split("==?", wanted)
        return labels.get(key) == value
    return (wanted.lstrip("!") in labels) != wanted.startswith("!")


def _has_field(obj: dict[str, Any], wanted: str) -> bool:
    key, value = re.split("==?", wanted)
    found: Any = obj
    for part in key.split("."):
        found = found.get(part, "") if isinstance(found, dict) else ""
    return bool(found == value)


def merge(obj: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = copy.deepcopy(obj) if isinstance(obj, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def withdraw(obj: dict[str, Any], applied: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Remove what a manager applied before and does not want any more."""
    for key, value in applied.items():
        if key not in wanted:
            if isinstance(value, dict) and isinstance(obj.get(key), dict):
                withdraw(obj[key], value, {})
                if not obj[key]:
                    del obj[key]
            else:
                obj.pop(key, None)
        elif isinstance(value, dict) and isinstance(obj.get(key), dict) and isinstance(wanted[key], dict):
            withdraw(obj[key], value, wanted[key])
    return obj


def json_patch(obj: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """RFC 6902: add, remove, replace, test."""
    after = copy.deepcopy(obj)
    for operation in operations:
        *parents, last = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
        try:
            place: Any = after
            for part in parents:
                place = place[int(part)] if isinstance(place, list) else place[part]
            key: Any = len(place) if last == "-" else int(last) if isinstance(place, list) else last
            if operation["op"] == "test":
                if place[key] != operation["value"]:
                    raise StatusError(422, "Invalid", "the server rejected our request due to an error in our request")
            elif operation["op"] == "remove":
                del place[key]
            elif operation["op"] == "add" and isinstance(place, list):
                place.insert(key, operation["value"])
            else:
                place[key] = operation["value"]
        except (KeyError, IndexError, TypeError) as error:
            raise StatusError(422, "Invalid", f"the patch does not fit: {error}") from error
    return after

"""What `validate` does with columns that hold personal data: `data.personal` in force.

A champion's inputs stay what they are: what the champion answers, no challenger turns away.
"""

from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from driftloop.spec import DataSpec
from driftloop.spec.pseudonyms import pseudonym
from driftloop.stages.personaldata import PersonalColumn, PersonalDataError, find_personal
from driftloop.stages.records import DroppedColumn

POLICY = "(data.personal)"
"""Ends the reason for which a column was left out: its values are shown nowhere."""


@dataclass(frozen=True)
class Withheld:
    """What is not handed on as it came."""

    dropped: list[DroppedColumn] = field(default_factory=list)
    hashed: dict[str, Any] = field(default_factory=dict)
    """Columns of hashes, by name."""


def protect(
    columns: Mapping[str, pa.Array],
    offered: MutableMapping[str, pa.Array],
    data: DataSpec,
    *,
    kept: Collection[str],
    notes: list[str],
) -> Withheld:
    """Take what shall be no input out of `offered`, and note what was found and done.

    Args:
        columns: all columns of the rows.
        offered: those that may become inputs.
        data: its `personal` says what to do, and its roles which columns are needed as they are.
        kept: inputs of a model that exists; they stay.
        notes: sentences for the report.

    Raises:
        PersonalDataError: there are some, and the policy is Refuse.
    """
    found = find_personal(columns)
    if found and data.personal == "Refuse":
        raise PersonalDataError(found)
    withheld = Withheld()
    needed = {data.target_column, data.time_column, data.key_column, data.action_column, data.propensity_column}
    for name, personal in found.items():
        holds = f"{'mentions' if personal.is_mentioned else 'holds'} {personal.what}"
        if name in kept:
            notes.append(f"'{name}' {holds}; it stays an input because the model has it")
        elif name in needed:
            notes.append(f"'{name}' {holds}; it stays as it is, because its role needs it")
        elif data.personal == "Hash" and not personal.is_mentioned:
            withheld.hashed[name] = as_pseudonyms(columns[name])
            notes.append(f"'{name}' {holds}; its values were replaced by hashes")
        elif name in offered and _is_dropped(personal, data.personal):
            del offered[name]
            withheld.dropped.append(DroppedColumn(name=name, reason=f"{holds} {POLICY}"))
        else:
            notes.append(f"'{name}' {holds}")
    return withheld


def as_pseudonyms(column: pa.Array) -> pa.Array:
    """Return a column of hashes, null where a value is missing."""
    encoded = column.dictionary_encode()
    hashes = pa.array([pseudonym(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return hashes.take(encoded.indices)


def _is_dropped(personal: PersonalColumn, policy: str) -> bool:
    return policy in ("Drop", "Hash") or (policy == "Auto" and not personal.is_mentioned)

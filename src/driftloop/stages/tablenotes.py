"""Notes about how a table came to be: plain sentences that travel in its metadata from `collect` to `validate`."""

import json
from collections.abc import Iterable

import pyarrow as pa

_NOTES = b"driftloop.notes"


def reading_notes(table: pa.Table) -> list[str]:
    """Return what was read or made in a special way."""
    notes: list[str] = json.loads((table.schema.metadata or {}).get(_NOTES, b"[]"))
    return notes


def with_notes(table: pa.Table, notes: Iterable[str]) -> pa.Table:
    """Return the table with these notes and no others."""
    told = list(dict.fromkeys(notes))
    return table.replace_schema_metadata({_NOTES: json.dumps(told)} if told else None)

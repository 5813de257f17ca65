"""Which records may share a file: those with the same columns, none of which would have to change its type.

Text beside numbers would turn the numbers into text, and what a window reads would depend on what else was committed
with it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import pyarrow as pa

from driftloop.predictionlog.records import Label, PredictionBatch, Value

Layout: TypeAlias = dict[str, object]
"""Type of each column; None while all its values are null, which goes with any type."""

T = TypeVar("T")


def group_by_layout(items: Iterable[T], layout_of: Callable[[T], Layout]) -> list[list[T]]:
    """Part the items into groups of compatible layouts, keeping their order."""
    groups: list[tuple[Layout, list[T]]] = []
    for item in items:
        layout = layout_of(item)
        for known, members in groups:
            if _fit(known, layout):
                known.update((name, kind) for name, kind in layout.items() if kind is not None)
                members.append(item)
                break
        else:
            groups.append((layout, [item]))
    return [members for _, members in groups]


def layout_of_batch(batch: PredictionBatch) -> Layout:
    """Return the layout of one request's rows."""
    return {
        **{f"features.{name}": _kind(values) for name, values in batch.features.items()},
        **{f"outputs.{name}": _kind(values) for name, values in batch.outputs.items()},
    }


def layout_of_label(label: Label) -> Layout:
    """Return the layout of one label."""
    return {"label": _kind((label.label,))}


def layout_of_schema(schema: pa.Schema) -> Layout:
    """Return the layout of a file."""
    return {field.name: None if pa.types.is_null(field.type) else str(field.type) for field in schema}


def _fit(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return one == other or (
        one.keys() == other.keys()
        and all(kind is None or one[name] is None or kind == one[name] for name, kind in other.items())
    )


def _kind(values: Sequence[Value]) -> object:
    """Return the kind that `columns.typed` gives the values.

    >>> _kind([1, None, 2.5]), _kind([True]), _kind(["a", 1]), _kind([None])
    ('number', 'boolean', 'text', None)
    """
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if not kinds:
        return None
    if kinds == {bool}:
        return "boolean"
    if kinds <= {bool, int, float}:
        return "number"
    return "list" if kinds == {list} else "text"

"""What of the rows a Bento carries with it, and whom that may tell of; for `assess`. It reads records, never the rows.

A Bento is copied, kept and served where the data are not. Must not import pandas or scikit-learn.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from driftloop.reports.markup import name
from driftloop.reports.page import paragraph, section, table
from driftloop.stages.judgements import Membership
from driftloop.stages.records import Evaluation, Privacy, RareCategories

FEWEST_PEOPLE = 5
"""A category of fewer rows points at few people; statistical offices publish no smaller counts."""
TELLING_ADVANTAGE = 0.2
"""Advantage at which advice is given; a forest that knows its rows by heart has 0.5, a good model of many rows 0.1."""


def inspect_package(baseline: Mapping[str, Any], sample: Mapping[str, Any], evaluation: Evaluation) -> Privacy:
    """Return what the package holds.

    Args:
        baseline: content of `baseline.json`.
        sample: content of `sample.json`.
        evaluation: what was found out about the model.
    """
    columns = baseline.get("features", ())
    rare = []
    for column in columns:
        counts = [count for count in column.get("counts", {}).values() if count < FEWEST_PEOPLE]
        if counts:
            rare.append(RareCategories(column=column["name"], categories=len(counts), fewest_rows=min(counts)))
    listed = [
        column["name"]
        for column in columns
        if column.get("quantiles") and len(column["quantiles"]) >= column["present"]
    ]
    return Privacy(
        sample_rows=len(sample.get("predictions", ())),
        rare_categories=tuple(rare),
        listed_columns=tuple(listed),
        parts_with_rows=evaluation.examination.parts_with_rows,
        membership=evaluation.examination.membership,
    )


def tell(found: Privacy) -> Iterator[str]:
    """Yield it in plain sentences, advice with it."""
    carries = f"The package carries {found.sample_rows} rows to verify the model with (sample.json)"
    if found.parts_with_rows:
        parts = ", ".join(found.parts_with_rows)
        yield (
            f"{carries}, and training rows inside the model: {parts} keep(s) them. Choose another algorithm, or "
            "another filling, where they must not leave the place of training."
        )
    else:
        yield f"{carries}, without sensitive columns and target, and no other whole row."
    if found.rare_categories:
        told = ", ".join(
            f"'{one.column}' ({one.categories}, the rarest {one.fewest_rows} row(s))" for one in found.rare_categories
        )
        yield (
            f"Categories of fewer than {FEWEST_PEOPLE} rows are named in it and may point at single people: {told}. "
            "Merge rare categories where a column tells of people."
        )
    if found.listed_columns:
        yield (
            f"There are so few rows that the sketches hold every single value, each column by itself: "
            f"{', '.join(found.listed_columns)}."
        )
    if found.membership:
        yield tell_membership(found.membership)


def tell_membership(found: Membership) -> str:
    """Return what the advantage means for the people in the data."""
    told = (
        "By how sure an answer is, a stranger could tell training rows from others with an advantage of "
        f"{found.advantage:.3f} (0: not at all, 1: always)."
    )
    if found.advantage <= TELLING_ADVANTAGE:
        return f"{told} That is little."
    return (
        f"{told} That is much: a simpler model or more rows would keep more to itself. Where it matters that somebody "
        "is in the data at all, do not publish its probabilities."
    )


def build_privacy_section(found: Privacy) -> str:
    """Return the section of the page of `assess`."""
    rows = [(name(one.column), f"{one.categories:,}", f"{one.fewest_rows:,}") for one in found.rare_categories]
    head = ("Column", f"Categories of fewer than {FEWEST_PEOPLE} rows", "Rows of the rarest")
    return section(
        "What the package tells of the people in the data",
        *(paragraph(text) for text in tell(found)),
        table(head, rows, numbers=(1, 2)) if rows else "",
    )

"""docs/life-cycle.md: every field of the ModelLoop and every stage has its place, every option says what it does."""

import doctest

from driftloop.spec.reference import field_reference
from tools import generate, life_cycle

# What identifies a loop is no part of the work.
NO_WORK = ("apiVersion", "kind", "metadata")


def test_every_field_has_its_place():
    shown = {field.path for step in life_cycle.STEPS for field in life_cycle.fields_of(step)}
    fields = {path for path, field in field_reference().items() if not life_cycle._is_group(field)}
    assert {path for path in fields - shown if not path.startswith(NO_WORK)} == set()


def test_every_component_has_its_place():
    folders = {path.parent.name for path in (generate.ROOT / "components").glob("*/component.py")}
    sample_of_feasibility = {"sample"}
    assert {name for step in life_cycle.STEPS for name in step.components} == folders - sample_of_feasibility


def test_every_option_of_the_stages_says_what_it_does():
    stages = ("spec.preparation.", "spec.training.", "spec.acceptance.", "spec.data.")
    silent = [
        (path, choice)
        for path, field in field_reference().items()
        if path.startswith(stages) and field.choices and path != life_cycle._ALGORITHMS
        for choice, meaning in life_cycle.meanings(field.description, field.choices).items()
        if not meaning and choice != "None"
    ]
    assert silent == []


def test_the_examples_in_docstrings_are_true():
    assert doctest.testmod(life_cycle).failed == 0

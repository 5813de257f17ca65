import doctest
import re

import pytest

from driftloop.spec import ModelLoop, boundary, documents, problems
from driftloop.spec.reference import field_reference, fields_below, modelloop_schema, noted_fields


def test_every_field_says_what_it_means():
    assert [field.path for field in field_reference().values() if not field.description] == []


def test_every_field_is_camel_case_as_in_the_kubernetes_api():
    assert [path for path in field_reference() if not re.fullmatch(r"([a-z]+[A-Za-z]*\.?)+", path)] == []


def test_every_choice_is_camel_case_or_a_librarys_name():
    choices = {choice for field in field_reference().values() for choice in field.choices}
    library_names = {"driftloop.dev/v1alpha1", "demographic_parity_difference", "equalized_odds_difference"}
    assert [choice for choice in choices - library_names if not re.fullmatch(r"[A-Z][A-Za-z0-9]+", choice)] == []


def test_defaults_are_written_as_in_a_file():
    reference = field_reference()
    assert reference["spec.training.timeout"].default == "10m"
    assert reference["spec.retraining.limit.per"].default == "7d"
    assert reference["spec.data.uri"].is_required


def test_the_schema_accepts_its_own_defaults(minimal):
    groups = modelloop_schema()["$defs"]["ModelLoopSpec"]["properties"]
    written = {name: group["default"] for name, group in groups.items() if "default" in group}
    loop = ModelLoop.model_validate(minimal)
    minimal["spec"] |= written
    assert ModelLoop.model_validate(minimal) == loop


def test_types_are_told_in_words():
    reference = field_reference()
    assert reference["spec.data.minRows"].type == "whole number, at least 30"
    assert reference["spec.promotion.approval"].type == "`Automatic` or `Manual`"
    assert reference["spec.retraining.schedule"].type == "text"
    assert reference["spec.data.sensitiveColumns"].type == "list of text"
    assert reference["spec.problem.successCriteria.goal"].is_required


def test_the_fields_of_a_group_are_its_own_only():
    assert fields_below("") == ["apiVersion", "kind", "metadata", "spec"]
    assert fields_below("spec.promotion") == ["approval"]


def test_a_file_that_sets_no_field_without_effect_gets_no_notice(minimal):
    assert noted_fields(ModelLoop.model_validate(minimal)) == []


def test_every_field_without_effect_that_is_set_is_named_once_even_with_its_default(minimal):
    minimal["spec"] |= {
        "serving": {"rollout": {"type": "Canary"}, "minReplicas": 1},
        "preparation": {"scaling": "None"},
    }
    assert {field.path: field.note for field in noted_fields(ModelLoop.model_validate(minimal))} == {
        "spec.serving.minReplicas": "A laptop ignores it.",
        "spec.serving.rollout": "No effect in this version.",
    }


@pytest.mark.parametrize("module", [boundary, documents, problems])
def test_the_examples_in_docstrings_are_true(module):
    assert doctest.testmod(module).failed == 0

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from driftloop.spec.documents import path_of, quote_if_needed, read_documents


def read(text):
    [document] = read_documents(text, "f.yaml")
    return document


def test_values_are_read_as_yaml_1_2_reads_them():
    document = read("{a: true, b: -3, c: 1e-3, d: .5, e: text, f: '1', g: null, h: [x, ~], i: False}")
    assert document.value == {
        "a": True, "b": -3, "c": 0.001, "d": 0.5, "e": "text", "f": "1", "g": None, "h": ["x", None], "i": False,
    }  # fmt: skip
    assert not document.problems


@pytest.mark.parametrize(
    "trap",
    ["yes", "No", "ON", "off", "y", "N", "010", "0x1F", "0o17", "1_000", "12:30", "2013-01-01", "<<", "="],
)
def test_what_yaml_readers_take_differently_is_refused_with_the_quotes_to_add(trap):
    [problem] = read(f"a: {trap}").problems
    assert problem.path == "a"
    assert problem.value == trap
    assert f'Quote it ("{trap}")' in problem.remedy
    assert read(f"a: '{trap}'").problems == ()


def test_a_key_can_be_a_trap_too():
    [problem] = read("on: push").problems
    assert problem.path == "on"


@pytest.mark.parametrize("number", [".nan", ".inf", "-.INF", "1e999"])
def test_numbers_that_are_not_finite_are_refused(number):
    [problem] = read(f"a: {number}").problems
    assert problem.constraint == "must be a finite number"


def test_a_repeated_key_is_refused_with_both_lines():
    [problem] = read("a: 1\nb: 2\na: 3\n").problems
    assert (problem.path, problem.line) == ("a", 3)
    assert problem.remedy == "Line 1 has it already: remove one."


def test_lines_are_those_of_keys_and_of_the_nearest_parent():
    document = read("a:\n  b:\n    - 1\n    - 2\n")
    assert document.line(("a", "b")) == 2
    assert document.line(("a", "b", 1)) == 4
    assert document.line(("a", "missing")) == 1


def test_anchors_are_followed():
    assert read("a: &x {c: 1}\nb: *x\n").value == {"a": {"c": 1}, "b": {"c": 1}}


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a0: &a0 [x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 9)),
    ],
    ids=["endless", "laughs"],
)
def test_a_document_that_grows_without_end_is_refused(text):
    [problem] = read(text).problems
    assert "must" in problem.constraint
    assert "anchors" in problem.remedy


def test_nesting_too_deep_for_the_parser_is_refused():
    [problem] = read("[" * 5_000).problems
    assert problem.path == ""


@pytest.mark.parametrize("text", ["a: !!python/object:os.system x", "a: !secret x"])
def test_tags_are_refused(text):
    assert any("must be written without a YAML tag" in problem.constraint for problem in read(text).problems)


def test_half_a_character_does_no_harm():
    assert read(r'a: "\ud800"').value == {"a": "\ufffd"}


def test_a_syntax_error_has_its_line_and_hides_no_earlier_document():
    first, second = read_documents("a: yes\n---\nb: [1\n", "f.yaml")
    assert first.problems[0].path == "a"
    assert second.problems[0].constraint == "must be valid YAML or JSON"
    assert second.problems[0].line == 4


def test_tabs_for_indentation_are_named():
    [problem] = read("a:\n\tb: 1\n").problems
    assert problem.remedy == "Indent with spaces, not tabs."


def test_control_characters_are_refused():
    [problem] = read("a: \x00").problems
    assert problem.constraint == "must be valid YAML or JSON"


# Keys are bounded: YAML reads one of at most 1,024 characters, and an escape may take twelve of them.
json_values = st.recursive(
    st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=100), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_json_is_read_as_json(value):
    assert read(json.dumps(value)).value == value


@given(st.text() | st.sampled_from(["no", "1", "null", "a.b", "x y", "12:30", "", "~", "#", "-"]))
def test_quoted_text_is_text_to_every_reader(text):
    line = f"a: {quote_if_needed(text)}"
    assert read(line).value == {"a": text}
    assert read(line).problems == ()
    if text.isascii() and text.isprintable():
        assert yaml.safe_load(line) == {"a": text}


def test_paths_are_written_as_people_do():
    assert path_of(("spec", "a", 0, "b")) == "spec.a[0].b"
    assert path_of(("metadata", "labels", "x.y/z")) == "metadata.labels['x.y/z']"

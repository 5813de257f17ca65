import json

import pytest
import yaml

from driftloop.spec.loading import load_modelloops, read_modelloop
from driftloop.spec.problems import InvalidModelLoopError

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: modelloop-notes}\n"


def test_every_error_of_every_file_is_told_at_once(write, minimal, problems, tmp_path):
    write(minimal | {"kind": "Modelloop"}, "a.yaml")
    minimal["metadata"]["name"] = "two"
    minimal["spec"]["data"] |= {"minRows": 5, "url": "x"}
    write(minimal, "deep/b.yml")
    write("apiVersion: driftloop.dev/v1alpha1\nkind: [\n", "c.yaml")
    told = [(problem.file.removeprefix(f"{tmp_path}/"), problem.path) for problem in problems(tmp_path)]
    assert told == [
        ("a.yaml", "kind"),
        ("c.yaml", ""),
        ("deep/b.yml", "spec.data.minRows"),
        ("deep/b.yml", "spec.data.url"),
    ]


def test_a_problem_names_file_line_field_loop_constraint_and_value(write, minimal, problems):
    minimal["spec"]["data"]["minRows"] = 5
    file = write(minimal)
    line = 1 + file.read_text().splitlines().index("    minRows: 5")
    [problem] = problems(file)
    assert str(problem) == f"{file}:{line}: The 'spec.data.minRows' of ModelLoop 'energy' must be at least 30. Got 5."


def test_files_use_the_names_of_the_format_only(write, minimal, problems):
    minimal["spec"]["data"]["min_rows"] = 500
    assert [problem.remedy for problem in problems(write(minimal))] == ["Did you mean 'minRows'?"]


def test_an_empty_group_means_its_defaults(write, minimal):
    file = write(yaml.safe_dump(minimal) + "  training:\n  governance: {owner: ~}\n")
    assert read_modelloop(file).spec.governance.owner == ""


def test_an_unknown_field_is_told_even_when_empty(write, minimal, problems):
    file = write(yaml.safe_dump(minimal) + "  trainng:\n")
    assert [problem.remedy for problem in problems(file)] == ["Did you mean 'training'?"]


def test_one_value_is_complained_about_once(write, minimal, problems):
    text = yaml.safe_dump(minimal).replace("energy.csv", "010")
    assert [problem.path for problem in problems(write(text))] == ["spec.data.uri"]


def test_other_kinds_of_objects_are_passed_over(write, minimal):
    file = write(
        f"{CONFIG_MAP}---\n{yaml.safe_dump(minimal)}---\n---\nkind: DriftReport\napiVersion: driftloop.dev/v1alpha1\n"
    )
    assert [loop.metadata.name for loop in load_modelloops(file)] == ["energy"]


def test_a_folder_may_hold_charts_data_and_hidden_files(write, minimal, tmp_path):
    write(minimal)
    write("{{ .Values.loop }}", "templates/x.yaml")
    write("driftloop: {monitor: {}}", "values.yaml")
    write("- driftloop.dev", "list.yml")
    write(CONFIG_MAP, "notes.yaml")
    write("[", "data.json")
    write("kind: ModelLoop", ".hidden/x.yaml")
    write("kind: ModelLoop", "readme.md")
    assert len(load_modelloops(tmp_path)) == 1


def test_json_is_read_too_even_with_tabs(write, minimal):
    file = write(json.dumps(minimal, indent="\t"), "loop.json")
    assert read_modelloop(file).metadata.name == "energy"


def test_a_byte_order_mark_does_no_harm(write, minimal):
    assert read_modelloop(write("\ufeff" + yaml.safe_dump(minimal))).metadata.name == "energy"


def test_two_loops_of_one_name_are_refused(write, minimal, problems, tmp_path):
    write(minimal, "a.yaml")
    write(minimal, "b.yaml")
    [problem] = problems(tmp_path)
    assert problem.path == "metadata.name"
    assert problem.remedy == f"{tmp_path}/a.yaml:1 has it already."


def test_one_name_in_two_namespaces_is_two_loops(write, minimal, tmp_path):
    write(minimal, "a.yaml")
    minimal["metadata"]["namespace"] = "prod"
    write(minimal, "b.yaml")
    assert len(load_modelloops(tmp_path)) == 2


@pytest.mark.parametrize(
    ("content", "constraint"),
    [
        ("", "must hold a ModelLoop"),
        ("# nothing\n", "must hold a ModelLoop"),
        (CONFIG_MAP, "must hold a ModelLoop"),
        ("- a\n- b\n", "must hold a mapping with apiVersion, kind, metadata and spec"),
        ("just text", "must hold a mapping with apiVersion, kind, metadata and spec"),
        ("a: [", "must be valid YAML or JSON"),
        ("# " + "x" * 1_048_576, "must be at most 1 MiB"),
    ],
)
def test_a_file_that_is_no_modelloop_is_told_so(write, problems, content, constraint):
    [problem] = problems(write(content))
    assert problem.constraint == constraint
    assert str(problem).split(": ")[1].startswith("The file must")


def test_a_binary_file_is_told_so(tmp_path, problems):
    file = tmp_path / "loop.yaml"
    file.write_bytes(b"\x80\x81driftloop.dev")
    assert [problem.constraint for problem in problems(file)] == ["must be text in UTF-8"]
    assert [problem.constraint for problem in problems(tmp_path)] == ["must be text in UTF-8"]


def test_a_missing_path_and_an_empty_folder_are_told(tmp_path, problems):
    assert str(problems(tmp_path / "no")[0]) == f"{tmp_path}/no: The file must exist. Check the path."
    assert "must hold a ModelLoop in a .yaml, .yml or .json file" in str(problems(tmp_path)[0])


def test_reading_one_loop_refuses_several(write, minimal, tmp_path):
    write(minimal, "a.yaml")
    minimal["metadata"]["name"] = "other"
    write(minimal, "b.yaml")
    with pytest.raises(InvalidModelLoopError, match=r"must hold exactly one ModelLoop\. Got 'energy', 'other'"):
        read_modelloop(tmp_path)


def test_the_error_is_the_users_and_carries_every_sentence(write, minimal):
    minimal["spec"]["data"] |= {"minRows": 5, "uri": ""}
    with pytest.raises(InvalidModelLoopError) as caught:
        load_modelloops(write(minimal))
    assert caught.value.exit_code == 2
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]

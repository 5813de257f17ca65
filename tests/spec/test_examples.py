from pathlib import Path

import pytest
import yaml

from driftloop.spec.documents import read_documents
from driftloop.spec.loading import load_modelloops

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(file for file in EXAMPLES.rglob("*.y*ml"))


def test_there_are_the_short_and_the_full_form():
    assert {"minimal.yaml", "full.yaml"} <= {file.name for file in FILES}


def test_all_examples_are_valid_together():
    assert load_modelloops(EXAMPLES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_readers_of_yaml_1_1_and_1_2_take_an_example_alike(file):
    text = file.read_text(encoding="utf-8")
    documents = read_documents(text, file.name)
    assert [problem for document in documents for problem in document.problems] == []
    assert [document.value for document in documents] == list(yaml.safe_load_all(text))


def test_the_short_form_is_six_lines():
    lines = (EXAMPLES / "minimal.yaml").read_text(encoding="utf-8").splitlines()
    assert sum(not line.startswith("#") for line in lines) == 6

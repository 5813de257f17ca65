import json
from pathlib import Path

from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.spec.reference import field_reference

PAGE = Path(__file__).parents[2] / "docs" / "modelloop.md"


def schema(*arguments):
    outcome = CliRunner().invoke(build_app(), ["schema", *arguments])
    assert outcome.exit_code == 0
    return outcome.stdout


def test_the_schema_is_json_with_descriptions():
    document = json.loads(schema())
    assert document["$schema"].startswith("https://json-schema.org/")
    assert document["$defs"]["DataSpec"]["properties"]["targetColumn"]["description"].startswith("Column to predict; ")


def test_the_table_has_a_row_for_every_field_that_is_no_heading():
    table = schema("--markdown")
    headings = [line for line in table.splitlines() if line.startswith("## `spec.")]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert len(headings) + len(rows) == len(field_reference())


def test_the_table_says_what_is_required_and_what_has_no_effect():
    rows = schema("--markdown").splitlines()
    assert any(row.startswith("| `uri` | text | **required** | Parquet, CSV or JSON lines") for row in rows)
    assert sum("*No effect in this version.*" in row for row in rows) == 2
    assert sum("*A laptop ignores it.*" in row for row in rows) > 10


def test_every_row_of_the_table_has_four_cells():
    rows = [line for line in schema("--markdown").splitlines() if line.startswith("|")]
    assert {row.replace(r"\|", "").count("|") for row in rows} == {5}


def test_the_page_in_the_documentation_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == schema("--markdown"), "Run: make generate"

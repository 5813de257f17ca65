"""Tables that no model can be made of: `driftloop init` says why, in the pipeline's words, and writes nothing."""
# ruff: noqa: E501 - messages stand here as people see them

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from driftloop.cli.app import build_app

ROWS = 120


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(**columns) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.normal(size=ROWS).round(3), "late": ["yes", "no"] * (ROWS // 2)})
    return frame.assign(**columns)


def init(*arguments):
    return CliRunner().invoke(build_app(), ["init", "t.csv", "--target", "late", *arguments])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            table().rename(columns={"late": "lat"}),
            "The target 'late' must be a column of the data. Did you mean 'lat'?",
        ),
        (
            table(late="yes"),
            ("The target 'late' of a Classification must have at least two classes. Got only 'yes'. Collect rows of the "
            "other classes."),
        ),
        (
            table(late=np.nan),
            "The target 'late' must have values. Got none in the first 120 rows.",
        ),
        (
            table(late=[f"class {row}" for row in range(ROWS)]),
            ("The target 'late' of a Classification must have at most 100 classes. Got 120. Use the task Regression for "
            "numbers, or group the classes."),
        ),
        (
            table(late=["yes"] * (ROWS - 3) + ["no"] * 3),
            ("The target 'late' of a Classification must have at least 10 rows of each class. Got 3 of 'no'. Collect "
            "more rows of it, or merge it with another class."),
        ),
        (
            table(x=[str(n) for n in range(ROWS - 1)] + ["abc"]),
            ("The column 'x' of 't.csv' must hold values of one type. Got numbers in 119 rows and something else in 1 "
            "('abc' in line 121). Correct those cells or leave them empty."),
        ),
        (
            table(day=["01/02/2013", "2013-02-01"] * (ROWS // 2)),
            ("The column 'day' of 't.csv' must hold dates that can be read in one way only. Got '01/02/2013', which may "
            "be 1 February 2013 or 2 January 2013, beside '2013-02-01'. Write every date as in 2013-02-01 (ISO 8601)."),
        ),
    ],
    ids=["missing target", "one class", "no target", "many classes", "rare class", "mixed types", "date formats"],
)  # fmt: skip
def test_the_reason_is_told_and_nothing_is_written(frame, message):
    frame.to_csv("t.csv", index=False)
    outcome = init()
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (2, "", f"{message}\n")
    assert not Path("t.yaml").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The data at 't.csv' must have rows. Got none. Check how the file was written."),
        (b"x,late\n", "The data at 't.csv' must have rows. Got none. Check how the file was written."),
        (
            b"x,x,late\n1,2,a\n",
            "The columns at 't.csv' must have different names. More than once: 'x'. Rename or remove them.",
        ),
        (
            b"\x00\x01\x02\x03" * 100 + b"abcdefgh" * 200,
            ("The file 't.csv' must be a CSV, Parquet or JSON lines table. It can't be read: it holds binary data. Save the table as "
            "CSV or Parquet."),
        ),
    ],
    ids=["empty", "header only", "duplicate names", "binary"],
)  # fmt: skip
def test_a_file_that_is_no_table_is_told(content, message):
    Path("t.csv").write_bytes(content)
    outcome = init()
    assert (outcome.exit_code, outcome.stderr) == (2, f"{message}\n")


def test_a_folder_and_an_absent_file_are_told():
    message = "The data 't.csv' must be a local file. Check the path.\n"
    assert (init().exit_code, init().stderr) == (2, message)
    Path("t.csv").mkdir()
    assert (init().exit_code, init().stderr) == (2, message)


def test_a_single_row_gets_a_file_and_the_reason_why_a_run_would_refuse_it():
    Path("t.csv").write_text("x,late\n1,yes\n")
    outcome = init()
    assert outcome.exit_code == 0
    assert (
        "  mend first: The data must have at least 30 rows with a target ('data.minRows'). Got 1. Collect more rows, or "
        "lower 'data.minRows'.\n"
    ) in outcome.stdout


def test_columns_that_teach_nothing_are_named():
    names = [f"name {row}" for row in range(ROWS)]
    table(empty=np.nan, same=1, name=names).to_csv("t.csv", index=False)
    outcome = init()
    assert outcome.exit_code == 0
    assert [line for line in outcome.stdout.splitlines() if "left out" in line] == [
        "  left out: 'empty' has no values",
        "  left out: 'same' has the same value in every row (1)",
        "  left out: 'name' looks like an identifier (120 different values in 120 rows)",
    ]


def test_ten_thousand_categories_are_no_obstacle():
    rows = 40_000
    codes = np.random.default_rng(0).integers(10_000, size=rows)
    pd.DataFrame({"shop": [f"shop {code}" for code in codes], "late": ["yes", "no"] * (rows // 2)}).to_csv(
        "t.csv", index=False
    )
    assert init("--json").exit_code == 0
    explained = CliRunner().invoke(build_app(), ["explain", "t.yaml", "--json"])
    [shop] = json.loads(explained.stdout)["columns"]
    assert shop["type"].startswith("categorical")
    assert shop["preparation"] == "target-encoded, cross-fitted; standardised"


def test_what_was_read_in_a_special_way_is_told():
    frame = table(
        price=[f'"{1000 + row:,}.50"' for row in range(ROWS)], day=[f"{1 + row % 28}.02.2013" for row in range(ROWS)]
    )
    Path("t.csv").write_bytes(
        ("\n".join(",".join(map(str, row)) for row in [frame.columns, *frame.to_numpy()]) + "\n").encode("utf-16")
    )
    outcome = init()
    assert outcome.stdout.splitlines() == [
        "wrote t.yaml: Classification of 'late' by roc_auc",
        "  the text was read as UTF-16",
        "  'price': '1,000.50' was read as 1000.5",
        "  'day': dates were read day first, such as '1.02.2013'",
        "next: driftloop validate t.yaml",
    ]  # fmt: skip

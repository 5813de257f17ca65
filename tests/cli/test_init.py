from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.spec import ModelLoop, Task
from driftloop.spec.loading import read_modelloop

ROWS = 60


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def flights() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "flight_id": [f"AA{n}" for n in range(ROWS)],
            "departure": pd.date_range("2013-01-01", periods=ROWS, freq="h"),
            "carrier": ["AA", "UA", "DL"] * (ROWS // 3),
            "late": [n % 4 == 0 for n in range(ROWS)],
            "minutes": [n * 1.5 for n in range(ROWS)],
            "stops": [n % 3 for n in range(ROWS)],
            "seats": [100 + n for n in range(ROWS)],
        }
    )


def init(*arguments):
    return CliRunner().invoke(build_app(), ["init", *map(str, arguments)])


def loop_of(file: str) -> ModelLoop:
    return read_modelloop(Path(file))


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_table_becomes_a_valid_short_loop(flights, format_):
    getattr(flights, f"to_{format_}")(f"flights.{format_}", index=False)
    outcome = init(f"flights.{format_}", "--target", "late")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.splitlines()[0] == "wrote flights.yaml: Classification of 'late' by roc_auc"
    data = loop_of("flights.yaml").spec.data
    assert (data.uri, data.target_column) == (f"flights.{format_}", "late")
    assert (data.time_column, data.key_column) == ("departure", "flight_id")


@pytest.mark.parametrize(
    ("target", "task"),
    [
        ("late", Task.CLASSIFICATION),
        ("carrier", Task.CLASSIFICATION),
        ("stops", Task.CLASSIFICATION),
        ("minutes", Task.REGRESSION),
        ("seats", Task.REGRESSION),
    ],
)
def test_the_task_follows_from_the_target(flights, target, task):
    flights.to_csv("flights.csv", index=False)
    assert init("flights.csv", "--target", target).exit_code == 0
    assert loop_of("flights.yaml").spec.problem.task is task


def test_what_is_ambiguous_is_offered_as_a_comment(flights):
    flights.assign(arrival=flights["departure"], trip_id=range(ROWS)).to_parquet("flights.parquet")
    assert init("flights.parquet", "--target", "late").exit_code == 0
    comments = [line.strip() for line in Path("flights.yaml").read_text().splitlines() if "#" in line]
    offered = ["timeColumn: departure", "timeColumn: arrival", "keyColumn: flight_id", "keyColumn: trip_id"]
    assert comments == [f"# {line}" for line in offered]
    assert loop_of("flights.yaml").spec.data.time_column is None


def test_few_rows_prove_no_key(flights):
    flights.head(10).to_csv("flights.csv", index=False)
    init("flights.csv", "--target", "late")
    assert loop_of("flights.yaml").spec.data.key_column is None


def test_an_index_is_a_column_too(flights):
    flights.set_index("flight_id").to_parquet("flights.parquet")
    init("flights.parquet", "--target", "late")
    assert loop_of("flights.yaml").spec.data.key_column == "flight_id"


def test_names_that_yaml_would_misread_are_quoted(flights):
    flights.rename(columns={"late": "no", "departure": "12:30"}).to_csv("2013.csv", index=False)
    assert init("2013.csv", "--target", "no").exit_code == 0
    loop = loop_of("2013.yaml")
    assert (loop.metadata.name, loop.spec.data.target_column, loop.spec.data.time_column) == ("2013", "no", "12:30")


def test_a_file_name_becomes_a_loop_name(flights):
    flights.to_csv("Flights_of (2013).csv", index=False)
    init("Flights_of (2013).csv", "--target", "late")
    assert loop_of("flights-of-2013.yaml").metadata.name == "flights-of-2013"


def test_data_elsewhere_are_named_in_full(flights, tmp_path_factory):
    data = tmp_path_factory.mktemp("elsewhere") / "flights.csv"
    flights.to_csv(data, index=False)
    init(data, "--target", "late")
    assert loop_of("flights.yaml").spec.data.uri == str(data)


def test_an_existing_file_is_overwritten_only_by_force(flights):
    flights.to_csv("flights.csv", index=False)
    Path("flights.yaml").write_text("mine")
    outcome = init("flights.csv", "--target", "late")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        "The file 'flights.yaml' exists already. Overwrite it with --force, or choose a --name.\n"
    )
    assert Path("flights.yaml").read_text() == "mine"
    assert init("flights.csv", "--target", "late", "--force").exit_code == 0
    assert init("flights.csv", "--target", "late", "--name", "other").exit_code == 0
    assert loop_of("flights.yaml") != loop_of("other.yaml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("flights.csv", "--target", "Latte"), "must be a column of the data. Did you mean 'late'?"),
        (("flights.csv", "--target", "zzz"), "must be a column of the data. The columns are: flight_id, departure,"),
        (("flights.csv", "--target", "departure"), "must be a number or a class. Got dates."),
        (("flights.csv", "--target", "empty"), "must have values. Got none in the first 60 rows."),
        (("flights.csv", "--target", "late", "--name", "../x"), "must consist of lower-case letters, digits"),
        (("nothing.csv", "--target", "late"), "must be a local file"),
        (("flights.xlsx", "--target", "late"), "must be a .parquet, .csv or .jsonl file. Got '.xlsx'."),
        (("broken.parquet", "--target", "late"), "can't be read as parquet:"),
        (("broken.csv", "--target", "late"), "must have rows. Got none."),
        (("header.csv", "--target", "late"), "must have rows. Got none."),
        (("航空.csv", "--target", "late"), "Give one with --name."),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_with_the_reason(flights, arguments, message):
    flights.assign(empty=None).to_csv("flights.csv", index=False)
    flights.to_csv("航空.csv", index=False)
    Path("flights.xlsx").write_text("x")
    Path("broken.parquet").write_text("x")
    Path("broken.csv").write_text("")
    Path("header.csv").write_text("a,late\n")
    outcome = init(*arguments)
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not list(Path().glob("*.yaml"))


@pytest.mark.parametrize(("rows", "stated"), [(10, 30), (60, 60), (200, None)])
def test_a_small_table_gets_a_min_rows_it_can_meet(rows, stated):
    pd.DataFrame({"x": range(rows), "y": [row % 2 for row in range(rows)]}).to_csv("small.csv", index=False)
    assert init("small.csv", "--target", "y").exit_code == 0
    assert loop_of("small.yaml").spec.data.min_rows == (stated or 200)
    assert ("minRows" in Path("small.yaml").read_text()) == (stated is not None)


@pytest.mark.parametrize("task", ["Clustering", "AnomalyDetection"])
def test_a_task_without_a_target_needs_none(flights, task):
    flights.to_csv("flights.csv", index=False)
    outcome = init("flights.csv", "--task", task)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.splitlines()[0].startswith(f"wrote flights.yaml: {task} by ")
    loop = loop_of("flights.yaml")
    assert (loop.spec.problem.task, loop.spec.data.target_column) == (task, "")
    assert init("flights.csv", "--task", task, "--target", "late", "--force").exit_code == 0
    assert loop_of("flights.yaml").spec.data.target_column == "late"


def test_without_target_and_task_nothing_is_guessed(flights):
    flights.to_csv("flights.csv", index=False)
    outcome = init("flights.csv")
    assert outcome.exit_code != 0
    assert "The option --target must name the column to predict. Got none." in outcome.output

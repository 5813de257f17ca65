"""`driftloop replay` as people call it."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from driftloop.cli import replay as command
from driftloop.cli.app import build_app
from tests.pagecheck import check_page
from tests.replay.conftest import DAYS, ROWS_A_DAY, Place


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "object":
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(command, "_memory", lambda: str(spare))

    def run(*words: object) -> Result:
        result = CliRunner().invoke(build_app(), ["replay", *map(str, words)])
        assert not list(spare.iterdir()), "a temporary folder is left"
        return result

    return run


def test_table_json_and_page_tell_the_same(place: Place, tmp_path: Path, call) -> None:  # type: ignore[no-untyped-def]
    page = tmp_path / "replay.html"
    spec = "unit_change column=wind size=1000 start=0.5 end=0.6"
    done = call(place.table, "--workspace", place.workspace.root, "--inject", spec, "--html", page, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    [finding] = report["injections"]
    assert finding["fittingAlarm"]["verdict"] == "DataFault"
    assert report["cost"]["rows"] == DAYS * ROWS_A_DAY
    texts = " ".join(check_page(page.read_text()).texts)
    assert "unit_change of wind 1000" in texts
    assert "DataFault" in texts
    told = call(place.table, "--workspace", place.workspace.root, "--inject", spec)
    assert told.exit_code == 0, told.output
    words = " ".join(told.stdout.split())
    assert f"{DAYS * ROWS_A_DAY:,} rows" in words
    assert "unit_change" in words
    assert re.search(r"alarms? outside of the injections in .* days; the budget|the budget is 1 in 30 days", words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--months", "2"], "must come with --generate"),
        (["--generate", "--months", "0"], "The --months must be greater than 0. Got 0"),
        (
            ["--inject", "mean_shift column=humidity"],
            "must name a column of the table. Got 'humidity'. Choose one of carrier, temp, wind.",
        ),
        (["--inject", "mean_shift column=late"], "must change an input of the model. 'late' is none"),
        (["--inject", "mean_shift column=wind start=2030-01-01"], "must lie within the traffic"),
        (["--inject", "new_category column=wind"], "needs a categorical column. 'wind' is numeric"),
        (["--html", "/nowhere/at/all.html"], "must exist. Make it"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_message(place: Place, call, words: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    done = call(place.table, "--workspace", place.workspace.root, *words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_what_is_missing_is_named_with_the_remedy(place: Place, call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    empty, log = tmp_path / "empty", tmp_path / "log"
    empty.mkdir()
    (log / "predictions").mkdir(parents=True)
    timeless = tmp_path / "timeless.csv"
    pd.read_parquet(place.table).drop(columns="at").head(50).to_csv(timeless, index=False)
    nothing = tmp_path / "nothing.parquet"
    pd.read_parquet(place.table).head(5).to_parquet(nothing)
    root = place.workspace.root
    for words, message in (
        ([empty, "--workspace", root], "must be a workspace or a prediction log"),
        ([log, "--workspace", root], "must hold predictions. Got none"),
        ([log], "must know the ModelLoop"),
        ([tmp_path / "gone.csv", "--workspace", root], "must be a table (CSV or Parquet), a workspace"),
        ([timeless, "--workspace", root], "must have the time column 'at' (spec.data.timeColumn)"),
        ([nothing, "--workspace", root], "must fill at least one window of 1 day"),
    ):
        done = call(*words)
        assert done.exit_code == 2, done.output
        assert message in done.stderr


def test_an_interrupted_replay_leaves_nothing(place: Place, call, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from driftloop.sidecar.evaluator import Evaluator

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Evaluator, "catch_up", interrupt)
    assert call(place.table, "--workspace", place.workspace.root).exit_code == 130

"""The compiled package, run for real by kfp.local on a small table."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from driftloop.adapters.kfp_local import (
    REPORTS_FOLDER,
    IncompleteRunError,
    PipelineFailedError,
    RunCancelledError,
    RunInProgressError,
    RunOutcome,
    StageState,
    run_training,
)
from driftloop.loop.parameters import pipeline_parameters
from driftloop.spec import DataSchema, ModelLoop, RunVerdict
from driftloop.stages.records import Assessment, Explanation

pytestmark = pytest.mark.local

ROWS = 400


@dataclass(frozen=True)
class Laptop:
    root: Path

    def parameters(
        self,
        run_key: str,
        *,
        data: str = "flights.csv",
        target: str = "late",
        champion_uri: str = "",
        code_digest: str = "code",
        **groups: dict,
    ) -> dict:
        data_group = {"uri": "flights.csv", "targetColumn": target, "timeColumn": "departure"}
        spec = {
            "problem": {"task": "Classification", "metric": {"threshold": 0.6}},
            "data": data_group | {"sensitiveColumns": ["sex"]},
            "training": {"maxTrialCount": 2},
            **groups,
        }
        loop = ModelLoop.model_validate(
            {"apiVersion": "driftloop.dev/v1alpha1", "kind": "ModelLoop", "metadata": {"name": "small"}, "spec": spec}
        )
        return pipeline_parameters(
            loop,
            data_uri=str(self.root / data),
            time_column="departure",
            algorithms=["Linear"],
            run_key=run_key,
            result_uri=str(self.root / "store" / "runs" / run_key / "result.json"),
            store_uri=str(self.root / "store"),
            champion_uri=champion_uri,
            runtime_image="driftloop-serving",
            image="driftloop-pipeline",
            code_digest=code_digest,
        )

    @property
    def places(self) -> dict:
        names = {"runs_dir": "runs", "cache_dir": "cache", "bentoml_home": "bentoml"}
        return {argument: self.root / name for argument, name in names.items()}

    def run(self, run_key: str, *, on_event=lambda _: None, cancelled=None, **options) -> RunOutcome:
        parameters = self.parameters(run_key, **options)
        return run_training(parameters, on_event=on_event, cancelled=cancelled, **self.places)


@pytest.fixture(scope="module")
def laptop(tmp_path_factory) -> Laptop:
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("laptop")
    distance = random.normal(size=ROWS)
    lines = ["departure,distance,carrier,sex,late"]
    lines += [
        f"2013-01-{1 + row // 24:02}T{row % 24:02}:00:00,{value},{random.choice(['UA', 'DL', ''])},"
        f"{'wm'[row % 2]},{late}"
        for row, (value, late) in enumerate(zip(distance, distance + random.normal(size=ROWS) > 0, strict=True))
    ]
    (root / "flights.csv").write_text("\n".join(lines))
    return Laptop(root)


@pytest.fixture(scope="module")
def first(laptop) -> RunOutcome:
    return laptop.run("first")


def run_until_validated(laptop: Laptop, run_key: str, *, on_event=lambda _: None, **options) -> None:
    cancelled = threading.Event()

    def stop_after_validation(event):
        on_event(event)
        if event.stage == "validate" and event.state is not StageState.STARTED:
            cancelled.set()

    laptop.run(run_key, on_event=stop_after_validation, cancelled=cancelled, **options)


def stages(outcome: RunOutcome, state: StageState) -> list[str]:
    return [event.stage for event in outcome.events if event.state is state]


def test_a_run_ends_in_a_verified_bento_and_one_result(laptop, first):
    result = first.result
    assert result.verdict is RunVerdict.ACCEPTED
    assert result.test_score > 0.6
    assert result.rows == ROWS
    assert result.trained_through is not None
    assert (Path(result.bento_uri) / "src" / "model" / "model.skops").exists()
    pages = {page.name: page.read_text() for page in (first.folder / REPORTS_FOLDER).iterdir()}
    assert set(pages) == {
        "validate.html",
        "clean.html",
        "transform.html",
        "resample.html",
        "select.html",
        "evaluate.html",
        "explain.html",
        "assess.html",
    }
    assert "Confusion matrix" in pages["evaluate.html"]
    assert all("Loop <b>small</b>" in pages[f"{stage}.html"] for stage in ("validate", "evaluate"))
    assert "Traceback" not in first.log.read_text()


def test_unchanged_inputs_execute_only_snapshot_package_and_register(laptop, first):
    second = laptop.run("second")
    assert stages(second, StageState.FINISHED) == ["snapshot", "package", "register"]
    assert second.result.bento_digest == first.result.bento_digest


@pytest.mark.parametrize(
    ("group", "again"),
    [
        ({"serving": {"maxReplicas": 3}}, []),
        ({"retraining": {"cooldown": "1d"}, "promotion": {"approval": "Manual"}}, []),
        # A longer window counts for more independent rows: the baseline is made again, and so the Bento.
        ({"monitoring": {"engine": "SciPy", "window": {"duration": "2d"}}}, ["evaluate", "assess", "verify"]),
    ],
    ids=["serving", "retraining", "monitoring"],
)
def test_a_change_in_how_the_model_serves_or_is_watched_trains_nothing(laptop, first, group, again):
    outcome = laptop.run(f"{next(iter(group))}-changed", **group)
    executed = stages(outcome, StageState.FINISHED)
    assert set(executed) == {"snapshot", "package", "register", *again}


def test_a_challenger_keeps_the_champions_inputs(laptop, first):
    rows = [line.split(",") for line in (laptop.root / "flights.csv").read_text().splitlines()]
    # The same flights, the carrier always known, and a column that the champion never saw.
    complete = [",".join([when, distance, carrier or "UA", late, late]) for when, distance, carrier, _, late in rows]
    (laptop.root / "complete.csv").write_text("\n".join([f"{complete[0]}st", *complete[1:]]))
    with pytest.raises(RunCancelledError):
        run_until_validated(laptop, "challenger", data="complete.csv", champion_uri=first.result.bento_uri)
    (path,) = (laptop.places["runs_dir"] / "challenger").rglob("validate/schema")
    champion, challenger = (
        DataSchema.model_validate_json(file.read_text()) for file in (*first.artifacts("validate", "schema"), path)
    )
    assert challenger.feature_names == champion.feature_names == ["distance", "carrier"]
    assert [feature.nullable for feature in challenger.features] == [False, True]


def test_a_model_is_explained_and_assessed_in_its_result_and_in_its_bento(first):
    assert [column.column for column in first.result.importance] == ["distance", "carrier"]
    [by_sex] = first.result.assessment
    assert by_sex.column == "sex"
    assert set(by_sex.differences) == {"demographic_parity_difference", "equalized_odds_difference"}
    folder = Path(first.result.bento_uri) / "src" / "model"
    assert Explanation.model_validate_json((folder / "explanation.json").read_text()).columns[0].column == "distance"
    groups = Assessment.model_validate_json((folder / "assessment.json").read_text()).columns[0].groups
    assert [(group.group, group.rows) for group in groups] == [("m", 30), ("w", 30)]
    card = (folder / "card.md").read_text()
    assert "### By `sex`" in card
    assert "Auto weights classes below 1.00 %" in card


@pytest.mark.slow
def test_a_rerun_is_a_refit_first_and_goes_on_from_the_champions_trials(laptop, first):
    def reran(run_key: str, effort: str) -> tuple[dict, str]:
        training = {"maxTrialCount": 2, "effort": effort}
        outcome = laptop.run(run_key, champion_uri=first.result.bento_uri, training=training)
        record = json.loads((Path(outcome.result.bento_uri) / "src" / "model" / "training.json").read_text())
        return record, (outcome.folder / REPORTS_FOLDER / "select.html").read_text()

    champion = json.loads((Path(first.result.bento_uri) / "src" / "model" / "training.json").read_text())
    assert {trial["algorithm"] for trial in champion["history"]} == {"Linear"}
    refitted, page = reran("refit", "Refit")
    assert refitted["params"] == champion["params"]
    assert len(refitted["history"]) == 1
    assert "nothing is tuned" in page
    tuned, page = reran("tune", "Tune")
    assert champion["params"] in [trial["params"] for trial in tuned["history"]]
    assert len(tuned["history"]) == 2


@pytest.mark.slow
def test_a_challenger_trained_on_rows_without_the_sensitive_column_is_held_by_a_limit_alone(laptop, first):
    rows = [line.split(",") for line in (laptop.root / "flights.csv").read_text().splitlines()]
    logged = [f"{when},{distance},{carrier},{late}" for when, distance, carrier, _, late in rows]
    (laptop.root / "logged.csv").write_text("\n".join(logged))
    outcome = laptop.run(
        "logged",
        data="logged.csv",
        champion_uri=first.result.bento_uri,
        preparation={"sampling": "RandomOverSampler"},
        acceptance={"championComparison": "NotWorse", "fairness": {}},
    )
    assert outcome.result.verdict is RunVerdict.REJECTED
    [not_held] = [reason for reason in outcome.result.reasons if "equalized_odds" in reason]
    assert not_held.startswith("Not held: equalized_odds_difference not assessed: these rows don't carry 'sex'")
    assert outcome.result.importance
    bento = Path(outcome.result.bento_uri)
    assert "RandomOverSampler: the loop asks for it" in (bento / "src" / "model" / "card.md").read_text()


def test_changed_code_behind_the_components_is_never_a_cache_hit(laptop, first):
    seen = []
    with pytest.raises(RunCancelledError, match="can be started again"):
        run_until_validated(laptop, "changed", on_event=seen.append, code_digest="other code")
    assert not [event for event in seen if event.state is StageState.CACHED]


def test_a_run_with_a_result_is_not_run_again(laptop, first):
    again = laptop.run("first")
    assert again.events == ()
    assert again.result == first.result


def test_a_failed_stage_is_told_by_name_and_in_its_own_words(laptop):
    with pytest.raises(PipelineFailedError) as caught:
        laptop.run("failing", target="latte")
    assert caught.value.stage == "collect"
    assert caught.value.message.startswith("The 'data.targetColumn' must be a column of the data. Got 'latte'.")
    assert "executor_input" not in str(caught.value)
    with pytest.raises(PipelineFailedError, match="latte"):  # the claim of the failed run is no obstacle
        laptop.run("failing", target="latte")


def test_a_run_that_succeeds_without_a_result_is_a_failure(laptop, first):
    def lose_the_result(event):
        if event.stage == "register" and event.state is StageState.FINISHED:
            (laptop.root / "store" / "runs" / "lost" / "result.json").unlink()

    with pytest.raises(IncompleteRunError, match=r"Missing: .*result\.json"):
        laptop.run("lost", on_event=lose_the_result)


def test_a_run_that_is_under_way_elsewhere_is_not_started(laptop):
    folder = laptop.root / "store" / "runs" / "busy"
    folder.mkdir(parents=True)
    with (folder / "result.json.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunInProgressError, match="'busy' must not run twice"):
            laptop.run("busy")


def test_no_process_outlives_a_killed_parent(laptop):
    code = (
        "import json, sys; from pathlib import Path; from driftloop.adapters.kfp_local import run_training\n"
        "parameters, places = json.loads(sys.argv[1])\n"
        "run_training(parameters, on_event=lambda event: print(event, flush=True),"
        " **{name: Path(place) for name, place in places.items()})"
    )
    places = {name: str(place) for name, place in laptop.places.items()}
    arguments = json.dumps([laptop.parameters("killed", code_digest="third"), places])
    with subprocess.Popen([sys.executable, "-c", code, arguments], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline().startswith("snapshot started")
        assert processes_of("killed")
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while processes_of("killed") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes_of("killed")


def processes_of(run_key: str) -> list[str]:
    """Return the processes that work for a run: its runner and its stages name the run's folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text(errors="replace")
        except OSError:
            continue
        if f"/runs/{run_key}/" in command:
            found.append(command)
    return found

"""From served answers to the next model, without a label: log, verdict, decision, the table of the retraining."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from driftloop.loop.decide import decide
from driftloop.loop.decisions import Facts, Hold, StartRun
from driftloop.loop.history import Promoted, RunFinished, RunStarted, model_of, replay
from driftloop.monitor.engines import SciPyEngine
from driftloop.monitor.judge import Judge
from driftloop.predictionlog import PredictionBatch, PredictionLogReader, PredictionLogWriter
from driftloop.serving.wire import PredictRequest
from driftloop.spec import DataSpec, MonitoringSpec, ReportKind, Task, TrainingRows, VerdictKind, Window
from driftloop.stages.evaluate import answered_schema, describe
from driftloop.stages.frame import to_model_frame
from driftloop.stages.loggedrows import NoTrainingRowsError, logged_table
from driftloop.stages.predict import predict
from tests.loop.conftest import make_loop, make_result
from tests.unsupervised.chains import START, customers, make

ROWS = 1200
VERSION = "aaaaaaaaaaaa"
TASKS = [
    (Task.CLUSTERING, "KMeans"),
    (Task.CLUSTERING, "GaussianMixture"),
    (Task.ANOMALY_DETECTION, "LocalOutlierFactor"),
]


def moved(rows: int, start: int) -> pd.DataFrame:
    """All customers are of one kind, but some that are like none before."""
    many, columns = customers(5 * rows, start, seed=7), ["spend", "visits", "age"]
    table = many[many["spend"] > 4].head(rows).reset_index(drop=True)
    table["seen"] = many["seen"].head(rows)
    odd = np.random.default_rng(1).random(rows) < 0.25  # each value is usual, together they are not
    table.loc[odd, columns] = np.array([8.0, 8.0, 1.0]) + np.random.default_rng(2).normal(size=(odd.sum(), 3))
    return table


class Served:
    """A model, its baseline, and a log of what it answered."""

    def __init__(self, task: Task, algorithm: str, folder) -> None:
        made = make(task, customers(ROWS), algorithm, trials=1)
        self.chain, self.schema = made.chain, answered_schema(made.chain, made.schema)
        baseline = describe(made.judge(), made.rows, made.test, self.schema, window=timedelta(days=7))
        monitoring = MonitoringSpec.model_validate({"window": {"duration": "7d", "minRows": 100}})
        self.judge = Judge(VERSION, self.schema, baseline, monitoring, SciPyEngine())
        self.folder = folder
        self.loop = make_loop(
            problem={"task": str(task)},
            data={"uri": "rows.csv", "timeColumn": "seen", "minRows": 100},
            monitoring={"window": {"duration": "7d", "minRows": 100}},
        )

    def answer(self, table: pd.DataFrame) -> None:
        with PredictionLogWriter(self.folder, writer_id="monitor", sync=False) as writer:
            for number, row in enumerate(table.itertuples(index=False)):
                columns = {"spend": [row.spend], "visits": [row.visits], "age": [row.age], "city": [row.city]}
                request = PredictRequest(columns, keys=None, rows=1)
                told = predict(self.chain, to_model_frame(request.columns, self.schema), self.schema)
                outputs = {"prediction": told.predictions}
                if told.probabilities is not None:
                    is_two = len(self.schema.target.classes) == 2
                    outputs["probability"] = [row[1] if is_two else row for row in told.probabilities]
                ids = [f"p{number}"]
                writer.append_predictions([PredictionBatch(VERSION, row.seen, ids, None, columns, outputs)])
            writer.commit(self.end)

    @property
    def start(self) -> datetime:
        return (START + timedelta(hours=ROWS)).to_pydatetime()

    @property
    def end(self) -> datetime:
        return self.start + timedelta(days=7)

    def verdict(self, kind: ReportKind = ReportKind.INPUTS):
        reader = PredictionLogReader(self.folder)
        window = Window(start=self.start, end=self.end, rows=168)
        if kind is ReportKind.INPUTS:
            return self.judge.judge_inputs(reader.predictions(self.start, self.end), window)
        return self.judge.judge_performance(reader.joined(self.start, self.end), window)


@pytest.fixture(params=TASKS, ids=lambda case: case[1])
def served(request, tmp_path) -> Served:
    return Served(*request.param, tmp_path / "log")


def test_usual_traffic_is_stable_and_performance_is_not_known(served):
    served.answer(customers(168, ROWS, seed=3))
    assert served.verdict().verdict is VerdictKind.STABLE, served.verdict().summary
    performance = served.verdict(ReportKind.PERFORMANCE)
    assert performance.verdict is VerdictKind.NOT_ENOUGH_DATA
    assert "trained without labels" in performance.summary


def test_moved_answers_call_for_a_run_on_the_log_that_needs_no_label(served):
    served.answer(moved(168, ROWS))
    verdict = served.verdict()
    assert verdict.verdict is VerdictKind.PRIOR_SHIFT, verdict.summary
    assert "The answers moved" in verdict.summary
    assert "So did the inputs" in verdict.summary

    champion = RunStarted(at=served.start, run_key="first", number=1, reason="first", data_uri="x", data_through=None)
    result = make_result("first")
    entries = [
        champion,
        RunFinished(at=served.start, run_key="first", result=result),
        Promoted(at=served.start, model=model_of(champion, result), reason="first"),
    ]
    facts = Facts(loop_uid="uid", verdicts=(verdict,), labelled_rows=168)
    decision = decide(served.loop.spec, replay(entries), facts, served.end)
    assert isinstance(decision, StartRun)
    assert decision.from_log
    few = Facts(loop_uid="uid", verdicts=(verdict,), labelled_rows=50)
    held = decide(served.loop.spec, replay(entries), few, served.end)
    assert isinstance(held, Hold)
    assert "50 logged rows of the 100 needed" in held.reason

    view = PredictionLogReader(served.folder).view()
    rows = TrainingRows(log_uri=str(served.folder), view=view, through=served.end)
    data = DataSpec(uri="x.log.json", time_column="seen")
    table = logged_table(rows, served.folder, data, served.schema.task)
    assert table.num_rows == 168
    assert set(table.column_names) == {"spend", "visits", "age", "city", "seen"}
    algorithm = "KMeans" if served.schema.task is Task.CLUSTERING else "IsolationForest"
    challenger = make(served.schema.task, table.to_pandas(), algorithm)
    assert np.isfinite(challenger.judge().evaluation.score)
    with pytest.raises(NoTrainingRowsError, match="must hold labelled rows"):
        logged_table(rows, served.folder, data.model_copy(update={"target_column": "y"}), Task.CLASSIFICATION)


def test_a_log_without_rows_says_so(tmp_path):
    with PredictionLogWriter(tmp_path, writer_id="monitor", sync=False) as writer:
        writer.commit(datetime(2024, 1, 1, tzinfo=UTC))
    through = datetime(2024, 1, 1, tzinfo=UTC)
    rows = TrainingRows(log_uri=str(tmp_path), view=PredictionLogReader(tmp_path).view(), through=through)
    with pytest.raises(NoTrainingRowsError, match=r"must hold rows up to .* Wait for requests"):
        logged_table(rows, tmp_path, DataSpec(uri="x.log.json"), Task.CLUSTERING)

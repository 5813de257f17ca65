"""What a run's Job executes, for real: the wine example, with data, claim, Bento and result in an S3 server."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from driftloop.adapters.kfp_local import read_result
from driftloop.adapters.objectstore import FsspecStore
from driftloop.algorithms import resolve_algorithms
from driftloop.loop.parameters import pipeline_parameters
from driftloop.loop.runner import RunOrder
from driftloop.spec import RunVerdict
from driftloop.spec.loading import read_modelloop
from driftloop.spec.storelayout import StoreLayout
from driftloop.workload.runjob import FAILED_STAGE_EXIT_CODE, order_content
from tests.s3server import S3Server, s3_server

# A whole training run, on machines that may be busy.
pytestmark = [pytest.mark.local, pytest.mark.timeout(900)]

KEY = "0123456789ab"
ROOT = Path(__file__).parents[2]
WINE = ROOT / "examples" / "wine"


@dataclass(frozen=True)
class Pods:
    """Starts what the Job's pods would start."""

    server: S3Server
    folder: Path

    @property
    def layout(self) -> StoreLayout:
        return StoreLayout(f"{self.server.uri}/loops-test", "team-a", "wine")

    def run(self, pod: str, *, job: str = "job-1", run_key: str = KEY, data: str = "wine.csv"):
        loop = read_modelloop(WINE / "modelloop.yaml")
        parameters = pipeline_parameters(
            loop,
            data_uri=f"{self.layout.root}/uploads/{data}",
            time_column=None,
            algorithms=resolve_algorithms(loop.spec.training.algorithms, loop.spec.problem.task),
            run_key=run_key,
            result_uri=self.layout.result(run_key),
            store_uri=self.layout.root,
            champion_uri="",
            runtime_image="driftloop-serving:1",
            image="driftloop-pipeline:1",
            code_digest="code",
        )
        order = RunOrder(
            loop=loop, run_key=run_key, number=1, pipeline="training", parameters=parameters, reason="test"
        )
        work = self.folder / pod  # every pod begins with an empty one
        work.mkdir()
        (work / "order.json").write_text(order_content(order))
        ended = subprocess.run(
            [sys.executable, "-m", "driftloop.adapters.pipelinejob", str(work / "order.json"), str(work)],
            env={
                **os.environ,
                **self.server.environment,
                "HOME": str(work),
                "DRIFTLOOP_JOB_CLAIMANT": job,
                "DRIFTLOOP_JOB_TERMINATION_LOG": str(work / "termination-log"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        message = work / "termination-log"
        return ended.returncode, ended.stdout, message.read_text() if message.exists() else ""


@pytest.fixture(scope="module")
def pods(tmp_path_factory):
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        pods = Pods(server, tmp_path_factory.mktemp("pods"))
        FsspecStore().put_file(WINE / "wine.csv", f"{pods.layout.root}/uploads/wine.csv")
        yield pods


@pytest.fixture(scope="module")
def ran(pods):
    """The first pod was killed after it had claimed the run; the next one of the same Job goes on."""
    claim = json.dumps({"runKey": KEY, "runId": "job-1"}).encode()
    FsspecStore().create(pods.layout.result(KEY).replace("result.json", "result.claim.json"), claim)
    code, told, message = pods.run("second-pod")
    assert (code, message) == (0, ""), told
    return told


def test_a_job_goes_on_from_its_own_claim_to_a_result_and_a_bento_in_the_store(pods, ran):
    result = read_result(pods.layout.result(KEY))
    assert result.verdict is RunVerdict.ACCEPTED
    assert result.run_id == "job-1"
    assert result.runtime_image == "driftloop-serving:1"
    assert result.bento_uri == f"{pods.layout.root}/bentos/{result.bento_digest}"
    manifest = json.loads(FsspecStore().read(f"{result.bento_uri}/model/manifest.json"))
    assert manifest["runtimeImage"] == "driftloop-serving:1"
    assert "stage train finished" in ran


def test_a_run_with_a_result_is_not_run_again(pods, ran):
    code, told, _ = pods.run("third-pod")
    assert code == 0
    assert "stage" not in told


def test_another_job_with_the_same_key_ends_before_any_work(pods, ran):
    FsspecStore().remove(pods.layout.result(KEY))
    code, told, message = pods.run("other-job", job="job-2")
    assert code == FAILED_STAGE_EXIT_CODE
    assert f"The stage 'snapshot' failed: The run key '{KEY}' must be used by one run only" in message
    assert "job-1" in message
    assert "stage collect" not in told


def test_a_failed_stage_leaves_its_reason(pods):
    code, told, message = pods.run("failing", run_key="b" * 12, data="missing.csv")
    assert code == FAILED_STAGE_EXIT_CODE
    assert message.startswith(
        "The stage 'snapshot' failed: The 'data.uri' must lead to a CSV, Parquet or JSON lines file"
    )
    assert "Traceback" in told  # for `kubectl logs`

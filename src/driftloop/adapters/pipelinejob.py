"""What a run's Job executes: the compiled package with the local runner, in one pod.

`python -m driftloop.adapters.pipelinejob ORDER_FILE WORK_FOLDER`. Tells of stages on standard output, and why it failed
in the pod's termination message. The result, the claim and the Bento lie in the object store, as of any run.
"""

import signal
import sys
import threading
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from driftloop.adapters.kfp_local import PipelineFailedError, RunCancelledError, StageEvent, run_training
from driftloop.errors import DriftloopError
from driftloop.spec.boundary import Boundary
from driftloop.workload.runjob import FAILED_STAGE_EXIT_CODE

STOPPED_EXIT_CODE = 143
_LOG_LINES = 60
_MESSAGE_BYTES = 4000


class JobSettings(BaseSettings):
    """What the pod tells besides the order."""

    model_config = SettingsConfigDict(env_prefix="DRIFTLOOP_JOB_", frozen=True, use_attribute_docstrings=True)

    claimant: str = Field(min_length=1)
    """Identity of the Job, the same for each of its pods."""
    termination_log: Path = Path("/dev/termination-log")
    """File that Kubernetes takes the termination message from."""


class OrderFile(Boundary):
    """What to run."""

    package: str
    parameters: dict[str, Any]


def main(arguments: list[str]) -> int:
    """Run to the end; return the exit code."""
    settings = JobSettings()
    order = OrderFile.model_validate_json(Path(arguments[0]).read_bytes())
    work = Path(arguments[1])
    cancelled = threading.Event()
    # As process 1 of its container it would not hear the signal otherwise.
    signal.signal(signal.SIGTERM, lambda *_: cancelled.set())
    try:
        outcome = run_training(
            order.parameters | {"claimant": settings.claimant},
            runs_dir=work / "runs",
            cache_dir=work / "cache",
            bentoml_home=work / "bentoml",
            on_event=_tell,
            cancelled=cancelled,
            package=order.package,
        )
    except RunCancelledError as error:
        _leave_message(settings, str(error))
        return STOPPED_EXIT_CODE
    except PipelineFailedError as error:
        _print_tail(error.log)
        _leave_message(settings, f"The stage '{error.stage}' failed: {error.message}")
        return FAILED_STAGE_EXIT_CODE
    except DriftloopError as error:
        _leave_message(settings, str(error))
        return FAILED_STAGE_EXIT_CODE
    _say(f"result at {order.parameters['result_uri']} after {outcome.seconds:.0f} s")
    return 0


def _tell(event: StageEvent) -> None:
    _say(f"stage {event}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _print_tail(log: Path) -> None:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    _say("\n".join(["", *lines[-_LOG_LINES:]]))


def _leave_message(settings: JobSettings, message: str) -> None:
    _say(message)
    settings.termination_log.write_bytes(message.encode()[:_MESSAGE_BYTES])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

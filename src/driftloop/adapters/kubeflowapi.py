"""Kubeflow Pipelines' v2beta1 API: typed calls, one try each, and every failure in plain words.

On `kfp_server_api`, the client generated from the API's own definition. `kfp.Client` wraps the same calls; it is left
aside because it writes to the home folder, waits and tries again by itself, and takes packages by address.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

from driftloop.errors import DriftloopError
from driftloop.loop.runner import RunnerUnavailableError

RUNNER = "Kubeflow Pipelines"
TOKEN_PATH = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105 (a path)
"""Where pods find a service account token for the audience `pipelines.kubeflow.org`; the kubelet renews it."""
CONNECT_SECONDS, READ_SECONDS = 5, 15
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=1)
_PAGE_SIZE = 100
_MESSAGE_LENGTH = 600


class NotSentError(RunnerUnavailableError):
    """The server could not be reached at all: what was asked has not happened."""


class KubeflowRefusedError(DriftloopError):
    """Kubeflow Pipelines answers, and refuses."""

    def __init__(self, what: str, address: str, status: int, message: str) -> None:
        super().__init__(
            f"Kubeflow Pipelines at '{address}' refused to {what} ({status}): {message}. {_remedy(status, message)}"
        )
        self.status = status


class NotKubeflowError(DriftloopError):
    """Something else than the API answers at the address."""

    def __init__(self, address: str, found: str) -> None:
        super().__init__(
            f"The address '{address}' must be that of Kubeflow Pipelines' API. {found} "
            "Set kubeflow_url to the API server, such as http://ml-pipeline.kubeflow:8888, not to the UI or a gateway."
        )


def plain_text(text: str) -> str:
    """Return a server's message without markup, on one line.

    >>> plain_text("<html><title>503</title><body><h1>Service  Unavailable</h1></body></html>")
    '503 Service Unavailable'
    """
    if "</" in text or "<!" in text:
        text = re.sub(r"(?is)<(script|style).*?</\1>|<[^>]*>", " ", text)
    return " ".join(text.split())[:_MESSAGE_LENGTH].rstrip(". ")


class KubeflowApi:
    """One Kubeflow Pipelines server. Threads may share it.

    After a failure it keeps quiet for a pause that grows from a second to a minute: whoever asks meanwhile is told the
    same failure again.

    Args:
        url: of the API, such as `http://ml-pipeline.kubeflow:8888`.
        token_path: file with a service account token, read for each call; empty for a server without authentication.
        now: the clock.
    """

    def __init__(self, url: str, *, token_path: str = "", now: Callable[[], datetime]) -> None:
        import kfp_server_api as kfp

        configuration = kfp.Configuration(host=url.rstrip("/"))
        configuration.retries = False
        if token_path:
            configuration.api_key["authorization"] = "read for each call"
            configuration.api_key_prefix["authorization"] = "Bearer"
            configuration.refresh_api_key_hook = _TokenFile(Path(token_path)).refresh
        client = kfp.ApiClient(configuration)
        client.deserialize = _only_json(client.deserialize)
        self.url = url.rstrip("/")
        self.models = kfp
        self._health = kfp.HealthzServiceApi(client)
        self._pipelines = kfp.PipelineServiceApi(client)
        self._uploads = kfp.PipelineUploadServiceApi(client)
        self._experiments = kfp.ExperimentServiceApi(client)
        self._runs = kfp.RunServiceApi(client)
        self._recurring = kfp.RecurringRunServiceApi(client)
        self._now = now
        self._lock = threading.Lock()
        self._pause = timedelta()
        self._resume_at: datetime | None = None
        self._outage: object = ""

    def is_multi_user(self) -> bool:
        """Return whether every user's profile has a namespace of its own."""
        return bool(self._ask("tell its mode", self._health.healthz_service_get_healthz).multi_user)

    def pipeline(self, name: str, namespace: str) -> Any | None:
        """Return a pipeline by name; None if there is none."""
        return self._ask_for(
            "look up the pipeline", self._pipelines.pipeline_service_get_pipeline_by_name, name, namespace=namespace
        )

    def create_pipeline(self, name: str, namespace: str, description: str) -> Any:
        """Create an empty pipeline."""
        pipeline = self.models.V2beta1Pipeline(
            name=name, display_name=name, namespace=namespace, description=description
        )
        return self._ask("create the pipeline", self._pipelines.pipeline_service_create_pipeline, pipeline)

    def pipeline_version(self, pipeline_id: str, name: str) -> Any | None:
        """Return a version of a pipeline by name; None if there is none."""
        versions = self._pages(
            "list the pipeline's versions",
            self._pipelines.pipeline_service_list_pipeline_versions,
            "pipeline_versions",
            pipeline_id,
            filter=_where("EQUALS", name),
        )
        return next(versions, None)

    def upload_version(self, pipeline_id: str, name: str, package: Path, description: str) -> Any:
        """Upload a compiled package as a version of a pipeline."""
        return self._ask(
            "take a pipeline version",
            self._uploads.upload_pipeline_version,
            str(package),
            name=name,
            pipelineid=pipeline_id,
            description=description,
        )

    def experiment(self, name: str, namespace: str) -> Any | None:
        """Return an experiment by name; None if there is none."""
        found = self._pages(
            "list experiments",
            self._experiments.experiment_service_list_experiments,
            "experiments",
            namespace=namespace,
            filter=_where("EQUALS", name),
        )
        return next(found, None)

    def create_experiment(self, name: str, namespace: str, description: str) -> Any:
        """Create an experiment."""
        experiment = self.models.V2beta1Experiment(display_name=name, namespace=namespace, description=description)
        return self._ask("create the experiment", self._experiments.experiment_service_create_experiment, experiment)

    def runs(self, part_of_name: str, namespace: str) -> list[Any]:
        """Return the runs whose name contains something."""
        return list(
            self._pages(
                "list runs",
                self._runs.run_service_list_runs,
                "runs",
                namespace=namespace,
                filter=_where("IS_SUBSTRING", part_of_name),
            )
        )

    def create_run(self, run: Any) -> Any:
        """Create a run. It isn't idempotent, and names are not unique: see `kubeflow`."""
        return self._ask("create the run", self._runs.run_service_create_run, run)

    def terminate_run(self, run_id: str) -> None:
        """End a run; one that has ended already stays as it is."""
        self._ask("end the run", self._runs.run_service_terminate_run, run_id)

    def recurring_runs(self, name: str, namespace: str) -> list[Any]:
        """Return the recurring runs of a name."""
        return list(
            self._pages(
                "list recurring runs",
                self._recurring.recurring_run_service_list_recurring_runs,
                "recurring_runs",
                namespace=namespace,
                filter=_where("EQUALS", name),
            )
        )

    def create_recurring_run(self, recurring_run: Any) -> Any:
        """Create a recurring run."""
        call = self._recurring.recurring_run_service_create_recurring_run
        return self._ask("create the recurring run", call, recurring_run)

    def switch_recurring_run(self, recurring_run_id: str, *, on: bool) -> None:
        """Enable or disable a recurring run."""
        api = self._recurring
        call = api.recurring_run_service_enable_recurring_run if on else api.recurring_run_service_disable_recurring_run
        self._ask(f"{'enable' if on else 'disable'} the recurring run", call, recurring_run_id)

    def delete_recurring_run(self, recurring_run_id: str) -> None:
        """Delete a recurring run; gone already is fine."""
        call = self._recurring.recurring_run_service_delete_recurring_run
        self._ask_for("delete the recurring run", call, recurring_run_id)

    def _pages(self, what: str, call: Callable[..., Any], field: str, *args: Any, **query: Any) -> Iterator[Any]:
        token = ""
        while True:
            page = self._ask(what, call, *args, page_token=token, page_size=_PAGE_SIZE, **query)
            yield from getattr(page, field) or ()
            token = page.next_page_token or ""
            if not token:
                return

    def _ask_for(self, what: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any | None:
        """Return the answer; None where the server says, as the API does, that there is no such thing."""
        try:
            return self._ask(what, call, *args, **kwargs)
        except KubeflowRefusedError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def _ask(self, what: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make one call, unless the server is given a pause."""
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

        self._keep_pause()
        try:
            answer = call(*args, **kwargs, _request_timeout=(CONNECT_SECONDS, READ_SECONDS))
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise self._note_outage(NotSentError, error) from error
        except HTTPError as error:
            raise self._note_outage(RunnerUnavailableError, error) from error
        except self.models.ApiException as error:
            raise self._refusal(what, error) from error
        except (ValueError, TypeError, AttributeError) as error:  # the client can't make its types of the answer
            raise NotKubeflowError(self.url, "What answers there does not speak the API.") from error
        self._note_answer()
        return answer

    def _keep_pause(self) -> None:
        with self._lock:
            if self._resume_at and self._now() < self._resume_at:
                raise NotSentError(RUNNER, self.url, self._outage)

    def _note_answer(self) -> None:
        with self._lock:
            self._pause, self._resume_at = timedelta(), None

    def _note_outage(self, kind: type[RunnerUnavailableError], reason: object) -> RunnerUnavailableError:
        with self._lock:
            self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
            self._resume_at, self._outage = self._now() + self._pause, reason
        return kind(RUNNER, self.url, reason)

    def _refusal(self, what: str, error: Any) -> DriftloopError:
        """Tell an outage from a refusal, and a refusal of the API from one of whatever stands before it."""
        body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
        status = int(error.status or 0)
        if status == 0:  # TLS
            return self._note_outage(NotSentError, plain_text(str(error.reason)))
        try:
            told = json.loads(body)
            message = str(told.get("message") or told.get("error") or "")
        except (ValueError, AttributeError):
            told, message = None, body
        message = plain_text(message) or plain_text(str(error.reason or "")) or "no reason given"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in (
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.REQUEST_TIMEOUT,
        ):
            return self._note_outage(RunnerUnavailableError, f"HTTP {status}, {message}")
        self._note_answer()
        if status < HTTPStatus.BAD_REQUEST:
            return NotKubeflowError(self.url, f"It leads on to another page ({status}), as a login does.")
        if told is None and status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            return NotKubeflowError(self.url, f"It has no such path ({status}).")
        return KubeflowRefusedError(what, self.url, status, message)


def _only_json(deserialize: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse answers that are no JSON object, of which the generated client makes empty objects."""

    def checked(response: Any, response_type: Any) -> Any:
        if not isinstance(json.loads(response.data or "{}"), dict):
            raise TypeError("no JSON object")
        return deserialize(response, response_type)

    return checked


class _TokenFile:
    """A token that is read anew for each call, because the kubelet renews the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def refresh(self, configuration: Any) -> None:
        """Put the token of now into a client's configuration."""
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise MissingTokenError(self._path, error) from error
        configuration.api_key["authorization"] = token


class MissingTokenError(DriftloopError):
    """There is no token to show to Kubeflow Pipelines."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"The token of Kubeflow Pipelines must be readable at '{path}'. It isn't: {error.strerror or error}. Mount "
            "a projected service account token with the audience pipelines.kubeflow.org there, or set "
            "kubeflow_token_path to nothing for a Kubeflow Pipelines without users."
        )


def _where(operation: str, name: str) -> str:
    return json.dumps({"predicates": [{"operation": operation, "key": "display_name", "stringValue": name}]})


def _remedy(status: int, message: str) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return (
                "Mount a projected service account token with the audience pipelines.kubeflow.org into the operator's "
                "pod, and set kubeflow_token_path to its file."
            )
        case HTTPStatus.FORBIDDEN:
            return (
                "Bind the operator's service account to the ClusterRole kubeflow-pipelines-edit in the loop's namespace"
                " (kubectl create rolebinding), and let the AuthorizationPolicy of ml-pipeline admit it; see "
                "docs/kubeflow.md."
            )
        case HTTPStatus.BAD_REQUEST if re.search("unknown field|securityContext", message):
            return "The steps need Kubeflow Pipelines 2.16 or newer; update it."
        case HTTPStatus.CONFLICT:
            return "There is one of that name; it is looked up again."
        case _:
            return "Correct what the message names, then it is tried again."

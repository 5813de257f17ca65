"""Kubeflow Pipelines for tests: real HTTP, the paths of its v2beta1 API, bodies checked by the client's own models.

What the API promises is kept: names of pipelines, versions and experiments are unique, names of runs are not; lists
come in pages and through filters. Faults are ordered by the test.
"""

import email
import email.policy
import itertools
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as kfp
import yaml

START = datetime(2026, 3, 1, tzinfo=UTC)
PAGE_LIMIT = 2


class RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Fault:
    """What goes wrong with the next requests that fit."""

    method: str
    path: str
    """Pattern of the whole path."""
    kind: str
    """`refuse` (with status and body), `lose` (committed, no reply), `late` (no reply; committed when told)."""
    status: int = 503
    body: str = "<html><body><h1>503 Service Unavailable</h1></body></html>"
    times: int = 1_000_000


@dataclass
class KfpServer:
    """The state of one server."""

    multi_user: bool = False
    token: str = ""
    """The only one that is accepted; empty: no authentication."""
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    late: list[Callable[[], Any]] = field(default_factory=list)
    """Requests whose commit is still to come."""
    things: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {kind: {} for kind in ("pipelines", "versions", "experiments", "runs", "recurringruns")}
    )
    namespaces: dict[str, str] = field(default_factory=dict)
    """Of runs, whose own object does not say."""
    url: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _count: Iterator[int] = field(default_factory=itertools.count)

    @property
    def runs(self) -> list[dict[str, Any]]:
        return list(self.things["runs"].values())

    @property
    def recurring(self) -> list[dict[str, Any]]:
        return list(self.things["recurringruns"].values())

    def count(self, method: str, path: str) -> int:
        return sum(one == method and re.fullmatch(path, other) is not None for one, other in self.requests)

    def commit_late(self) -> None:
        for commit in self.late:
            commit()
        self.late.clear()

    def handle(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        with self._lock:
            return self._route(method, path, query, body)

    def _route(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:  # noqa: C901, PLR0911, PLR0912
        parts = path.removeprefix("/apis/v2beta1/").split("/")
        match method, parts:
            case "GET", ["healthz"]:
                return {"multi_user": self.multi_user}
            case "GET", ["pipelines", "names", name]:
                return self._one("pipelines", name=name, namespace=query.get("namespace", ""))
            case "POST", ["pipelines"]:
                pipeline = check(body, kfp.V2beta1Pipeline)
                self._unique("pipelines", name=pipeline["name"], namespace=pipeline.get("namespace", ""))
                return self._add("pipelines", "pipeline_id", {"namespace": "", **pipeline})
            case "POST", ["pipelines", "upload_version"]:
                self._one("pipelines", pipeline_id=query["pipelineid"])
                self._unique("versions", pipeline_id=query["pipelineid"], display_name=query["name"])
                documents = list(yaml.safe_load_all(body))
                version = {"pipeline_id": query["pipelineid"], "name": query["name"], "display_name": query["name"]}
                spec = {"pipeline_spec": {"pipeline_spec": documents[0], "platform_spec": documents[1]}}
                return self._add("versions", "pipeline_version_id", version | spec)
            case "GET", ["pipelines", pipeline_id, "versions"]:
                return self._list("versions", "pipeline_versions", query, pipeline_id=pipeline_id)
            case "GET", ["experiments"]:
                return self._list("experiments", "experiments", query, namespace=query.get("namespace", ""))
            case "POST", ["experiments"]:
                experiment = {"namespace": "", **check(body, kfp.V2beta1Experiment)}
                if bool(experiment["namespace"]) != self.multi_user:
                    raise RefusedError(400, "Invalid input error: namespace")
                self._unique("experiments", display_name=experiment["display_name"], namespace=experiment["namespace"])
                return self._add("experiments", "experiment_id", experiment)
            case "GET", ["runs"]:
                return self._list("runs", "runs", query, namespace=query.get("namespace", ""))
            case "POST", ["runs"]:
                run = self._check_references(check(body, kfp.V2beta1Run))
                return self._add("runs", "run_id", run | {"state": "PENDING"})
            case "POST", ["runs", action] if action.endswith(":terminate"):
                run = self._one("runs", run_id=action.removesuffix(":terminate"))
                run["state"] = "CANCELED"
                return {}
            case "GET", ["recurringruns"]:
                return self._list("recurringruns", "recurringRuns", query, namespace=query.get("namespace", ""))
            case "POST", ["recurringruns"]:
                recurring = self._check_references(check(body, kfp.V2beta1RecurringRun))
                status = {"ENABLE": "ENABLED", "DISABLE": "DISABLED"}[recurring["mode"]]
                return self._add("recurringruns", "recurring_run_id", recurring | {"status": status})
            case "POST", ["recurringruns", action]:
                identity, _, verb = action.partition(":")
                self._one("recurringruns", recurring_run_id=identity)["status"] = f"{verb.upper()}D"
                return {}
            case "DELETE", ["recurringruns", identity]:
                self._one("recurringruns", recurring_run_id=identity)
                del self.things["recurringruns"][identity]
                return {}
        raise RefusedError(404, "Not Found")

    def _check_references(self, thing: dict[str, Any]) -> dict[str, Any]:
        """Refuse what a run may not refer to, and parameters that its pipeline does not have."""
        experiment = self._one("experiments", experiment_id=thing["experiment_id"])
        reference = thing["pipeline_version_reference"]
        version = self._one(
            "versions", pipeline_id=reference["pipeline_id"], pipeline_version_id=reference["pipeline_version_id"]
        )
        known = version["pipeline_spec"]["pipeline_spec"]["root"]["inputDefinitions"]["parameters"]
        given = thing["runtime_config"]["parameters"]
        missing = [name for name in known if name not in given and not known[name].get("isOptional")]
        if missing or given.keys() - known:
            raise RefusedError(400, f"invalid parameters: {missing or sorted(given.keys() - known)}")
        return thing | {"namespace": experiment["namespace"]}

    def _add(self, kind: str, id_field: str, thing: dict[str, Any]) -> dict[str, Any]:
        identity = str(uuid.uuid4())
        created = (START + timedelta(seconds=next(self._count))).isoformat()
        self.things[kind][identity] = thing | {id_field: identity, "created_at": created}
        return self.things[kind][identity]

    def _one(self, kind: str, **fields: str) -> dict[str, Any]:
        found = self._fitting(kind, fields)
        if not found:
            raise RefusedError(404, f"ResourceNotFoundError: {kind} {fields} not found")
        return found[0]

    def _unique(self, kind: str, **fields: str) -> None:
        if self._fitting(kind, fields):
            raise RefusedError(409, f"AlreadyExists: {kind} {fields}")

    def _fitting(self, kind: str, fields: dict[str, str]) -> list[dict[str, Any]]:
        things = self.things[kind].values()
        return [thing for thing in things if all(thing.get(name, "") == value for name, value in fields.items())]

    def _list(self, kind: str, answer_field: str, query: dict[str, str], **fields: str) -> dict[str, Any]:
        found = self._fitting(kind, fields)
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", ()):
            assert predicate["key"] == "display_name"
            wanted = predicate["stringValue"]
            fits = {"EQUALS": wanted.__eq__, "IS_SUBSTRING": lambda name, wanted=wanted: wanted in name}
            found = [thing for thing in found if fits[predicate["operation"]](thing["display_name"])]
        start = int(query.get("page_token") or 0)
        end = start + min(int(query.get("page_size") or 10), PAGE_LIMIT)
        more = {"next_page_token": str(end)} if end < len(found) else {}
        return {answer_field: found[start:end], "total_size": len(found)} | more


def check(body: Any, model: type) -> dict[str, Any]:
    """Check a body against a model of the generated client: known fields only, each of its type."""
    names = {wire: name for name, wire in model.attribute_map.items()}
    unknown = body.keys() - names
    if unknown:
        raise RefusedError(400, f"unknown field {sorted(unknown)} in {model.__name__}")
    for wire, value in body.items():
        inner = getattr(kfp, model.openapi_types[names[wire]], None)
        if inner is not None and inner.openapi_types:
            check(value, inner)
        elif inner is not None:
            assert value in inner.allowable_values, value
    return dict(body)


_ANSWERS = {
    "runs": kfp.V2beta1ListRunsResponse,
    "experiments": kfp.V2beta1ListExperimentsResponse,
    "recurringruns": kfp.V2beta1ListRecurringRunsResponse,
    "versions": kfp.V2beta1ListPipelineVersionsResponse,
    "healthz": kfp.V2beta1GetHealthzResponse,
}


def check_answer(method: str, path: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Check an answer's fields too: the client drops what it does not know, and a test would prove nothing."""
    model = _ANSWERS.get(path.rpartition("/")[2]) if method == "GET" else None
    assert model is None or answer.keys() <= set(model.attribute_map.values()), answer.keys()
    return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: KfpServer

    def log_message(self, *_: object) -> None:
        """Keep the tests' output free."""

    def _answer(self, status: int, body: str, kind: str = "application/json") -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _drop(self) -> None:
        self.close_connection = True

    def _handle(self) -> None:
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        body = self._body()
        self.state.requests.append((self.command, split.path))
        if self.state.token and self.headers.get("Authorization") != f"Bearer {self.state.token}":
            self._answer(401, json.dumps({"code": 16, "message": "Unauthenticated: Authentication failure."}))
            return
        fault = self._fault(split.path)
        if fault and fault.kind == "refuse":
            self._answer(fault.status, fault.body, "text/html" if fault.body.startswith("<") else "application/json")
            return
        if fault and fault.kind == "late":
            self.state.late.append(lambda: self.state.handle(self.command, split.path, query, body))
            self._drop()
            return
        try:
            answer = check_answer(self.command, split.path, self.state.handle(self.command, split.path, query, body))
        except RefusedError as error:
            self._answer(error.status, json.dumps({"error": str(error), "code": 3, "message": str(error)}))
            return
        if fault and fault.kind == "lose":
            self._drop()
            return
        self._answer(200, json.dumps(answer))

    def _fault(self, path: str) -> Fault | None:
        for fault in self.state.faults:
            if fault.times and fault.method == self.command and re.fullmatch(fault.path, path):
                fault.times -= 1
                return fault
        return None

    def _body(self) -> Any:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type") or ""
        if kind.startswith("multipart/"):
            head = f"Content-Type: {kind}\r\n\r\n".encode()
            form = email.message_from_bytes(head + content, policy=email.policy.HTTP)
            (part,) = form.iter_parts()
            return part.get_payload(decode=True).decode()
        return json.loads(content) if content else None

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815 (names of http.server)


@contextmanager
def kfp_server(**settings: Any) -> Iterator[KfpServer]:
    """Run a server until the context ends."""
    state = KfpServer(**settings)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

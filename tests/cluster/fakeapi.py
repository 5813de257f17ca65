"""A fake Kubernetes API server for tests: the REST paths over HTTP, from memory. No scheduler, no controllers, no rights.

What it does it does as the real one, which `test_kubeapi.py` holds it to: versions and conflicts, create-only, merge
patch, server-side apply (lists are atomic; one manager's fields go with it), status subresources, generations,
finalizers, selectors, watches with bookmarks. It knows the kinds of `workload.kinds` and no schema of any.
"""

import copy
import json
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from driftloop.workload.kinds import KINDS, Kind

VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
_WITHOUT_STATUS = {"ConfigMap", "Secret", "ServiceAccount", "Lease", "Role", "RoleBinding", "ClusterRole",
                   "ClusterRoleBinding", "Event", "NetworkPolicy", "EndpointSlice", "ServiceMonitor",
                   "ValidatingAdmissionPolicyBinding"}  # fmt: skip
_WITHOUT_GENERATION = {"Pod", "Service", "Namespace", "PersistentVolumeClaim"} | (
    _WITHOUT_STATUS - {"NetworkPolicy", "ServiceMonitor", "ValidatingAdmissionPolicyBinding"}
)
_CUSTOM_GROUPS = {"driftloop.dev", "monitoring.coreos.com"}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?")
_ADMIN = "admin"


@dataclass(frozen=True)
class Call:
    """One request as access rules see it."""

    user: str
    verb: str
    group: str
    resource: str
    """With the subresource: `modelloops/status`."""
    namespace: str
    name: str


class StatusError(Exception):
    """An answer that is a refusal."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


@dataclass
class _Address:
    kind: Kind
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind.name, self.namespace, self.name


@dataclass
class _Change:
    version: int
    obj: dict[str, Any]
    before: dict[str, Any] | None
    is_deletion: bool = False


@dataclass
class FakeApi:
    """The server's memory; `serve` puts it on a port."""

    calls: list[Call] = field(default_factory=list)
    logs: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """What containers wrote, by namespace, pod and container."""
    denied: set[tuple[str, str]] = field(default_factory=set)
    """(verb, resource) that an access review answers with no."""
    fault: Callable[[Call], tuple[int, str] | None] = lambda _call: None
    """Asked before every request; a status and a message stand for the answer. A status of 0 cuts the connection."""

    def __post_init__(self) -> None:
        self._objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._applied: dict[tuple[tuple[str, str, str], str], dict[str, Any]] = {}
        self._changes: list[_Change] = []
        self._version = 1
        self._changed = threading.Condition()
        self._is_ended = False
        for name in ("default", "kube-system"):
            self._store(_Address(KINDS["Namespace"], "", name, ""), _bare("Namespace", name), None)

    def end(self) -> None:
        """End all watches."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()

    def forget_changes(self) -> None:
        """Answer watches from older versions with 410 Gone, as the real one does after minutes."""
        with self._changed:
            self._changes.clear()

    def address(self, path: str) -> _Address:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        version = parts[1] if parts[0] == "api" else "/".join(parts[1:3])
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        plural, name, subresource, *_ = [*rest, "", "", ""]
        for kind in self._served():
            if (kind.api_version, kind.plural) == (version, plural):
                return _Address(kind, namespace, name, subresource)
        raise StatusError(404, "NotFound", "the server could not find the requested resource")

    def _served(self) -> Iterator[Kind]:
        for kind in KINDS.values():
            definition = ("CustomResourceDefinition", "", f"{kind.plural}.{kind.group}")
            if kind.group not in _CUSTOM_GROUPS or definition in self._objects:
                yield kind

    def discover(self, path: str) -> dict[str, Any] | None:
        """Answer what the server has; None for the address of an object."""
        parts = path.strip("/").split("/")
        groups: dict[str, str] = {kind.group: kind.api_version for kind in self._served() if kind.group}
        if parts == ["version"]:
            return VERSION
        if parts == ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        if parts == ["apis"]:
            return {
                "kind": "APIGroupList",
                "groups": [
                    {"name": group, "versions": [told], "preferredVersion": told}
                    for group, version in groups.items()
                    for told in [{"groupVersion": version, "version": version.rpartition("/")[2]}]
                ],
            }
        wanted = {2: "/".join(parts[1:]), 3: "/".join(parts[1:])}.get(len(parts), "")
        if (parts[0] == "api" and len(parts) == 2) or (parts[0] == "apis" and len(parts) == 3):
            found = [kind for kind in self._served() if kind.api_version == wanted]
            if not found:
                raise StatusError(404, "NotFound", "the server could not find the requested resource")
            return {"kind": "APIResourceList", "groupVersion": wanted, "resources": _resources(found)}
        return None

    def list(self, where: _Address, query: dict[str, str]) -> dict[str, Any]:
        with self._changed:
            found = [
                copy.deepcopy(obj)
                for (kind, namespace, _), obj in sorted(self._objects.items())
                if kind == where.kind.name and namespace in (where.namespace or namespace,) and _fits(obj, query)
            ]
            about = {"apiVersion": where.kind.api_version, "kind": f"{where.kind.name}List"}
            items = [{key: value for key, value in obj.items() if key not in ("apiVersion", "kind")} for obj in found]
            return about | {"metadata": {"resourceVersion": str(self._version)}, "items": items}

    def get(self, where: _Address) -> dict[str, Any]:
        with self._changed:
            return copy.deepcopy(self._find(where))

    def create(self, where: _Address, obj: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            metadata = obj.setdefault("metadata", {})
            if not metadata.get("name") and metadata.get("generateName"):
                metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
            where = _Address(where.kind, where.namespace, str(metadata.get("name", "")), "")
            self._check_place(where, obj)
            if where.key in self._objects:
                raise StatusError(409, "AlreadyExists", f'{where.kind.plural} "{where.name}" already exists')
            if metadata.get("resourceVersion"):
                raise StatusError(400, "BadRequest", "resourceVersion should not be set on objects to be created")
            if _has_status(where.kind):
                obj.pop("status", None)
            return self._store(where, obj, None)

    def replace(self, where: _Address, obj: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            before = self._find(where)
            if where.kind.group in _CUSTOM_GROUPS and not obj["metadata"].get("resourceVersion"):
                message = "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"
                raise StatusError(422, "Invalid", message)
            return self._update(where, obj, before)

    def patch(self, where: _Address, body: Any, content_type: str, manager: str) -> dict[str, Any]:
        with self._changed:
            if content_type == "application/apply-patch+yaml":
                return self._apply(where, body, manager)
            before = self._find(where)
            if content_type == "application/merge-patch+json":
                after = _merged(before, body)
            elif content_type == "application/json-patch+json":
                after = _json_patched(before, body)
            else:
                raise StatusError(415, "UnsupportedMediaType", f"the fake does not know {content_type}")
            return self._update(where, after, before)

    def _apply(self, where: _Address, obj: dict[str, Any], manager: str) -> dict[str, Any]:
        if not manager:
            raise StatusError(400, "BadRequest", "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
        self._check_place(where, obj)
        key = (where.key, manager)
        known = self._objects.get(where.key)
        wanted = copy.deepcopy(obj)
        if known is None:
            after = self._store(where, copy.deepcopy(wanted), None)
        else:
            after = _without(copy.deepcopy(known), self._applied.get(key, {}), wanted)
            after = self._update(where, _merged(after, wanted), known)
        self._applied[key] = wanted
        return after

    def delete(self, where: _Address, options: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            known = self._find(where)
            for name, value in (options.get("preconditions") or {}).items():
                if known["metadata"][name] != value:
                    raise StatusError(409, "Conflict", f"the {name} in the precondition does not match")
            if not known["metadata"].get("finalizers"):
                self._remove(where, known)
            elif "deletionTimestamp" not in known["metadata"]:
                after = copy.deepcopy(known)
                after["metadata"] |= {"deletionTimestamp": _now(), "deletionGracePeriodSeconds": 0}
                self._store(where, after, known)
            return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def watch(self, where: _Address, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Yield events until the time is over or the server ends; None stands for nothing new."""
        deadline = time.monotonic() + float(query.get("timeoutSeconds") or 3600)
        since = query.get("resourceVersion", "")
        with self._changed:
            seen = self._version if since in ("", "0") else int(since)
            known = [
                copy.deepcopy(obj)
                for (kind, namespace, _), obj in self._objects.items()
                if kind == where.kind.name and namespace in (where.namespace or namespace,) and _fits(obj, query)
            ]
            oldest = self._changes[0].version if self._changes else self._version + 1
        if since in ("", "0"):
            yield from ({"type": "ADDED", "object": obj} for obj in known)
            if query.get("sendInitialEvents") == "true":
                yield self._bookmark(where, seen, {"k8s.io/initial-events-end": "true"})
        elif seen + 1 < oldest:
            gone = _status(410, "Expired", f"too old resource version: {since}")
            yield {"type": "ERROR", "object": gone}
            return
        while time.monotonic() < deadline:
            with self._changed:
                news = [change for change in self._changes if change.version > seen]
                if not news and not self._is_ended:
                    self._changed.wait(min(1.0, max(0.0, deadline - time.monotonic())))
                    news = [change for change in self._changes if change.version > seen]
                if self._is_ended:
                    return
                seen = news[-1].version if news else seen
            for change in news:
                event = _event_of(change, where, query)
                if event:
                    yield event

    @staticmethod
    def _bookmark(where: _Address, version: int, annotations: dict[str, str]) -> dict[str, Any]:
        about = {"apiVersion": where.kind.api_version, "kind": where.kind.name}
        return {
            "type": "BOOKMARK",
            "object": about | {"metadata": {"resourceVersion": str(version), "annotations": annotations}},
        }

    def _find(self, where: _Address) -> dict[str, Any]:
        found = self._objects.get(where.key)
        if found is None:
            raise StatusError(404, "NotFound", f'{where.kind.plural} "{where.name}" not found')
        return found

    def _check_place(self, where: _Address, obj: dict[str, Any]) -> None:
        if where.kind.is_namespaced:
            if not where.namespace:
                raise StatusError(400, "BadRequest", "an empty namespace may not be set during creation")
            named = obj["metadata"].setdefault("namespace", where.namespace)
            if named != where.namespace:
                raise StatusError(400, "BadRequest", "the namespace of the object does not match the request")
            if ("Namespace", "", where.namespace) not in self._objects:
                raise StatusError(404, "NotFound", f'namespaces "{where.namespace}" not found')
        if not _NAME.fullmatch(where.name):
            raise StatusError(422, "Invalid", f'{where.kind.name} "{where.name}" is invalid: metadata.name')

    def _update(self, where: _Address, after: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
        after = copy.deepcopy(after)
        asked = after["metadata"].get("resourceVersion")
        if asked and asked != before["metadata"]["resourceVersion"]:
            message = (
                f'Operation cannot be fulfilled on {where.kind.plural} "{where.name}": the object has been modified; '
                "please apply your changes to the latest version and try again"
            )
            raise StatusError(409, "Conflict", message)
        if after["metadata"].get("uid", before["metadata"]["uid"]) != before["metadata"]["uid"]:
            raise StatusError(409, "Conflict", "the UID in the precondition does not match the UID in record")
        if where.subresource == "status":
            kept = copy.deepcopy(before)
            kept.pop("status", None)
            after = kept | ({"status": after["status"]} if "status" in after else {})
        elif _has_status(where.kind):
            after.pop("status", None)
            after |= {"status": copy.deepcopy(before["status"])} if "status" in before else {}
        system = ("uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp", "managedFields")
        for name in system:
            after["metadata"].pop(name, None)
            after["metadata"] |= {name: before["metadata"][name]} if name in before["metadata"] else {}
        if "deletionTimestamp" in before["metadata"] and not after["metadata"].get("finalizers"):
            self._remove(where, after)
            return after
        if after == before:
            return copy.deepcopy(before)
        return self._store(where, after, before)

    def _store(self, where: _Address, obj: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
        self._version += 1
        metadata = obj["metadata"]
        obj |= {"apiVersion": where.kind.api_version, "kind": where.kind.name}
        metadata["resourceVersion"] = str(self._version)
        if before is None:
            metadata |= {"name": where.name, "uid": str(uuid.uuid4()), "creationTimestamp": _now()}
        if where.kind.name not in _WITHOUT_GENERATION:
            old = before["metadata"]["generation"] if before else 0
            metadata["generation"] = old + (before is None or _specified(before) != _specified(obj))
        self._objects[where.key] = obj
        self._changes.append(_Change(self._version, copy.deepcopy(obj), before))
        self._changed_all()
        return copy.deepcopy(obj)

    def _remove(self, where: _Address, obj: dict[str, Any]) -> None:
        self._version += 1
        del self._objects[where.key]
        self._applied = {key: value for key, value in self._applied.items() if key[0] != where.key}
        last = copy.deepcopy(obj)
        last["metadata"]["resourceVersion"] = str(self._version)
        self._changes.append(_Change(self._version, last, obj, is_deletion=True))
        if where.kind.name == "Namespace":
            inside = [key for key in self._objects if key[1] == where.name]
            for kind, namespace, name in inside:
                self._remove(_Address(KINDS[kind], namespace, name, ""), self._objects[kind, namespace, name])
        self._changed_all()

    def _changed_all(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _event_of(change: _Change, where: _Address, query: dict[str, str]) -> dict[str, Any] | None:
    obj = change.obj
    if obj["kind"] != where.kind.name or where.namespace not in ("", obj["metadata"].get("namespace")):
        return None
    fitted = change.before is not None and _fits(change.before, query)
    fits = _fits(obj, query) and not change.is_deletion
    if not fitted and not fits:
        return None
    kind = "DELETED" if not fits else "MODIFIED" if fitted else "ADDED"
    return {"type": kind, "object": copy.deepcopy(obj)}


def _resources(kinds: list[Kind]) -> list[dict[str, Any]]:
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    found = []
    for kind in kinds:
        about = {"singularName": kind.name.lower(), "namespaced": kind.is_namespaced, "kind": kind.name}
        found.append(about | {"name": kind.plural, "verbs": verbs})
        if _has_status(kind):
            found.append(about | {"name": f"{kind.plural}/status", "verbs": ["get", "patch", "update"]})
    return found


def _has_status(kind: Kind) -> bool:
    return kind.name not in _WITHOUT_STATUS


def _bare(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": {"name": name}}


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _specified(obj: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}


def _fits(obj: dict[str, Any], query: dict[str, str]) -> bool:
    labels = obj["metadata"].get("labels") or {}
    for wanted in filter(None, re.split(r",(?![^(]*\))", query.get("labelSelector", ""))):
        among = re.fullmatch(r"(\S+)\s+(in|notin)\s+\((.*)\)", wanted.strip())
        if among:
            key, how, values = among.groups()
            if (labels.get(key) in [value.strip() for value in values.split(",")]) != (how == "in"):
                return False
        elif "!=" in wanted:
            key, value = wanted.split("!=")
            if labels.get(key) == value:
                return False
        elif "=" in wanted:
            key, value = re.split("==?", wanted)
            if labels.get(key) != value:
                return False
        elif (wanted.lstrip("!") in labels) == wanted.startswith("!"):
            return False
    for wanted in filter(None, query.get("fieldSelector", "").split(",")):
        key, value = re.split("==?", wanted)
        found: Any = obj
        for part in key.split("."):
            found = found.get(part, "") if isinstance(found, dict) else ""
        if found != value:
            return False
    return True


def _merged(obj: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = copy.deepcopy(obj) if isinstance(obj, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _without(obj: dict[str, Any], applied: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Remove what a manager applied before and does not want any more."""
    for key, value in applied.items():
        if key not in wanted:
            if isinstance(value, dict) and isinstance(obj.get(key), dict):
                _without(obj[key], value, {})
                if not obj[key]:
                    del obj[key]
            else:
                obj.pop(key, None)
        elif isinstance(value, dict) and isinstance(obj.get(key), dict) and isinstance(wanted[key], dict):
            _without(obj[key], value, wanted[key])
    return obj


def _json_patched(obj: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """RFC 6902: add, remove, replace, test."""
    after = copy.deepcopy(obj)
    for operation in operations:
        *parents, last = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
        try:
            place: Any = after
            for part in parents:
                place = place[int(part)] if isinstance(place, list) else place[part]
            key: Any = len(place) if last == "-" else int(last) if isinstance(place, list) else last
            if operation["op"] == "test":
                if place[key] != operation["value"]:
                    raise StatusError(422, "Invalid", "the server rejected our request due to an error in our request")
            elif operation["op"] == "remove":
                del place[key]
            elif operation["op"] == "add" and isinstance(place, list):
                place.insert(key, operation["value"])
            else:
                place[key] = operation["value"]
        except (KeyError, IndexError, TypeError) as error:
            raise StatusError(422, "Invalid", f"the patch does not fit: {error}") from error
    return after


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    about = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return about | {"code": code, "reason": reason, "message": message}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: FakeApi

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, code: int, body: dict[str, Any] | str) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _handle(self) -> None:
        split = urlsplit(self.path)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        try:
            body = json.loads(raw) if raw else {}
            self._route(split.path, query, body)
        except StatusError as error:
            self._answer(error.code, _status(error.code, error.reason, error.message))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _route(self, path: str, query: dict[str, str], body: Any) -> None:
        api, method = self.api, self.command
        if path in ("/healthz", "/readyz", "/livez"):
            return self._answer(200, "ok")
        if path.startswith("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"):
            return self._answer(201, self._review(body))
        found = api.discover(path) if method == "GET" else None
        if found is not None:
            return self._answer(200, found)
        where = api.address(path)
        call = self._call(where, query)
        api.calls.append(call)
        fault = api.fault(call)
        if fault:
            code, message = fault
            if not code:
                self.close_connection = True
                return None
            return self._answer(code, _status(code, "", message))
        if call.verb == "watch":
            return self._stream(api.watch(where, query))
        if where.subresource == "log":
            api.get(where)
            return self._answer(200, api.logs.get((where.namespace, where.name, query.get("container", "")), ""))
        if method == "GET":
            return self._answer(200, api.get(where) if where.name else api.list(where, query))
        if method == "POST":
            return self._answer(201, api.create(where, body))
        if method == "PUT":
            return self._answer(200, api.replace(where, body))
        if method == "PATCH":
            content_type = self.headers["Content-Type"].partition(";")[0]
            return self._answer(200, api.patch(where, body, content_type, query.get("fieldManager", "")))
        if where.name:
            return self._answer(200, api.delete(where, body))
        listed = api.list(where, query)
        for item in listed["items"]:
            name, namespace = item["metadata"]["name"], item["metadata"].get("namespace", "")
            api.delete(_Address(where.kind, namespace, name, ""), {})
        return self._answer(200, listed)

    def _call(self, where: _Address, query: dict[str, str]) -> Call:
        one, many = {
            "GET": ("get", "list"),
            "POST": ("create", "create"),
            "PUT": ("update", "update"),
            "PATCH": ("patch", "patch"),
            "DELETE": ("delete", "deletecollection"),
        }[self.command]
        verb = "watch" if query.get("watch") in ("true", "1") else one if where.name else many
        resource = "/".join(filter(None, (where.kind.plural, where.subresource)))
        user = self.headers.get("Authorization", "").partition(" ")[2] or _ADMIN
        return Call(user, verb, where.kind.group, resource, where.namespace, where.name)

    def _review(self, body: dict[str, Any]) -> dict[str, Any]:
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource", ""))))
        return body | {"status": {"allowed": (asked["verb"], resource) not in self.api.denied}}

    def _stream(self, events: Iterator[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # clients may leave in the middle
            super().handle_error(request, client_address)


def serve(api: FakeApi) -> tuple[str, Callable[[], None]]:
    """Serve on loopback; return the address and what ends it."""
    handler = type("Handler", (_Handler,), {"api": api})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()

    def end() -> None:
        api.end()
        server.shutdown()
        server.server_close()
        thread.join()

    return f"http://127.0.0.1:{server.server_port}", end

"""What a fake Kubernetes API server knows and answers; `fakeserver` puts it on a port. No controllers, no rights.

What it does it does as the real one, which `test_kubeapi.py` holds it to: versions and conflicts, create-only, merge
patch, server-side apply (lists are atomic; one manager's fields go with it), status subresources, generations,
finalizers, selectors, watches with bookmarks. It knows the kinds of `workload.kinds` and no schema of any.
"""

import copy
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from driftloop.workload.kinds import KINDS, Kind
from tests.cluster.changes import StatusError, fits, json_patch, merge, withdraw

VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
_WITHOUT_STATUS = {"ConfigMap", "Secret", "ServiceAccount", "Lease", "Role", "RoleBinding", "ClusterRole",
                   "ClusterRoleBinding", "Event", "NetworkPolicy", "EndpointSlice", "ServiceMonitor",
                   "ValidatingAdmissionPolicyBinding"}  # fmt: skip
_WITHOUT_GENERATION = {"Pod", "Service", "Namespace", "PersistentVolumeClaim"} | (
    _WITHOUT_STATUS - {"NetworkPolicy", "ServiceMonitor", "ValidatingAdmissionPolicyBinding"}
)
_CUSTOM_GROUPS = {"driftloop.dev", "monitoring.coreos.com"}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?")


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


@dataclass
class Address:
    kind: Kind
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind.name, self.namespace, self.name

    def covers(self, namespace: str) -> bool:
        return not self.namespace or namespace == self.namespace


@dataclass
class _Change:
    version: int
    obj: dict[str, Any]
    before: dict[str, Any] | None
    is_deletion: bool = False


@dataclass
class FakeApi:
    """The server's memory."""

    calls: list[Call] = field(default_factory=list)
    logs: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """What containers wrote, by namespace, pod and container."""
    denied: set[tuple[str, str]] = field(default_factory=set)
    """(verb, resource) that an access review answers with no."""
    fault: Callable[[Call], tuple[int, str] | None] = lambda _: None
    """Asked before every request; a status and a message stand for the answer. A status of 0 cuts the connection."""

    def __post_init__(self) -> None:
        self._objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._applied: dict[tuple[tuple[str, str, str], str], dict[str, Any]] = {}
        self._changes: list[_Change] = []
        self._version = 1
        self._changed = threading.Condition()
        self._is_ended = False
        for name in ("default", "kube-system"):
            self._store(Address(KINDS["Namespace"], "", name, ""), _bare("Namespace", name), None)

    def end(self) -> None:
        """End all watches."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()

    def forget_changes(self) -> None:
        """Answer watches from older versions with 410 Gone, as the real one does after minutes."""
        with self._changed:
            self._changes.clear()

    def address(self, path: str) -> Address:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        version = parts[1] if parts[0] == "api" else "/".join(parts[1:3])
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        plural, name, subresource, *_ = [*rest, "", "", ""]
        for kind in self._served():
            if (kind.api_version, kind.plural) == (version, plural):
                return Address(kind, namespace, name, subresource)
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

    def list(self, where: Address, query: dict[str, str]) -> dict[str, Any]:
        with self._changed:
            found = [
                copy.deepcopy(obj)
                for (kind, namespace, _), obj in sorted(self._objects.items())
                if kind == where.kind.name and where.covers(namespace) and fits(obj, query)
            ]
            about = {"apiVersion": where.kind.api_version, "kind": f"{where.kind.name}List"}
            items = [{key: value for key, value in obj.items() if key not in ("apiVersion", "kind")} for obj in found]
            return about | {"metadata": {"resourceVersion": str(self._version)}, "items": items}

    def get(self, where: Address) -> dict[str, Any]:
        with self._changed:
            return copy.deepcopy(self._find(where))

    def create(self, where: Address, obj: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            metadata = obj.setdefault("metadata", {})
            if not metadata.get("name") and metadata.get("generateName"):
                metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
            where = Address(where.kind, where.namespace, str(metadata.get("name", "")), "")
            self._check_place(where, obj)
            if where.key in self._objects:
                raise StatusError(409, "AlreadyExists", f'{where.kind.plural} "{where.name}" already exists')
            if metadata.get("resourceVersion"):
                raise StatusError(400, "BadRequest", "resourceVersion should not be set on objects to be created")
            if _has_status(where.kind):
                obj.pop("status", None)
            return self._store(where, obj, None)

    def replace(self, where: Address, obj: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            before = self._find(where)
            if where.kind.group in _CUSTOM_GROUPS and not obj["metadata"].get("resourceVersion"):
                message = "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"
                raise StatusError(422, "Invalid", message)
            return self._update(where, obj, before)

    def patch(self, where: Address, body: Any, content_type: str, manager: str) -> dict[str, Any]:
        with self._changed:
            if content_type == "application/apply-patch+yaml":
                return self._apply(where, body, manager)
            before = self._find(where)
            if content_type == "application/merge-patch+json":
                after = merge(before, body)
            elif content_type == "application/json-patch+json":
                after = json_patch(before, body)
            else:
                raise StatusError(415, "UnsupportedMediaType", f"the fake does not know {content_type}")
            return self._update(where, after, before)

    def _apply(self, where: Address, obj: dict[str, Any], manager: str) -> dict[str, Any]:
        if not manager:
            raise StatusError(400, "BadRequest", "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
        self._check_place(where, obj)
        key = (where.key, manager)
        known = self._objects.get(where.key)
        wanted = copy.deepcopy(obj)
        if known is None:
            after = self._store(where, copy.deepcopy(wanted), None)
        else:
            after = withdraw(copy.deepcopy(known), self._applied.get(key, {}), wanted)
            after = self._update(where, merge(after, wanted), known)
        self._applied[key] = wanted
        return after

    def delete(self, where: Address, options: dict[str, Any]) -> dict[str, Any]:
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

    def delete_all(self, where: Address, query: dict[str, str]) -> dict[str, Any]:
        listed = self.list(where, query)
        for item in listed["items"]:
            name, namespace = item["metadata"]["name"], item["metadata"].get("namespace", "")
            self.delete(Address(where.kind, namespace, name, ""), {})
        return listed

    def watch(self, where: Address, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Yield events until the time is over or the server ends; None stands for nothing new."""
        deadline = time.monotonic() + float(query.get("timeoutSeconds") or 3600)
        since = query.get("resourceVersion", "")
        with self._changed:
            seen = self._version if since in ("", "0") else int(since)
            known = [
                copy.deepcopy(obj)
                for (kind, namespace, _), obj in self._objects.items()
                if kind == where.kind.name and where.covers(namespace) and fits(obj, query)
            ]
            oldest = self._changes[0].version if self._changes else self._version + 1
        if since in ("", "0"):
            yield from ({"type": "ADDED", "object": obj} for obj in known)
            if query.get("sendInitialEvents") == "true":
                yield self._bookmark(where, seen, {"k8s.io/initial-events-end": "true"})
        elif seen + 1 < oldest:
            gone = status_object(410, "Expired", f"too old resource version: {since}")
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
    def _bookmark(where: Address, version: int, annotations: dict[str, str]) -> dict[str, Any]:
        about = {"apiVersion": where.kind.api_version, "kind": where.kind.name}
        return {
            "type": "BOOKMARK",
            "object": about | {"metadata": {"resourceVersion": str(version), "annotations": annotations}},
        }

    def _find(self, where: Address) -> dict[str, Any]:
        found = self._objects.get(where.key)
        if found is None:
            raise StatusError(404, "NotFound", f'{where.kind.plural} "{where.name}" not found')
        return found

    def _check_place(self, where: Address, obj: dict[str, Any]) -> None:
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

    def _update(self, where: Address, after: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
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

    def _store(self, where: Address, obj: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
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

    def _remove(self, where: Address, obj: dict[str, Any]) -> None:
        self._version += 1
        del self._objects[where.key]
        self._applied = {key: value for key, value in self._applied.items() if key[0] != where.key}
        last = copy.deepcopy(obj)
        last["metadata"]["resourceVersion"] = str(self._version)
        self._changes.append(_Change(self._version, last, obj, is_deletion=True))
        if where.kind.name == "Namespace":
            inside = [key for key in self._objects if key[1] == where.name]
            for kind, namespace, name in inside:
                self._remove(Address(KINDS[kind], namespace, name, ""), self._objects[kind, namespace, name])
        self._changed_all()

    def _changed_all(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _event_of(change: _Change, where: Address, query: dict[str, str]) -> dict[str, Any] | None:
    obj = change.obj
    if obj["kind"] != where.kind.name or where.namespace not in ("", obj["metadata"].get("namespace")):
        return None
    was_seen = change.before is not None and fits(change.before, query)
    is_seen = fits(obj, query) and not change.is_deletion
    if not was_seen and not is_seen:
        return None
    kind = "DELETED" if not is_seen else "MODIFIED" if was_seen else "ADDED"
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


def status_object(code: int, reason: str, message: str) -> dict[str, Any]:
    about = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return about | {"code": code, "reason": reason, "message": message}

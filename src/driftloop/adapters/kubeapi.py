"""The Kubernetes API: plain dicts in and out. Nothing else speaks to the API server, but for kopf's own watches.

On the client of the `kubernetes` package: its configuration, authentication and connection pool; addresses come from
the table of kinds, so that nothing is discovered at start. Every call has a time limit and is tried once: who calls
knows whether and when to try again.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from driftloop.errors import DriftloopError, InvalidInputError
from driftloop.workload.kinds import KINDS as KINDS  # noqa: PLC0414
from driftloop.workload.kinds import kind_of
from driftloop.workload.rights import RBAC_RULES as RBAC_RULES  # noqa: PLC0414 - part of this module's contract

FIELD_MANAGER = "driftloop"
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_EVENT_MESSAGE_LIMIT = 1024
_log = logging.getLogger(__name__)


class ApiUnavailableError(DriftloopError):
    """The API server gave no answer, or says that it can't now; what was asked may or may not have happened."""

    def __init__(self, host: str, reason: object) -> None:
        super().__init__(f"The Kubernetes API at '{host}' must answer. It did not: {reason}. Try again in a while.")


class RejectedError(DriftloopError):
    """The API server refuses what was asked; asking again changes nothing."""

    def __init__(self, what: str, status: int, message: str) -> None:
        super().__init__(f"{what} was refused by the Kubernetes API ({status}): {message}")
        self.status = status
        self.message = message
        """In the API server's words."""


class NotFoundError(RejectedError):
    """The object, its namespace or its kind is not there."""


class AlreadyExistsError(DriftloopError):
    """An object to be created is there already."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was to be created and is there already. Choose another name, or look at what is there."
        )


class ConflictError(DriftloopError):
    """An object changed since it was read: somebody else was first."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(f"{what} changed since it was read: {message}. Read it again.")


class ContextError(InvalidInputError):
    """No cluster can be told from the surroundings, or not the one that was named."""

    def __init__(self, context: str | None, reason: object) -> None:
        what = f"The context '{context}' must be one of the kubeconfig" if context else "A cluster must be configured"
        super().__init__(f"{what}: {reason}. See: kubectl config get-contexts")


class KubeApi:
    """One API server, as one user. Threads may share it.

    Args:
        client: `kubernetes.client.ApiClient`.
        namespace: where the user is at home.
        now: the clock of Events.
    """

    def __init__(
        self, client: Any, namespace: str = "default", now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.namespace = namespace
        self._client = client
        self._now = now

    @classmethod
    def connect(cls, context: str | None = None, kubeconfig: str | Path | None = None) -> "KubeApi":
        """Return the API server of a kubeconfig's context; without one, of this pod or of the current context.

        Without a kubeconfig's path, `KUBECONFIG` names it.

        Raises:
            ContextError: there is no such context, or no configuration at all.
        """
        from kubernetes import client, config
        from kubernetes.config import ConfigException

        kubeconfig = kubeconfig or os.environ.get("KUBECONFIG")
        settings = client.Configuration()
        try:
            if context is None and not kubeconfig and _ACCOUNT_NAMESPACE.exists():
                config.load_incluster_config(client_configuration=settings)
                return cls(client.ApiClient(settings), _ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip())
            file = str(kubeconfig or Path("~/.kube/config").expanduser())
            config.load_kube_config(file, context, client_configuration=settings, persist_config=False)
            contexts, current = config.list_kube_config_contexts(file)
        except (ConfigException, OSError) as error:
            raise ContextError(context, error) from error
        chosen = next((one for one in contexts if one["name"] == context), current)
        return cls(client.ApiClient(settings), chosen["context"].get("namespace") or "default")

    @property
    def host(self) -> str:
        """Return the API server's address."""
        return str(self._client.configuration.host)

    def version(self) -> tuple[int, int]:
        """Return the API server's version, such as (1, 29)."""
        told = json.loads(self._send("GET", "/version", "The version"))
        return int(told["major"]), int("".join(filter(str.isdigit, told["minor"])))

    def get(self, kind: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        """Return an object; None where it, or its kind, is not there."""
        try:
            return self._object("GET", kind_of(kind).path(namespace, name), _call(kind, namespace, name))
        except NotFoundError:
            return None

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Return the objects of a kind that carry all the labels, of one namespace or of the whole cluster."""
        found = self._object("GET", kind_of(kind).path(namespace), f"Listing {kind_of(kind).plural}", _selector(labels))
        about = {"apiVersion": kind_of(kind).api_version, "kind": kind}
        return [about | item for item in found["items"]]

    def apply(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Make an object be as given, server-side: fields that others manage stay (fieldManager `driftloop`)."""
        namespace, name = _place(obj)
        return self._object(
            "PATCH",
            kind_of(obj).path(namespace, name),
            _call(obj["kind"], namespace, name),
            {"fieldManager": FIELD_MANAGER, "force": "true"},
            body=obj,
            content_type="application/apply-patch+yaml",
        )

    def create(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Create an object.

        Raises:
            AlreadyExistsError: there is one of this name.
        """
        namespace, name = _place(obj)
        what = _call(obj["kind"], namespace, name)
        return self._object("POST", kind_of(obj).path(namespace), what, {"fieldManager": FIELD_MANAGER}, body=obj)

    def replace(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Put an object in the place of the one that was read.

        Raises:
            ConflictError: its `metadata.resourceVersion` is not the newest.
        """
        namespace, name = _place(obj)
        what = _call(obj["kind"], namespace, name)
        return self._object("PUT", kind_of(obj).path(namespace, name), what, {"fieldManager": FIELD_MANAGER}, body=obj)

    def patch(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any],
        *,
        manager: str = FIELD_MANAGER,
    ) -> dict[str, Any]:
        """Change an object by a JSON merge patch (RFC 7396): null removes.

        Args:
            kind: of the object.
            namespace: of the object.
            name: of the object.
            patch: what changes.
            manager: who the API server notes as the writer of these fields; 128 characters at most.
        """
        path, what = kind_of(kind).path(namespace, name), _call(kind, namespace, name)
        return self._merge(path, what, patch, manager)

    def patch_status(self, kind: str, namespace: str | None, name: str, status: Mapping[str, Any]) -> dict[str, Any]:
        """Change an object's status by a JSON merge patch; its spec can't be reached this way."""
        path, what = kind_of(kind).path(namespace, name, "status"), _call(kind, namespace, name)
        return self._merge(path, what, {"status": status}, FIELD_MANAGER)

    def delete(self, kind: str, namespace: str | None, name: str) -> None:
        """Delete an object, and in the background what it owns; gone already is fine."""
        try:
            self._send(
                "DELETE",
                kind_of(kind).path(namespace, name),
                _call(kind, namespace, name),
                body={"propagationPolicy": "Background"},
            )
        except NotFoundError:
            return

    def delete_all(self, kind: str, namespace: str, labels: Mapping[str, str]) -> None:
        """Delete the objects of a kind that carry all the labels, and in the background what they own."""
        if not labels:
            raise ValueError("labels must not be empty: everything of the namespace would go")
        for found in self.list(kind, namespace, labels):
            self.delete(kind, namespace, found["metadata"]["name"])

    def emit_event(self, about: dict[str, Any], *, reason: str, message: str, warning: bool = False) -> None:
        """Tell people, in `kubectl describe`, what happened to an object; the same told again counts up.

        An Event is a courtesy: where it can't be written, that goes to the log and the caller goes on.
        """
        try:
            self._count_event(_build_event(about, reason, message[:_EVENT_MESSAGE_LIMIT], warning, self._now()))
        except (DriftloopError, KeyError) as error:
            _log.warning("event not written", extra={"reason": reason, "event_message": message, "error": str(error)})

    def _count_event(self, event: dict[str, Any]) -> None:
        namespace, name = _place(event)
        try:
            self.create(event)
        except AlreadyExistsError:
            known = self.get("Event", namespace, name)
            count = known.get("count", 1) + 1 if known else 1
            self.patch("Event", namespace, name, {"count": count, "lastTimestamp": event["lastTimestamp"]})

    def review_access(self, verb: str, group: str, resource: str, namespace: str | None = None) -> bool:
        """Return whether this user may do something; a resource may be `modelloops/status`."""
        plural, _, subresource = resource.partition("/")
        asked = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked | ({"namespace": namespace} if namespace else {})},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return bool(self._object("POST", path, "The access review", body=review)["status"]["allowed"])

    def user_name(self) -> str:
        """Return who this user is to the API server."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        return str(self._object("POST", path, "The user's name", body=review)["status"]["userInfo"]["username"])

    def pod_log(self, namespace: str, name: str, container: str, *, tail_lines: int = 200) -> str:
        """Return the last lines that a pod's container wrote."""
        query = {"container": container, "tailLines": str(tail_lines)}
        path = kind_of("Pod").path(namespace, name, "log")
        return self._send("GET", path, f"The log of Pod '{namespace}/{name}'", query).decode(errors="replace")

    def _merge(self, path: str, what: str, patch: Mapping[str, Any], manager: str) -> dict[str, Any]:
        query = {"fieldManager": manager}
        return self._object("PATCH", path, what, query, body=patch, content_type="application/merge-patch+json")

    def _object(self, *request: Any, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._send(*request, **more))
        return answer

    def _send(
        self,
        method: str,
        path: str,
        what: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """Send one request and return the body of the answer; everything else leaves as an error of this module."""
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json, */*", "User-Agent": "driftloop"}
        if body is not None:
            headers["Content-Type"] = content_type
        self._client.update_params_for_auth(headers, [], ["BearerToken"])  # reads a renewed token
        try:
            answer = self._client.rest_client.pool_manager.request(
                method,
                f"{self.host}{quote(path)}{'?' if query else ''}{urlencode(query or {})}",
                body=None if body is None else json.dumps(body),
                headers=headers,
                timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                retries=False,
            )
        except HTTPError as error:
            raise ApiUnavailableError(self.host, error) from error
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _refusal(self.host, what, answer.status, answer.data)
        data: bytes = answer.data
        return data


def _refusal(host: str, what: str, status: int, body: bytes) -> DriftloopError:
    """Turn the API server's `Status` object into an error."""
    try:
        told = json.loads(body)
        reason, message = str(told["reason"]), str(told["message"])
    except (ValueError, KeyError, TypeError):
        reason, message = "", body.decode(errors="replace")[:500]
    message = message.rstrip(".") or f"HTTP {status}"
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ApiUnavailableError(host, f"HTTP {status}, {message}")
    if status == HTTPStatus.CONFLICT and reason == "AlreadyExists":
        return AlreadyExistsError(what)
    if status == HTTPStatus.CONFLICT:
        return ConflictError(what, message)
    kind = NotFoundError if status == HTTPStatus.NOT_FOUND else RejectedError
    return kind(what, status, message)


def _place(obj: Mapping[str, Any]) -> tuple[str | None, str]:
    return obj["metadata"].get("namespace"), obj["metadata"]["name"]


def _call(kind: str, namespace: str | None, name: str) -> str:
    """Return what people call an object: ModelLoop 'team/flights'."""
    return f"{kind} '{namespace}/{name}'" if namespace else f"{kind} '{name}'"


def _selector(labels: Mapping[str, str] | None) -> dict[str, str]:
    return {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())} if labels else {}


def _build_event(about: dict[str, Any], reason: str, message: str, warning: bool, now: datetime) -> dict[str, Any]:
    """Build the Event; its name says what is told of whom, so that repetitions meet."""
    namespace, name = _place(about)
    uid = about["metadata"].get("uid", "")
    identity = hashlib.sha256(f"{uid}\n{name}\n{reason}\n{message}".encode()).hexdigest()[:16]
    time = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": namespace or "default", "name": f"{name[:200]}.{identity}"},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": name,
            "uid": uid,
        }
        | ({"namespace": namespace} if namespace else {}),
        "reason": reason,
        "message": message,
        "type": "Warning" if warning else "Normal",
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
    }

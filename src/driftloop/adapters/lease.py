"""A Lease: at most one of several processes holds it. The semantics of client-go's leader election.

A holder that does not renew is outlived, never asked: another takes over once it has seen the Lease unchanged for its
whole duration *by its own clock*, so that clocks need not agree; only their speed matters. The holder judges itself by
the monotonic clock too, from the moment before it asked: it stops before anybody else may start.
Source: https://pkg.go.dev/k8s.io/client-go/tools/leaderelection
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from driftloop.adapters.kubeapi import AlreadyExistsError, ApiUnavailableError, ConflictError, KubeApi, NotFoundError

_log = logging.getLogger(__name__)


class Lease:
    """One candidate for one Lease. Not for several threads at once.

    Args:
        api: the API server.
        namespace: of the Lease.
        name: of the Lease.
        holder: who this candidate is; no other may have the same name. The pod's name, usually.
        duration_seconds: how long a holder lives on without renewal; renew every third of it.
        clock: what the Lease says of times, for people; no decision depends on it.
        monotonic: seconds on a clock that is never set.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        name: str,
        holder: str,
        duration_seconds: int = 15,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.holder = holder
        self._api = api
        self._namespace = namespace
        self._name = name
        self._duration_seconds = duration_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._seen_version = ""
        self._seen_at = 0.0
        self._renewed_at: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether this candidate may act as the holder now; false once the duration passed without renewal."""
        return self._renewed_at is not None and self._monotonic() < self._renewed_at + self._duration_seconds

    def hold(self) -> bool:
        """Take the Lease, or renew it; return `is_held`.

        One attempt, never a wait. While the API server does not answer, a holder stays one until its duration is over.

        Raises:
            RejectedError: this user may not use Leases here.
        """
        asked_at = self._monotonic()
        try:
            found = self._api.get("Lease", self._namespace, self._name)
            if found is None:
                self._api.create(self._build(None))
            elif self._may_take(found):
                self._api.replace(self._build(found))
            else:
                self._renewed_at = None
                return False
        except AlreadyExistsError:  # it was deleted, and somebody else was first
            self._renewed_at = None
            return False
        except (ConflictError, NotFoundError):  # changed meanwhile; nobody takes it from a holder before its time
            return self.is_held
        except ApiUnavailableError as error:
            _log.warning("lease not renewed", extra={"lease": self._name, "error": str(error)})
            return self.is_held
        if self._renewed_at is None:
            _log.info("lease taken", extra={"lease": self._name, "holder": self.holder})
        self._renewed_at = asked_at
        return self.is_held

    def release(self) -> None:
        """Give the Lease back, so that another need not wait; where that can't be told, it runs out."""
        was_held, self._renewed_at = self._renewed_at is not None, None
        if not was_held:
            return
        try:
            found = self._api.get("Lease", self._namespace, self._name)
            if found and found["spec"].get("holderIdentity") == self.holder:
                free = {"holderIdentity": "", "leaseDurationSeconds": 1}
                self._api.replace(found | {"spec": found["spec"] | free})
        except (ApiUnavailableError, ConflictError, NotFoundError) as error:
            _log.warning("lease not given back", extra={"lease": self._name, "error": str(error)})

    def _may_take(self, found: dict[str, Any]) -> bool:
        spec, version = found.get("spec", {}), found["metadata"]["resourceVersion"]
        now = self._monotonic()
        if version != self._seen_version:
            self._seen_version, self._seen_at = version, now
        if spec.get("holderIdentity") in ("", None, self.holder):
            return True
        duration = spec.get("leaseDurationSeconds") or self._duration_seconds
        return now >= self._seen_at + float(duration)

    def _build(self, found: dict[str, Any] | None) -> dict[str, Any]:
        now = f"{self._clock():%Y-%m-%dT%H:%M:%S.%fZ}"
        before = (found or {}).get("spec", {})
        is_mine = before.get("holderIdentity") == self.holder
        spec = {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self._duration_seconds,
            "acquireTime": before.get("acquireTime", now) if is_mine else now,
            "renewTime": now,
            "leaseTransitions": before.get("leaseTransitions", 0) + (1 if found and not is_mine else 0),
        }
        if found:
            return found | {"spec": before | spec}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"namespace": self._namespace, "name": self._name},
            "spec": spec,
        }

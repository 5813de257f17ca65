"""Brings model versions up in the cluster and moves traffic between them. Every call may be repeated.

Order: the new Deployment is available → the ledger says who is champion → the Service is switched → after a pause the
old Deployment goes. Until the switch the old one serves, whatever becomes of the new one.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from driftloop.adapters.kubeapi import KubeApi, RejectedError
from driftloop.loop.history import LoopState, Model
from driftloop.operator.podwords import words_of_pods
from driftloop.spec import ModelLoop
from driftloop.workload.deployment import build_server_deployment
from driftloop.workload.fixed import build_fixed_objects
from driftloop.workload.names import (
    COMPONENT_LABEL,
    MODEL_VERSION_LABEL,
    SERVER_COMPONENT,
    autoscaler_name,
    deployment_name,
    loop_labels,
    server_selector,
)
from driftloop.workload.owner import Owner
from driftloop.workload.platform import Platform
from driftloop.workload.scaling import build_autoscaler, is_autoscaled
from driftloop.workload.services import build_predictions_service

REAPPLY_SECONDS = 300.0
"""Time after which objects are applied again though nothing changed: somebody may have changed them."""
UNPROCESSABLE = 422


class Stage(StrEnum):
    """How far a Deployment is."""

    AVAILABLE = "Available"
    COMING = "Coming"
    FAILED = "Failed"


@dataclass(frozen=True)
class Readiness:
    """Whether a model can serve, and in words what it waits for or failed with."""

    stage: Stage
    words: str = ""


@dataclass(frozen=True)
class Serving:
    """What the cluster serves."""

    is_available: bool
    """Whether any pod of the champion answers."""
    is_draining: bool
    """Whether a Deployment is left that will be removed."""


class Rollout:
    """The serving objects of one loop.

    Args:
        api: where they live.
        platform: images and object store.
        available: time in which a new Deployment must become available.
        drain: time for which the old champion's pods stay after the switch.
        monotonic: seconds on a clock that is never set.
    """

    def __init__(
        self,
        api: KubeApi,
        platform: Platform,
        *,
        available: timedelta,
        drain: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._platform = platform
        self._available = available
        self._drain = drain
        self._monotonic = monotonic
        self._applied: dict[tuple[str, str], tuple[str, float]] = {}
        self._may_have_autoscaler = True

    def bring_up(self, loop: ModelLoop, model: Model, owner: Owner, now: datetime) -> Readiness:
        """Have a Deployment of the model, beside whatever serves, and say how far it is."""
        self._apply_fixed(loop, owner)
        try:
            deployment = self._apply_deployment(loop, model, owner, self._deployments(loop))
        except RejectedError as error:
            if error.status != UNPROCESSABLE:  # a right or a quota is missing: no fault of the model
                raise
            return Readiness(Stage.FAILED, str(error))
        if is_available(deployment):
            return Readiness(Stage.AVAILABLE)
        pods = self._api.list("Pod", loop.metadata.namespace, server_selector(loop.metadata.name, model.version))
        words = words_of_pods(pods)
        if words.is_final:
            return Readiness(Stage.FAILED, words.text)
        begun = datetime.fromisoformat(deployment["metadata"]["creationTimestamp"])
        if now >= begun + self._available or _is_given_up(deployment):
            limit = f"{self._available.total_seconds():g} s"
            return Readiness(Stage.FAILED, f"not available within {limit}: {words.text or _told(deployment)}")
        return Readiness(Stage.COMING, words.text)

    def settle(self, loop: ModelLoop, state: LoopState, owner: Owner, now: datetime, *, keep: str = "") -> Serving:
        """Make the cluster be as the ledger says, and return what it serves.

        Args:
            loop: the loop.
            state: who is champion, and since when.
            owner: the ModelLoop.
            now: the clock by which the old Deployment drains.
            keep: version that is being brought up, and must stay.
        """
        self._apply_fixed(loop, owner)
        found = self._deployments(loop)
        champion = state.champion
        is_serving = False
        if champion:
            deployment = self._apply_deployment(loop, champion, owner, found)
            is_serving = (deployment.get("status") or {}).get("availableReplicas", 0) > 0
        self._apply(build_predictions_service(loop, champion.version if champion else None, owner))
        self._scale(loop, champion, owner)
        is_draining = False
        is_drained = state.promoted_at is None or now >= state.promoted_at + self._drain
        for version in found:
            if version in (keep, champion.version if champion else ""):
                continue
            was_champion = state.model(version) is not None
            if is_drained or not was_champion:
                self._remove(loop, version)
            else:
                is_draining = True
        return Serving(is_serving, is_draining)

    def _remove(self, loop: ModelLoop, version: str) -> None:
        name = deployment_name(loop.metadata.name, version)
        self._api.delete("Deployment", loop.metadata.namespace, name)
        self._applied.pop(("Deployment", name), None)

    def _scale(self, loop: ModelLoop, champion: Model | None, owner: Owner) -> None:
        autoscaler = build_autoscaler(loop, champion.version, owner) if champion else None
        if autoscaler:
            self._apply(autoscaler)
        elif self._may_have_autoscaler:
            name = autoscaler_name(loop.metadata.name)
            self._api.delete("HorizontalPodAutoscaler", loop.metadata.namespace, name)
            self._applied.pop(("HorizontalPodAutoscaler", name), None)
        self._may_have_autoscaler = autoscaler is not None

    def _apply_fixed(self, loop: ModelLoop, owner: Owner) -> None:
        for obj in build_fixed_objects(loop, self._platform, owner):
            self._apply(obj)

    def _apply_deployment(
        self, loop: ModelLoop, model: Model, owner: Owner, deployments: Mapping[str, dict[str, Any]]
    ) -> dict[str, Any]:
        """Apply a model's Deployment; where a load decides on replicas, a new one begins with as many as there are."""
        result = model.result
        found = deployments.get(model.version)
        replicas = None
        if deployments and is_autoscaled(loop):
            replicas = max(one["spec"]["replicas"] for one in ([found] if found else deployments.values()))
        wanted = build_server_deployment(
            loop,
            model.version,
            result.bento_uri,
            result.bento_digest,
            result.runtime_image,
            self._platform,
            owner,
            replicas=replicas,
        )
        return self._apply(wanted, found) or found or wanted

    def _apply(self, obj: dict[str, Any], found: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Apply an object unless that was done a short while ago; return what the API server made of it."""
        key, content = (obj["kind"], obj["metadata"]["name"]), json.dumps(obj, sort_keys=True)
        known, at = self._applied.get(key, ("", 0.0))
        is_missing = obj["kind"] == "Deployment" and found is None
        if known == content and not is_missing and self._monotonic() < at + REAPPLY_SECONDS:
            return None
        made = self._api.apply(obj)
        self._applied[key] = (content, self._monotonic())
        return made

    def _deployments(self, loop: ModelLoop) -> dict[str, dict[str, Any]]:
        """Return the servers' Deployments by model version."""
        labels = loop_labels(loop.metadata.name) | {COMPONENT_LABEL: SERVER_COMPONENT}
        found = self._api.list("Deployment", loop.metadata.namespace, labels)
        return {one["metadata"]["labels"][MODEL_VERSION_LABEL]: one for one in found}


def is_available(deployment: Mapping[str, Any]) -> bool:
    """Whether all pods of a Deployment are of its newest template, and ready."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
        and status.get("updatedReplicas", 0) >= wanted
        and status.get("availableReplicas", 0) >= wanted
    )


def _condition(deployment: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    conditions = (deployment.get("status") or {}).get("conditions") or ()
    return next((condition for condition in conditions if condition["type"] == kind), {})


def _is_given_up(deployment: Mapping[str, Any]) -> bool:
    return "ProgressDeadlineExceeded" in _condition(deployment, "Progressing").get("reason", "")


def _told(deployment: Mapping[str, Any]) -> str:
    message = _condition(deployment, "Available").get("message") or _condition(deployment, "ReplicaFailure").get(
        "message"
    )
    return message or "its pods say nothing"

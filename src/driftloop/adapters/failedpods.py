"""Why a run's pods failed, read from the pods themselves: Kubeflow Pipelines says only that a child failed."""

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from driftloop.adapters.kfp_child import find_error
from driftloop.adapters.kubeapi import KubeApi
from driftloop.errors import DriftloopError

MAIN_CONTAINER = "main"
"""Of every step that Argo runs."""
_RUN_LABEL = "pipeline/runid"
_NODE_ANNOTATION = "workflows.argoproj.io/node-name"
_TAIL_LINES = 400
# What KFP's launcher (klog) and Argo's executor (logrus) write around the step's own words.
_FRAME = re.compile(r"^([IWEF]\d{4} |time=|Error: exit status|\s*\^+\s*$)")
_DRIVER_WORDS = re.compile(r"^F\d{4} [^\]]*\] KFP driver: (?:.* failed: )?(.*)$", re.MULTILINE)
_DRIVER = "-driver"
"""Ends the name of what Kubeflow runs before a step: it finds inputs, cached results and the pod's form."""
_log = logging.getLogger(__name__)


def tell_failed_pods(objects: KubeApi, namespace: str, run_id: str, stages: Collection[str]) -> str:
    """Return what the failed steps of a Kubeflow run said, one sentence a step; empty where nothing can be read.

    Args:
        objects: the cluster that the pods run in.
        namespace: where they run.
        run_id: Kubeflow's id of the run.
        stages: names of the pipeline's stages.
    """
    try:
        pods = objects.list("Pod", namespace, {_RUN_LABEL: run_id})
    except DriftloopError as error:
        _log.warning("pods of a failed run not read", extra={"namespace": namespace, "error": str(error)})
        return ""
    reasons = {stage: text for pod in pods for stage, text in _failure(objects, pod, stages)}
    return " ".join(
        f"The stage '{stage}' failed: {' '.join(text.split()).rstrip('.')}." for stage, text in reasons.items()
    )


def explain_container(status: Mapping[str, Any], log: str) -> str:
    """Return why a container ended badly, by its status and what it printed.

    Args:
        status: `state.terminated` of the container.
        log: the end of what it printed.
    """
    if status.get("reason") == "OOMKilled":
        return "it ran out of memory (OOMKilled); raise spec.pipeline.resources"
    said = (status.get("message") or "").strip()
    words = "\n".join(line for line in log.splitlines() if line.strip() and not _FRAME.match(line))
    if not said and not words and (driver := _DRIVER_WORDS.findall(log)):
        return f"Kubeflow could not start it: {driver[-1]}"
    return said or find_error(words)


def _failure(objects: KubeApi, pod: Mapping[str, Any], stages: Collection[str]) -> Iterable[tuple[str, str]]:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    stage = _stage_of(pod["metadata"].get("annotations", {}).get(_NODE_ANNOTATION, ""), stages)
    for container in pod.get("status", {}).get("containerStatuses", ()):
        ended = container.get("state", {}).get("terminated")
        if container["name"] != MAIN_CONTAINER or not ended or not ended.get("exitCode"):
            continue
        try:
            log = objects.pod_log(namespace, name, MAIN_CONTAINER, tail_lines=_TAIL_LINES)
        except DriftloopError as error:
            _log.warning("log of a failed step not read", extra={"pod": name, "error": str(error)})
            log = ""
        yield stage or name, explain_container(ended, log)


def _stage_of(node: str, stages: Collection[str]) -> str:
    """Return the stage of an Argo node, without the number of a loop's turn.

    >>> _stage_of("run-x.root.for-loop-1(0:0).train.executor", ("split", "train"))
    'train'
    >>> _stage_of("run-x(0).root(0).for-loop-1(0).train-driver(0)", ("split", "train"))
    'train'
    """
    parts = [part.partition("(")[0].removesuffix(_DRIVER) for part in node.split(".")]
    return next((part for part in reversed(parts) if part in stages), "")

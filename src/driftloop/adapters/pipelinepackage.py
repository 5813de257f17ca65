"""Compiled packages as Kubeflow Pipelines gets them: named by their content, and with what a loop's pods need besides.

Whatever parameters can't say (environment from Secrets, volumes) is written into the package's second document, the one
about Kubernetes; a loop with such needs gets a version of its own, named by its content like any other.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import yaml

from driftloop.adapters.kfp_local import compiled_package
from driftloop.spec.operation import PipelineSpec

_DIGEST_LENGTH = 12
_COMPILER_LINE = "sdkVersion:"  # names the compiler, not what the package does


@dataclass(frozen=True)
class PipelinePackage:
    """One version of a pipeline; in Kubeflow's Kubernetes-native mode the names are those of objects."""

    pipeline: str
    """Name of the pipeline, such as `driftloop-training`."""
    version: str
    """Name of the version: that of the pipeline and its content's digest."""
    content: str
    """The YAML."""


def read_package(name: str, pods: PipelineSpec | None = None) -> PipelinePackage:
    """Return a compiled package of this installation.

    Args:
        name: of the package, such as `training`.
        pods: what the steps' pods of a loop get (`run_pods`).
    """
    content = compiled_package(name).read_text(encoding="utf-8")
    if pods and (pods.env or pods.volumes):
        content = _equip(content, pods)
    pipeline = f"driftloop-{name}"
    return PipelinePackage(pipeline, version_name(pipeline, content), content)


def version_name(pipeline: str, content: str) -> str:
    """Return the name of the version of a pipeline that has this content, whoever compiled it."""
    digest = hashlib.sha256()
    for line in content.splitlines():
        if not line.startswith(_COMPILER_LINE):
            digest.update(f"{line}\n".encode())
    return f"{pipeline}-{digest.hexdigest()[:_DIGEST_LENGTH]}"


def _equip(content: str, pods: PipelineSpec) -> str:
    """Give every step the environment and the volumes; the fields are those of `KubernetesExecutorConfig`."""
    pipeline, platforms = yaml.safe_load_all(content)
    env = [
        {
            "secretNameParameter": {"runtimeValue": {"constant": variable.secret_key_ref.name}},
            "keyToEnv": [{"secretKey": variable.secret_key_ref.key, "envVar": variable.name}],
            "optional": variable.secret_key_ref.optional,
        }
        for variable in pods.env
    ]
    mounts = [
        {"pvcNameParameter": {"runtimeValue": {"constant": volume.claim_name}}, "mountPath": volume.mount_path}
        for volume in pods.volumes
    ]
    executors: dict[str, Any] = platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for executor in executors.values():
        executor["secretAsEnv"] = [*executor.get("secretAsEnv", ()), *env]
        executor["pvcMount"] = [*executor.get("pvcMount", ()), *mounts]
    return yaml.safe_dump_all([pipeline, platforms], sort_keys=True)

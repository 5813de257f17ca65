"""How a container reaches the object store: environment that fsspec, s3fs, botocore and pyarrow all read."""

from typing import Any

from driftloop.workload.platform import Store

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def build_store_env(store: Store) -> list[dict[str, Any]]:
    """Return the `env` of a container that reads or writes the store.

    Without a secret the pod's own identity counts, as with workload identity on managed clusters.
    """
    env: list[dict[str, Any]] = [
        {"name": "AWS_DEFAULT_REGION", "value": store.region},
        {"name": "AWS_REGION", "value": store.region},
    ]
    if store.endpoint_url:
        env.append({"name": "AWS_ENDPOINT_URL", "value": store.endpoint_url})
    if store.secret_name:
        env += [{"name": key, "valueFrom": {"secretKeyRef": {"name": store.secret_name, "key": key}}} for key in _KEYS]
    return env

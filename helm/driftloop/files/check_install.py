"""Run by `helm test`: the API server knows the custom resources, takes a good loop and refuses a bad one."""

import sys
from http import HTTPStatus

from kubernetes import client, config

config.load_incluster_config()
api = client.CustomObjectsApi()
namespace = sys.argv[1]


def offer(target: str) -> None:
    """Have the API server judge a loop, and keep nothing."""
    data = {"uri": "s3://lake/flights.parquet", "targetColumn": target}
    loop = {
        "apiVersion": "driftloop.dev/v1alpha1",
        "kind": "ModelLoop",
        "metadata": {"name": "driftloop-check"},
        "spec": {"problem": {"task": "Classification"}, "data": data},
    }
    api.create_namespaced_custom_object("driftloop.dev", "v1alpha1", namespace, "modelloops", loop, dry_run="All")


for plural in ("modelloops", "driftreports"):
    try:
        api.list_namespaced_custom_object("driftloop.dev", "v1alpha1", namespace, plural, limit=1)
    except client.ApiException as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        sys.exit(f"The API server must know {plural}.driftloop.dev. It does not. Set crds.install=true, or apply them.")
offer("late")
try:
    offer("")
except client.ApiException as error:
    if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
        raise
else:
    sys.exit("The API server must refuse a loop without a target column. It did not: are the CRDs those of this chart?")
print("The API server knows ModelLoop and DriftReport, takes a good loop and refuses a bad one.")

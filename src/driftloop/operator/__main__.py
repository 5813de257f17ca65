"""Entry of the operator's container: `python -m driftloop.operator`, all settings from the environment."""

import asyncio
import logging
import os
import sys

from prometheus_client import start_http_server
from pydantic import ValidationError

from driftloop.adapters.bento import read_part
from driftloop.adapters.codeidentity import code_digest
from driftloop.adapters.kubeapi import KubeApi
from driftloop.adapters.objectstore import FsspecStore
from driftloop.errors import DriftloopError
from driftloop.operator.capacity import Capacity
from driftloop.operator.guardedstore import GuardedStore
from driftloop.operator.handlers import run_operator
from driftloop.operator.lookout import loops_with_runs
from driftloop.operator.looprun import Surroundings
from driftloop.operator.metrics import Metrics
from driftloop.operator.notify import Webhook
from driftloop.operator.runners import Runners
from driftloop.operator.settings import OperatorSettings


def surround(settings: OperatorSettings, api: KubeApi) -> Surroundings:
    """Put together what all loops share."""
    metrics = Metrics()
    store = GuardedStore(FsspecStore(), metrics)
    capacity = Capacity(settings.max_concurrent_runs, lambda: loops_with_runs(api, store, settings))
    metrics.open_runs.set_function(lambda: capacity.in_progress)
    return Surroundings(
        api=api,
        store=store,
        settings=settings,
        runner_of=Runners(api, settings).of,
        read_part=read_part,
        capacity=capacity,
        webhook=Webhook(settings.webhook_url, settings.webhook_timeout_seconds, metrics),
        metrics=metrics,
        may_act=lambda: False,  # until the Lease is held
        code_digest=settings.platform.images.pipeline.partition("@sha256:")[2] or code_digest(),
    )


def main() -> int:
    """Run the operator until it is told to end; return the exit code."""
    try:
        settings = OperatorSettings()
    except ValidationError as error:
        sys.stderr.write(f"The settings DRIFTLOOP_OPERATOR_... must be as docs/operator.md says. {error}\n")
        return 2
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # probes knock every few seconds
    store = settings.platform.store
    os.environ.setdefault("AWS_DEFAULT_REGION", store.region)
    if store.endpoint_url:
        os.environ.setdefault("AWS_ENDPOINT_URL", store.endpoint_url)
    os.environ.setdefault("POD_ID", settings.identity)  # else kopf asks for the user's name, and a pod's user has none
    try:
        api = KubeApi.connect()
    except DriftloopError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    around = surround(settings, api)
    start_http_server(settings.metrics_port, registry=around.metrics.registry)
    asyncio.run(run_operator(around))
    return 0


if __name__ == "__main__":
    sys.exit(main())

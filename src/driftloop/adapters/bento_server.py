"""Serves one unpacked Bento in one process: `python -P bento_server.py BENTO PORT`, started by the path of this file.

`bentoml serve` puts a supervisor of its own in front of the same application: on a laptop, where driftloop supervises,
that is a second process to load, one second more until a killed model answers again, and a worker that outlives it.

It imports nothing of driftloop: the Bento brings its own sources, and those must be the first that are found.
"""

import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

KEEP_ALIVE_SECONDS = 5
FINISH_SECONDS = 10
"""Time for the requests under way when the server is told to end."""


def main(bento: str, port: str) -> None:
    """Serve until SIGTERM; then finish the requests under way."""
    import yaml

    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s server %(name)s: %(message)s"
    )
    # Before the service is imported: numeric libraries read their settings once.
    for variable in yaml.safe_load((Path(bento) / "bento.yaml").read_text()).get("envs", []):
        os.environ.setdefault(variable["name"], str(variable["value"]))
    # uvicorn raises the signal it was ended by once more when it is done; this way the folder below is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="driftloop-metrics-") as metrics:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics  # BentoML counts as if there were several processes
        _serve(bento, int(port))


def _serve(bento: str, port: int) -> None:
    import bentoml
    import uvicorn

    uvicorn.run(
        bentoml.load(bento).to_asgi(),
        host="127.0.0.1",
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

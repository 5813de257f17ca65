"""Serves one unpacked Bento in one process: `python -P bento_server.py BENTO PORT`, started by the path of this file.

`bentoml serve` puts a supervisor of its own in front of the same application: on a laptop, where driftloop supervises,
that is a second process to load, one second more until a killed model answers again, and a worker that outlives it.

Told to end, it may drain first: a cluster takes a pod out of its Services while the pod ends, and each node hears of it
in its own time. So the server goes on answering, says that it is not ready, and asks each client to connect anew.

It imports nothing of driftloop: the Bento brings its own sources, and those must be the first that are found.
"""

import argparse
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

FINISH_SECONDS = 10
"""Time for the requests under way when the server stops."""

_Message = Mapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]

_log = logging.getLogger(__name__)


class Drain:
    """ASGI application in front of another: from `begin` on it sends clients elsewhere, and still answers them.

    Args:
        app: what answers.
        seconds: how long it does so after `begin`.
    """

    def __init__(self, app: _App, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        self._end: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the server is to end."""
        return self._end is not None

    @property
    def is_over(self) -> bool:
        """Whether it may end now."""
        return self._end is not None and time.monotonic() >= self._end

    def begin(self) -> None:
        """Start to send clients elsewhere."""
        self._end = time.monotonic() + self._seconds

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self.has_begun and scope["path"] == "/readyz":
            headers = [(b"content-length", b"0"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, self._closing(send))

    def _closing(self, send: _Send) -> _Send:
        async def send_and_close(message: _Message) -> None:
            # Asked when the answer begins: the drain may have begun while the request was under way.
            if self.has_begun and message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
            await send(message)

        return send_and_close


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM; then drain, finish the requests under way and hand over what the tap holds."""
    import yaml

    options = _read_options(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s server %(name)s: %(message)s"
    )
    # Before the service is imported: numeric libraries read their settings once.
    for variable in yaml.safe_load((options.bento / "bento.yaml").read_text()).get("envs", []):
        os.environ.setdefault(variable["name"], str(variable["value"]))
    # Until the server has handlers of its own, and once more when it is done; so the folder below is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="driftloop-metrics-") as metrics:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics  # BentoML counts as if there were several processes
        _serve(options)


def _read_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve one unpacked Bento.")
    parser.add_argument("bento", type=Path, help="folder of the Bento")
    parser.add_argument("port", type=int)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; in a pod: 0.0.0.0")
    parser.add_argument("--drain-seconds", type=float, default=0, help="time to go on answering after SIGTERM")
    parser.add_argument("--keep-alive-seconds", type=int, default=5, help="idle time before a connection is closed")
    return parser.parse_args(arguments)


def _serve(options: argparse.Namespace) -> None:
    import bentoml
    import uvicorn

    drain = Drain(bentoml.load(str(options.bento)).to_asgi(), options.drain_seconds)

    class DrainingServer(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            if options.drain_seconds and self.started and not drain.has_begun:
                _log.info("draining for %g s", options.drain_seconds)
                drain.begin()
            else:  # nothing to drain, or told twice
                super().handle_exit(sig, frame)

        async def on_tick(self, counter: int) -> bool:
            return drain.is_over or await super().on_tick(counter)

    config = uvicorn.Config(
        drain,
        host=options.host,
        port=options.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=options.keep_alive_seconds,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    DrainingServer(config).run()


if __name__ == "__main__":
    main(sys.argv[1:])

"""The front door of `driftloop up`: owns the public port and passes each request to the model server of the moment.

It makes a change of model invisible to clients: switch, drain, and only then is the old server stopped. It runs on an
event loop of its own, in a thread, so that the controller's work does not hold up requests. It decides nothing.
"""

import asyncio
import json
import logging
import threading
from collections import Counter
from collections.abc import Coroutine, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

from driftloop.errors import DriftloopError

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 16_000_000
ANSWER_SECONDS = 75
"""Longest time a model server may take; longer than its own limit, so that it can say so itself."""
_CONNECT_SECONDS = 5
_KEEP_ALIVE_SECONDS = 2
"""Below the model server's own 5 s, so that no request goes out on a connection it is just closing."""
_RETRY_AFTER_SECONDS = 1
_POLL_SECONDS = 0.01
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_T = TypeVar("_T")


class PortTakenError(DriftloopError):
    """The public port can't be had."""

    def __init__(self, host: str, port: int, reason: Exception) -> None:
        super().__init__(
            f"The front door must listen on {host}:{port}. It can't: {reason}. "
            "Stop what listens there, or choose another port."
        )


class FrontDoor:
    """A reverse proxy for one model server at a time; its methods may be called from any event loop.

    Args:
        host: address to listen on.
        port: port to listen on; 0 for a free one.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._upstream: str | None = None
        self._under_way: Counter[str] = Counter()
        self._is_open = False

    @property
    def url(self) -> str:
        """The public address."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen; until the first `switch` every request is answered with 503.

        Raises:
            PortTakenError: somebody else listens on the port.
        """
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front door", daemon=True)
        self._thread.start()
        try:
            await self._run(self._listen())
        except OSError as error:
            self._end_loop()
            raise PortTakenError(self._host, self._port, error) from error
        self._is_open = True

    def switch(self, upstream: str | None) -> None:
        """Send every request from now on to `upstream`, e.g. `http://127.0.0.1:4001`; None: answer 503."""
        self._upstream = upstream

    async def drain(self, upstream: str, timeout_seconds: float) -> bool:
        """Wait until no request is under way at `upstream`; return whether that came true in time."""
        return await self._run(self._drained(upstream, timeout_seconds))

    async def stop(self) -> None:
        """Finish the requests under way and stop listening."""
        if self._is_open:
            self._is_open = False
            await self._run(self._close())
            self._end_loop()

    async def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._session = ClientSession(
            connector=TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            timeout=ClientTimeout(total=ANSWER_SECONDS, sock_connect=_CONNECT_SECONDS),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CONNECT_SECONDS)
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self._close()
            raise
        self._port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _drained(self, upstream: str, timeout_seconds: float) -> bool:
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._under_way[upstream]:  # noqa: ASYNC110 - an event would cost each request
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            return False
        return True

    async def _pass_on(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            message = f"A body must have at most {MAX_BODY_BYTES} bytes. Got more. Send several requests."
            return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        headers = _end_to_end(request.headers)
        for attempt in (1, 2):
            upstream = self._upstream
            if upstream is None:
                break
            self._under_way[upstream] += 1
            try:
                return await self._ask(upstream, request, headers, body)
            except ClientConnectorError as error:  # nothing was sent: the server may just have been replaced
                logger.info("The model server can't be reached", extra={"upstream": upstream, "attempt": attempt})
                if attempt == 2:  # noqa: PLR2004 - the second try was the last
                    return _error(HTTPStatus.BAD_GATEWAY, f"The model server can't be reached: {error}. Try again.")
            except TimeoutError:
                message = f"The model server must answer within {ANSWER_SECONDS} s. It did not. Try again."
                return _error(HTTPStatus.GATEWAY_TIMEOUT, message)
            except ClientError as error:
                message = f"The model server broke off: {error}. Whether it answered is unknown. Try again."
                return _error(HTTPStatus.BAD_GATEWAY, message)
            finally:
                self._under_way[upstream] -= 1
        message = "No model serves yet. Try again in a moment."
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, message, {"Retry-After": str(_RETRY_AFTER_SECONDS)})

    async def _ask(self, upstream: str, request: web.Request, headers: CIMultiDict[str], body: bytes) -> web.Response:
        url = URL(upstream + request.raw_path, encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            return web.Response(
                status=answer.status,
                reason=answer.reason,
                headers=_end_to_end(answer.headers),
                body=await answer.read(),
            )


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Return the headers that concern more than one connection; the length follows from the body."""
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    left_out = _HOP_BY_HOP | named | {"content-length"}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in left_out)


def _error(status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = json.dumps({"error": {"message": message, "field": None}}).encode()
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)

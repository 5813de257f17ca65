"""A front door of `driftloop up`: owns a public port and passes each request to the child process of the moment.

It makes changes and deaths behind it invisible where that is possible: a switch fails no request, and while nobody
answers, requests wait. It decides nothing.
"""

import asyncio
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

from driftloop.errors import DriftloopError

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 16_000_000
ANSWER_SECONDS = 75
"""Longest time a model server may take; longer than its own limit, so that it can say so itself."""
HOLD_SECONDS = 30
"""Longest time a request waits for a child that is being started again."""
MAX_HELD_REQUESTS = 1_000
MAX_HELD_BYTES = 64_000_000
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


class PortInUseError(DriftloopError):
    """A port that the loop shall listen on can't be had."""

    def __init__(self, host: str, port: int, option: str, reason: OSError) -> None:
        super().__init__(
            f"The port {port} of {host} must be free. It can't be had: {_why(reason)}. "
            f"Stop what listens there, or choose another with {option}."
        )


def _why(reason: OSError) -> str:
    return os.strerror(reason.errno) if reason.errno else str(reason)  # asyncio's own text repeats the address


@dataclass(frozen=True)
class Front:
    """What a door is for.

    Args:
        upstream: what stands behind it, for messages: "model server".
        option: option of `driftloop up` that chooses its port.
        may_resend: whether a request that was cut off may be sent again, because doing it twice does no harm.
    """

    upstream: str
    option: str
    may_resend: bool = False


class FrontDoor:
    """A reverse proxy for one child process at a time.

    Args:
        front: what it is for.
        host: address to listen on.
        port: port to listen on; 0 for a free one.
    """

    def __init__(self, front: Front, host: str, port: int) -> None:
        self._front = front
        self._host = host
        self._port = port
        self._upstream: str | None = None
        self._is_closed = True
        self._changed = asyncio.Event()
        self._under_way: Counter[str] = Counter()
        self._held_requests = self._held_bytes = 0

    @property
    def url(self) -> str:
        """The public address."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen; until the first `switch` every request is answered with 503.

        Raises:
            PortInUseError: the port can't be had.
        """
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
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            raise PortInUseError(self._host, self._port, self._front.option, error) from error
        self._port = self._runner.addresses[0][1]

    def switch(self, upstream: str) -> None:
        """Send every request from now on to `upstream`, e.g. `http://127.0.0.1:4001`."""
        self._turn(upstream, is_closed=False)

    def hold(self) -> None:
        """Let requests wait, within bounds, for the next `switch`: the child is being started again."""
        self._turn(None, is_closed=False)

    def close(self) -> None:
        """Answer every request with 503: nobody is expected."""
        self._turn(None, is_closed=True)

    def _turn(self, upstream: str | None, *, is_closed: bool) -> None:
        self._upstream, self._is_closed = upstream, is_closed
        self._changed.set()
        self._changed = asyncio.Event()

    async def drain(self, upstream: str, timeout_seconds: float) -> bool:
        """Wait until no request is under way at `upstream`; return whether that came true in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._under_way[upstream]:  # noqa: ASYNC110 - an event would cost each request
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Finish the requests under way and stop listening."""
        if self._upstream is None:
            self.close()
        await self._runner.cleanup()
        await self._session.close()

    async def _pass_on(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            message = f"A body must have at most {MAX_BODY_BYTES} bytes. Got more. Send several requests."
            return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        headers = _end_to_end(request.headers)
        name = self._front.upstream
        deadline = time.monotonic() + HOLD_SECONDS
        while True:
            upstream = self._upstream or await self._hold(deadline, len(body))
            if upstream is None:
                return self._unavailable()
            self._under_way[upstream] += 1
            try:
                return await self._ask(upstream, request, headers, body)
            except ClientConnectorError:  # nothing was sent: it has just died or been replaced
                await self._until_changed(min(deadline, time.monotonic() + _POLL_SECONDS))
                if time.monotonic() >= deadline:
                    return self._unavailable()
            except TimeoutError:
                message = f"The {name} must answer within {ANSWER_SECONDS} s. It did not. Try again."
                return _error(HTTPStatus.GATEWAY_TIMEOUT, message)
            except ClientError as error:
                if not self._front.may_resend or time.monotonic() >= deadline:
                    logger.warning("The %s broke off a request: %s", name, error)
                    message = f"The {name} broke off: {error}. Whether it did the work is unknown. Try again."
                    return _error(HTTPStatus.BAD_GATEWAY, message)
                await self._until_changed(min(deadline, time.monotonic() + _POLL_SECONDS))
            finally:
                self._under_way[upstream] -= 1

    async def _hold(self, deadline: float, size: int) -> str | None:
        """Wait for somebody to send to; None: nobody is expected, or it takes too long, or too many wait already."""
        if self._held_requests >= MAX_HELD_REQUESTS or self._held_bytes + size > MAX_HELD_BYTES:
            return None
        self._held_requests += 1
        self._held_bytes += size
        try:
            while self._upstream is None and not self._is_closed and time.monotonic() < deadline:
                await self._until_changed(deadline)
            return self._upstream
        finally:
            self._held_requests -= 1
            self._held_bytes -= size

    async def _until_changed(self, deadline: float) -> None:
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _unavailable(self) -> web.Response:
        name, hold = self._front.upstream, HOLD_SECONDS
        reason = f"No {name} runs yet." if self._is_closed else f"The {name} must be back within {hold} s. It is not."
        message = f"{reason} Try again in a moment."
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

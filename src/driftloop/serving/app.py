"""The HTTP face of a model: a lean ASGI application that BentoML mounts in the service.

Requests are read here, answered in one worker thread, so that the event loop goes on answering probes, and handed to
the tap. No code of BentoML belongs here.
"""

import asyncio
import itertools
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http import HTTPStatus
from typing import Any

from driftloop.serving.exploration import draw
from driftloop.serving.outbox import TapRecord
from driftloop.serving.predictor import Predictor
from driftloop.serving.settings import ServingSettings
from driftloop.serving.tap import Receipts, Tap
from driftloop.serving.wire import FieldError, RequestError, read_predict, read_time, read_watermark
from driftloop.spec import DataSchema, Task
from driftloop.stages.predict import Answers

logger = logging.getLogger(__name__)

VERSION_HEADER = "driftloop-model-version"
EVENT_TIME_HEADER = "driftloop-event-time"
PROBE_HEADER = "driftloop-probe"

_DISCARDED = 4  # a body up to so many times the limit is read to its end before it is refused

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
_Headers = dict[str, str]


class ServingApp:
    """ASGI application of one model; `open` comes before the first request."""

    def __init__(self) -> None:
        self._routes = {
            ("POST", "/predict"): self._predict,
            ("POST", "/watermark"): self._watermark,
            ("GET", "/schema"): self._schema,
        }

    def open(self, predictor: Predictor, settings: ServingSettings) -> None:
        """Take a loaded model into service and start its tap."""
        self._predictor = predictor
        self._settings = settings
        self._receipts = Receipts()
        self._ids = _unique_ids()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._headers = [
            (b"content-type", b"application/json"),
            (VERSION_HEADER.encode(), predictor.version.encode()),
        ]
        self.tap = None
        if settings.tap_socket is not None:
            self.tap = Tap(
                settings.tap_socket,
                max_rows=settings.tap_max_rows,
                max_bytes=settings.tap_max_bytes,
                receipts=self._receipts if settings.clock == "wall" else None,
            )
            self.tap.start()

    def close(self) -> None:
        """Finish the request in work, send what the tap holds, and stop."""
        self._worker.shutdown()
        if self.tap is not None:
            self.tap.close()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        status, body = HTTPStatus.OK, b""
        try:
            endpoint = self._route(scope["method"], scope["path"])
            with self._receipts.request() as received:
                body = await endpoint(_headers(scope), receive, received)
        except RequestError as error:
            status, body = error.status, error.to_json()
        except Exception:
            logger.exception("The model failed on a request")
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            body = RequestError(
                status, "The model failed on this request; there is no prediction. See its log."
            ).to_json()
        headers = [*self._headers, (b"content-length", str(len(body)).encode())]
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            headers.append((b"connection", b"close"))  # there may be more of the body
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _route(self, method: str, path: str) -> Callable[[_Headers, Receive, datetime], Awaitable[bytes]]:
        endpoint = self._routes.get((method, path))
        if endpoint is not None:
            return endpoint
        methods = [known for known, place in self._routes if place == path]
        if methods:
            message = f"The address '{path}' must be asked with {methods[0]}. Got {method}. Use {methods[0]}."
            raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, message)
        places = ", ".join(f"{known} {place}" for known, place in self._routes)
        raise RequestError(HTTPStatus.NOT_FOUND, f"The address must be one of: {places}. Got {path}. Use one of them.")

    async def _predict(self, headers: _Headers, receive: Receive, received: datetime) -> bytes:
        _check_content_type(headers)
        is_probe = headers.get(PROBE_HEADER) == "1"
        time = received if is_probe or self.tap is None else self._event_time(headers, received)
        body = await _read_body(headers, receive, self._settings.max_body_bytes)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._answer, body, time, is_probe)

    def _event_time(self, headers: _Headers, received: datetime) -> datetime:
        if self._settings.clock == "wall":
            return received
        if EVENT_TIME_HEADER not in headers:
            remedy = f"Send it, or '{PROBE_HEADER}: 1' for an answer that is not recorded."
            raise FieldError(EVENT_TIME_HEADER, "be among the headers while the clock replays", remedy)
        return read_time(headers[EVENT_TIME_HEADER], EVENT_TIME_HEADER)

    def _answer(self, body: bytes, time: datetime, is_probe: bool) -> bytes:
        """Read, predict, hand to the tap and write the answer; runs in the worker thread."""
        request = read_predict(body, self._predictor.schema, self._settings.max_rows)
        answers = self._predictor.answer(request)
        ids = list(itertools.islice(self._ids, request.rows))
        predictions, propensity = answers.predictions, None
        if self._predictor.schema.task is Task.DECISION and answers.probabilities and not is_probe:
            decided = draw(answers.probabilities, ids, self._predictor.schema.target.classes)
            predictions, propensity = decided.actions, decided.propensities
        if self.tap is not None and not is_probe:
            self.tap.offer(
                TapRecord(
                    time=time,
                    model_version=self._predictor.version,
                    prediction_ids=ids,
                    keys=request.keys,
                    features=request.columns,
                    predictions=predictions,
                    probability=_tapped_probability(answers, self._predictor.schema),
                    size=len(body),
                    propensity=propensity,
                )
            )
        content: dict[str, Any] = {"predictions": predictions}
        if answers.probabilities is not None:
            content["probabilities"] = answers.probabilities
        content |= {"predictionIds": ids, "modelVersion": self._predictor.version}
        return json.dumps(content).encode()

    async def _watermark(self, headers: _Headers, receive: Receive, _received: datetime) -> bytes:
        if self._settings.clock == "wall":
            message = "A watermark must come from the server's own clock. Got one by HTTP. Leave it out."
            raise RequestError(HTTPStatus.CONFLICT, message)
        _check_content_type(headers)
        through = read_watermark(await _read_body(headers, receive, self._settings.max_body_bytes))
        if self.tap is not None:
            self.tap.offer_watermark(through)
        return json.dumps({"time": through.isoformat()}).encode()

    async def _schema(self, _headers: _Headers, _receive: Receive, _received: datetime) -> bytes:
        return self._predictor.schema.model_dump_json(by_alias=True).encode()


def _headers(scope: Mapping[str, Any]) -> _Headers:
    pairs: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}


def _check_content_type(headers: _Headers) -> None:
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        message = f"The content type must be application/json. Got {kind}. Send JSON."
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, "content-type")
    encoding = headers.get("content-encoding", "identity")
    if encoding != "identity":
        message = f"The body must not be compressed. Got {encoding}. Send plain JSON."
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, "content-encoding")


async def _read_body(headers: _Headers, receive: Receive, limit: int) -> bytes:
    """Return the body; what is too much is read to its end and thrown away, so that the client hears the answer."""
    patience = limit * _DISCARDED
    stated = headers.get("content-length", "")
    size = int(stated) if stated.isdigit() and int(stated) > patience else 0
    body = bytearray()
    more = size == 0
    while more and size <= patience:
        message = await receive()
        if message["type"] == "http.disconnect":
            message_text = "The body must be complete. The client went away. Send it again."
            raise RequestError(HTTPStatus.BAD_REQUEST, message_text)
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(chunk)
        if size <= limit:
            body += chunk
    if size > limit:
        message_text = f"A body must have at most {limit} bytes. Got more. Send several requests."
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message_text)
    return bytes(body)


def _tapped_probability(answers: Answers, schema: DataSchema) -> list[Any] | None:
    if answers.probabilities is None or len(schema.target.classes) != 2:  # noqa: PLR2004 - two classes need one number
        return answers.probabilities
    return [row[1] for row in answers.probabilities]


def _unique_ids() -> Iterable[str]:
    start = secrets.token_hex(8)
    return (f"{start}-{number}" for number in itertools.count())

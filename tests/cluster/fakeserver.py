"""A fake Kubernetes API server for tests, on loopback: the real one's REST paths over the memory of `fakeapi`."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.cluster.changes import StatusError
from tests.cluster.fakeapi import Address, Call, FakeApi, status_object
from tests.cluster.realapi import TOKEN, USER


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: FakeApi

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, code: int, body: dict[str, Any] | str) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _handle(self) -> None:
        split = urlsplit(self.path)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        try:
            body = json.loads(raw) if raw else {}
            self._route(split.path, query, body)
        except StatusError as error:
            self._answer(error.code, status_object(error.code, error.reason, error.message))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - the base class wants these names

    def _route(self, path: str, query: dict[str, str], body: Any) -> None:
        if path in ("/healthz", "/readyz", "/livez"):
            self._answer(200, "ok")
            return
        if path.startswith("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"):
            self._answer(201, self._review(body))
            return
        if path.startswith("/apis/authentication.k8s.io/v1/selfsubjectreviews"):
            self._answer(201, body | {"status": {"userInfo": {"username": self._user()}}})
            return
        found = self.api.discover(path) if self.command == "GET" else None
        if found is not None:
            self._answer(200, found)
            return
        where = self.api.address(path)
        call = self._call(where, query)
        self.api.calls.append(call)
        fault = self.api.fault(call)
        if fault is None and call.verb == "watch":
            self._stream(self.api.watch(where, query))
        elif fault is None:
            self._answer(201 if self.command == "POST" else 200, self._do(where, query, body))
        elif fault[0]:
            self._answer(fault[0], status_object(fault[0], "", fault[1]))
        else:
            self.close_connection = True

    def _do(self, where: Address, query: dict[str, str], body: Any) -> dict[str, Any] | str:
        api = self.api
        if where.subresource == "log":
            api.get(where)
            return api.logs.get((where.namespace, where.name, query.get("container", "")), "")
        match self.command:
            case "GET":
                return api.get(where) if where.name else api.list(where, query)
            case "POST":
                return api.create(where, body)
            case "PUT":
                return api.replace(where, body)
            case "PATCH":
                content_type = self.headers["Content-Type"].partition(";")[0]
                return api.patch(where, body, content_type, query.get("fieldManager", ""))
        return api.delete(where, body) if where.name else api.delete_all(where, query)

    def _call(self, where: Address, query: dict[str, str]) -> Call:
        one, many = {
            "GET": ("get", "list"),
            "POST": ("create", "create"),
            "PUT": ("update", "update"),
            "PATCH": ("patch", "patch"),
            "DELETE": ("delete", "deletecollection"),
        }[self.command]
        verb = "watch" if query.get("watch") in ("true", "1") else one if where.name else many
        resource = "/".join(filter(None, (where.kind.plural, where.subresource)))
        return Call(self._user(), verb, where.kind.group, resource, where.namespace, where.name)

    def _user(self) -> str:
        token = str(self.headers.get("Authorization", "")).partition(" ")[2]
        return USER if token in ("", TOKEN) else token

    def _review(self, body: dict[str, Any]) -> dict[str, Any]:
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource", ""))))
        return body | {"status": {"allowed": (asked["verb"], resource) not in self.api.denied}}

    def _stream(self, events: Iterator[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # clients may leave in the middle
            super().handle_error(request, client_address)


def serve(api: FakeApi) -> tuple[str, Callable[[], None]]:
    """Serve on loopback; return the address and what ends it."""
    handler = type("Handler", (_Handler,), {"api": api})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()

    def end() -> None:
        api.end()
        server.shutdown()
        server.server_close()
        thread.join()

    return f"http://127.0.0.1:{server.server_port}", end

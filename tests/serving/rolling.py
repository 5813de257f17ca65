"""A Service of a cluster on loopback, with pods that come and go behind it and clients that keep their connections.

The chooser stands in for kube-proxy: it picks among the endpoints for each new connection and then only passes bytes.
A pod that ends is told so at once, and leaves the endpoints some time later, as nodes hear of it in a cluster.
"""

import asyncio
import itertools
import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import driftloop.adapters

SCRIPT = Path(driftloop.adapters.__file__).parent / "bento_server.py"


class Pod:
    """One model server as a pod starts it."""

    def __init__(self, bento, log, *, drain_seconds, tap=None):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._command = [
            sys.executable,
            "-P",
            str(SCRIPT),
            str(bento),
            str(self.port),
            f"--drain-seconds={drain_seconds}",
        ]
        self._command.append("--keep-alive-seconds=75")
        self._environment = os.environ | ({"DRIFTLOOP_SERVING_TAP_SOCKET": str(tap)} if tap else {})
        self.log = log
        self.process = None

    async def start(self, ready_seconds=120):
        with self.log.open("wb") as output:
            self.process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdout=output, stderr=output
            )
        deadline = time.monotonic() + ready_seconds
        while await self.ask_ready() != 200:
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            assert self.process.returncode is None, self.log.read_text()[-2000:]
            await asyncio.sleep(0.1)
        return self

    async def ask_ready(self):
        """Return the status of the readiness probe; 0 where nobody listens."""
        client = Client("127.0.0.1", self.port)
        try:
            return (await client.ask("GET", "/readyz"))[0]
        except OSError:
            return 0
        finally:
            await client.close()

    def end(self):
        self.process.send_signal(signal.SIGTERM)

    async def kill(self):
        """Leave nothing behind, whatever became of the test."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


class Service:
    """Picks an endpoint for each new connection, in turn."""

    def __init__(self):
        self.endpoints = []
        self._turn = itertools.count()

    async def start(self):
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self):
        self._server.close()

    async def _connect(self, reader, writer):
        pod = self.endpoints[next(self._turn) % len(self.endpoints)]
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", pod.port)
        except OSError:
            writer.transport.abort()
            await _close(writer)
            return
        await asyncio.gather(_pass(reader, up_writer), _pass(up_reader, writer))


async def _pass(reader, writer):
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    await _close(writer)


async def _close(writer):
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


class Client:
    """Asks over one connection for as long as the server lets it; never asks twice."""

    def __init__(self, host, port):
        self._address = host, port
        self._streams = None
        self.connections = 0

    async def ask(self, method, path, body=b""):
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
            self.connections += 1
        reader, writer = self._streams
        head = [
            f"{method} {path} HTTP/1.1",
            "host: a",
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]
        writer.write("\r\n".join([*head, "", ""]).encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        content = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            await self.close()
        return int(lines[0].split()[1]), headers, content

    async def close(self):
        if self._streams is not None:
            await _close(self._streams[1])
        self._streams = None


class Load:
    """Clients that ask without a pause until told to stop."""

    def __init__(self, port, body, clients):
        self._clients = [Client("127.0.0.1", port) for _ in range(clients)]
        self._body = body
        self.answered, self.failures = [], []
        self._stopping = False

    def start(self):
        self._tasks = [asyncio.create_task(self._run(client)) for client in self._clients]

    async def stop(self):
        self._stopping = True
        await asyncio.gather(*self._tasks)

    @property
    def connections(self):
        return sum(client.connections for client in self._clients)

    async def _run(self, client):
        while not self._stopping:
            try:
                status, _, content = await client.ask("POST", "/predict", self._body)
            except (OSError, EOFError) as error:
                self.failures.append(repr(error))
                await client.close()
                continue
            if status != 200:
                self.failures.append(f"{status} {content[:200]!r}")
            else:
                self.answered += json.loads(content)["predictionIds"]
        await client.close()


class Tap:
    """The monitor's end of the taps: keeps what comes and acknowledges it, from any number of servers."""

    def __init__(self, path):
        self.path = path
        self.recorded = set()
        self.goodbyes = 0

    async def start(self):
        self._server = await asyncio.start_unix_server(self._read, self.path, limit=1 << 26)

    def stop(self):
        self._server.close()

    async def _read(self, reader, writer):
        with suppress(OSError):
            async for line in reader:
                message = json.loads(line)
                self.recorded.update(message.get("predictionIds", ()))
                if message["type"] == "hello":
                    writer.write(b'{"type": "hello", "sequence": 0}\n')
                elif message["type"] == "goodbye":
                    self.goodbyes += 1
                else:
                    writer.write(b'{"type": "acknowledged", "sequence": %d}\n' % message["sequence"])
        await _close(writer)


async def replace_pod(service, old, new, *, hearing_seconds):
    """Take a pod's place as a Deployment with `maxUnavailable: 0` does; return the old one's exit code."""
    service.endpoints.append(await new.start())
    return await end_pod(service, old, hearing_seconds=hearing_seconds)


async def end_pod(service, pod, *, hearing_seconds):
    """End a pod that the Service goes on choosing for a while; return its exit code."""
    pod.end()
    await asyncio.sleep(hearing_seconds)
    service.endpoints.remove(pod)
    return await asyncio.wait_for(pod.process.wait(), 60)

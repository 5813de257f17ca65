import asyncio
import json
import time
from itertools import pairwise

import pytest

from driftloop.adapters.bento import fetch
from driftloop.adapters.bento_server import Drain
from tests.flightschema import ROW
from tests.serving.rolling import Client, Load, Pod, Service, Tap, end_pod, replace_pod
from tests.serving.test_bento import bento, content, home, stored  # noqa: F401 - fixtures

BODY = json.dumps({"rows": [ROW]}).encode()


async def answer_ok(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"Connection", b"keep-alive")]})
    await send({"type": "http.response.body", "body": b"answer"})


def ask(drain, path):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(drain({"type": "http", "path": path}, None, send))
    return sent[0]["status"], dict(sent[0]["headers"])


def test_before_the_drain_answers_are_left_alone():
    assert ask(Drain(answer_ok, 8), "/readyz") == (200, {b"Connection": b"keep-alive"})


def test_a_draining_server_answers_and_says_that_the_connection_ends():
    drain = Drain(answer_ok, 8)
    drain.begin()
    assert ask(drain, "/predict") == (200, {b"connection": b"close"})


def test_a_draining_server_is_not_ready():
    drain = Drain(answer_ok, 8)
    drain.begin()
    assert ask(drain, "/readyz")[0] == 503


def test_a_draining_server_lives():
    drain = Drain(answer_ok, 8)
    drain.begin()
    assert ask(drain, "/livez")[0] == 200


def test_a_request_under_way_as_the_drain_begins_is_told_too():
    drain, sent = Drain(lambda _scope, _receive, send: late(send), 8), []

    async def late(send):
        drain.begin()
        await answer_ok(None, None, send)

    async def send(message):
        sent.append(message)

    asyncio.run(drain({"type": "http", "path": "/predict"}, None, send))
    assert sent[0]["headers"] == [(b"connection", b"close")]


def test_a_drain_lasts_as_long_as_it_was_told():
    drain = Drain(answer_ok, 0.05)
    assert not drain.is_over
    drain.begin()
    assert not drain.is_over
    time.sleep(0.06)
    assert drain.is_over


def test_other_scopes_pass():
    passed = []

    async def app(scope, _receive, _send):
        passed.append(scope["type"])

    drain = Drain(app, 8)
    drain.begin()
    asyncio.run(drain({"type": "lifespan"}, None, None))
    assert passed == ["lifespan"]


@pytest.fixture(scope="module")
def served(home, stored, content, tmp_path_factory):  # noqa: F811
    return fetch(stored, content.digest, tmp_path_factory.mktemp("served") / "bento")


def under_load(served, folder, changes):
    """Run `changes(service, pods)` under load, the first of three pods up; return load, tap and exit codes."""

    async def run():
        service, tap = Service(), Tap(folder / "tap.sock")
        await service.start()
        await tap.start()
        pods = [Pod(served, folder / f"{n}.log", drain_seconds=3, tap=tap.path) for n in range(3)]
        try:
            service.endpoints += [await pods[0].start()]
            load = Load(service.port, BODY, clients=6)
            load.start()
            await changes(service, pods)
            await load.stop()
            [last] = service.endpoints
            last.end()
            codes = [await pod.process.wait() for pod in pods]
        finally:
            for pod in pods:
                await pod.kill()
        service.stop()
        tap.stop()
        return load, tap, codes

    return asyncio.run(run())


def check_nothing_is_lost(load, tap, codes):
    assert load.failures == []
    assert len(load.answered) > 100
    assert set(load.answered) <= tap.recorded
    assert tap.goodbyes == 3
    assert codes == [0, 0, 0]


@pytest.mark.local
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_rolling_change_fails_no_request_and_loses_no_record(served, tmp_path):
    async def roll(service, pods):
        for old, new in pairwise(pods):
            await replace_pod(service, old, new, hearing_seconds=1)

    check_nothing_is_lost(*under_load(served, tmp_path, roll))


@pytest.mark.local
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scaling_from_one_to_three_to_one_fails_no_request_and_loses_no_record(served, tmp_path):
    async def scale(service, pods):
        for pod in pods[1:]:
            service.endpoints.append(await pod.start())
        await asyncio.sleep(1)
        for pod in pods[:2]:
            await end_pod(service, pod, hearing_seconds=1)

    check_nothing_is_lost(*under_load(served, tmp_path, scale))


@pytest.mark.local
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_told_to_end_answers_until_its_drain_is_over(served, tmp_path):
    async def drain():
        pod = Pod(served, tmp_path / "log", drain_seconds=4)
        try:
            await pod.start()
            pod.end()
            started = time.monotonic()
            while await pod.ask_ready() != 503:
                assert time.monotonic() < started + 4
            client = Client("127.0.0.1", pod.port)
            status, headers, _ = await client.ask("POST", "/predict", BODY)
            code = await pod.process.wait()
            return status, headers["connection"], code, time.monotonic() - started
        finally:
            await pod.kill()

    status, connection, code, seconds = asyncio.run(drain())
    assert (status, connection, code) == (200, "close", 0)
    assert seconds >= 4

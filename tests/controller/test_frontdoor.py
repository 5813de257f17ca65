import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from driftloop.controller import frontdoor
from driftloop.controller.frontdoor import Front, FrontDoor, PortInUseError

SERVER = Front("model server", "--port")
MONITOR = Front("monitor", "--labels-port", may_resend=True)


async def start_upstream(name, handler=None):
    async def echo(request):
        body = await request.read()
        headers = {"driftloop-model-version": name, "x-seen": ",".join(sorted(request.headers))}
        return web.json_response({"name": name, "path": request.raw_path, "body": body.decode()}, headers=headers)

    runner = web.AppRunner(_application(handler or echo), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


def _application(handler):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return app


def at_the_door(scenario, front=SERVER):
    """Run a scenario with an open front door and a client."""

    async def run():
        door = FrontDoor(front, "127.0.0.1", 0)
        await door.start()
        try:
            async with aiohttp.ClientSession(door.url) as client:
                await scenario(door, client)
        finally:
            await door.stop()

    asyncio.run(run())


def test_without_a_model_server_the_answer_is_503_and_says_when_to_come_back():
    async def scenario(door, client):
        async with client.post("/predict", data=b"{}") as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "1"
            assert "No model server runs yet" in (await answer.json())["error"]["message"]

    at_the_door(scenario)


def test_a_request_passes_whole_without_its_hop_by_hop_headers():
    async def scenario(door, client):
        runner, url = await start_upstream("a")
        door.switch(url)
        headers = {"Connection": "keep-alive, x-mine", "x-mine": "1", "driftloop-probe": "1", "TE": "trailers"}
        address = URL(f"{door.url}/predict?a=%2F&b", encoded=True)
        async with client.post(address, data=b"text", headers=headers) as answer:
            assert await answer.json() == {"name": "a", "path": "/predict?a=%2F&b", "body": "text"}
            assert answer.headers["driftloop-model-version"] == "a"
            seen = answer.headers["x-seen"].lower().split(",")
        assert "driftloop-probe" in seen
        assert not {"x-mine", "te"} & set(seen)
        await runner.cleanup()

    at_the_door(scenario)


def test_switching_twenty_times_under_load_fails_no_request():
    async def scenario(door, client):
        runner, url = await start_upstream("0")
        door.switch(url)
        statuses, versions, stop = [], set(), asyncio.Event()

        async def hammer():
            while not stop.is_set():
                async with client.post("/predict", data=b"{}") as answer:
                    statuses.append(answer.status)
                    versions.add((await answer.json())["name"])

        clients = [asyncio.create_task(hammer()) for _ in range(4)]
        for number in range(1, 21):
            new_runner, new_url = await start_upstream(str(number))
            await asyncio.sleep(0.02)
            door.switch(new_url)
            assert await door.drain(url, 5)
            await runner.cleanup()
            runner, url = new_runner, new_url
        await asyncio.sleep(0.02)
        stop.set()
        await asyncio.gather(*clients)
        await runner.cleanup()
        assert set(statuses) == {200}
        assert versions == {str(number) for number in range(21)}

    at_the_door(scenario)


def test_drain_waits_for_the_requests_under_way_and_gives_up_in_time():
    async def scenario(door, client):
        release = asyncio.Event()

        async def slow(request):
            await release.wait()
            return web.Response(text="late")

        runner, url = await start_upstream("slow", slow)
        door.switch(url)
        answer = asyncio.create_task(client.get("/"))
        await asyncio.sleep(0.1)
        assert not await door.drain(url, 0.05)
        release.set()
        assert await door.drain(url, 5)
        assert (await answer).status == 200
        await runner.cleanup()

    at_the_door(scenario)


def test_requests_wait_for_a_server_that_is_being_started_again():
    async def scenario(door, client):
        runner, url = await start_upstream("dead")
        await runner.cleanup()
        door.switch(url)
        refused = asyncio.create_task(client.get("/"))  # came before anybody noticed the death
        await asyncio.sleep(0.1)
        door.hold()
        held = [asyncio.create_task(client.get("/")) for _ in range(10)]
        await asyncio.sleep(0.2)
        assert not any(request.done() for request in [refused, *held])
        runner, url = await start_upstream("alive")
        door.switch(url)
        assert {(await request).status for request in [refused, *held]} == {200}
        await runner.cleanup()

    at_the_door(scenario)


def test_a_request_waits_only_so_long_and_hears_when_to_come_back(monkeypatch):
    monkeypatch.setattr(frontdoor, "HOLD_SECONDS", 0.2)

    async def scenario(door, client):
        door.hold()
        async with client.get("/") as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "1"
            assert "must be back within 0.2 s" in (await answer.json())["error"]["message"]

    at_the_door(scenario)


def test_only_so_many_requests_and_bytes_wait(monkeypatch):
    monkeypatch.setattr(frontdoor, "MAX_HELD_REQUESTS", 2)
    monkeypatch.setattr(frontdoor, "MAX_HELD_BYTES", 100)

    async def scenario(door, client):
        door.hold()
        assert (await client.post("/", data=b"x" * 101)).status == 503
        held = [asyncio.create_task(client.post("/", data=b"x")) for _ in range(2)]
        await asyncio.sleep(0.1)
        assert (await client.post("/", data=b"x")).status == 503
        runner, url = await start_upstream("alive")
        door.switch(url)
        assert [(await request).status for request in held] == [200, 200]
        await runner.cleanup()

    at_the_door(scenario)


def test_waiting_requests_are_let_go_when_nobody_is_expected_any_more():
    async def scenario(door, client):
        door.hold()
        held = asyncio.create_task(client.get("/"))
        await asyncio.sleep(0.1)
        door.close()
        assert (await held).status == 503

    at_the_door(scenario)


def test_a_request_that_was_sent_is_never_sent_twice():
    async def scenario(door, client):
        seen = []

        async def breaks_off(request):
            seen.append(request.path)
            request.transport.abort()
            return web.Response()

        runner, url = await start_upstream("broken", breaks_off)
        door.switch(url)
        async with client.post("/predict", data=b"{}") as answer:
            assert answer.status == 502
            assert "Whether it did the work is unknown. Try again." in (await answer.json())["error"]["message"]
        assert seen == ["/predict"]
        await runner.cleanup()

    at_the_door(scenario)


def test_what_may_be_sent_twice_is_sent_again_after_it_was_cut_off():
    async def scenario(door, client):
        seen = []

        async def breaks_off_once(request):
            seen.append(await request.text())
            if len(seen) == 1:
                request.transport.abort()
            return web.Response()

        runner, url = await start_upstream("broken", breaks_off_once)
        door.switch(url)
        async with client.post("/labels", data=b"labels") as answer:
            assert answer.status == 200
        assert seen == ["labels", "labels"]
        await runner.cleanup()

    at_the_door(scenario, MONITOR)


def test_a_taken_port_is_said_plainly():
    async def scenario(door, _client):
        port = int(door.url.rpartition(":")[2])
        second = FrontDoor(SERVER, "127.0.0.1", port)
        with pytest.raises(PortInUseError, match=rf"The port {port} of 127.0.0.1 must be free.*another with --port"):
            await second.start()

    at_the_door(scenario)


def test_errors_are_json():
    async def scenario(_door, client):
        async with client.get("/") as answer:
            assert answer.content_type == "application/json"
            assert json.loads(await answer.read())["error"]["field"] is None

    at_the_door(scenario)

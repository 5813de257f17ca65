"""The operator as its container runs it: a process, a real S3 server, kopf, probes and metrics."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from driftloop.operator.deletion import OWNED_KINDS
from tests.cluster.apiserver import install_definitions
from tests.operator.world import NAME, A, B, World
from tests.sharedstore import s3

__all__ = ["s3"]

PATIENCE_SECONDS = 90


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def until(check, process, log):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := check()):
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.1)
    return found


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return answer.read().decode()
    except (urllib.error.URLError, OSError):
        return ""


def environment(world, server, metrics_port, health_port):
    settings = {
        "NAMESPACE": "default",
        "IDENTITY": "operator-0",
        "METRICS_PORT": metrics_port,
        "HEALTH_PORT": health_port,
        "POLL_SECONDS": 2,
        "PLATFORM__STORE__URI": world.settings.platform.store.uri,
        **{f"PLATFORM__IMAGES__{role}": f"registry/{role.lower()}:1" for role in
           ("CONTROLLER", "MONITOR", "SERVING", "PIPELINE")},
    }  # fmt: skip
    named = {f"DRIFTLOOP_OPERATOR_{name}": str(value) for name, value in settings.items()}
    return os.environ | named | {"KUBECONFIG": str(server.kubeconfig)}


def test_the_process_minds_a_loop_from_its_first_run_to_its_end(fake_api_server, s3, tmp_path):
    install_definitions(fake_api_server)
    world, log = World(fake_api_server, f"{s3.uri}/process"), tmp_path / "log"
    metrics_port, health_port = free_ports(2)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "driftloop.operator"],
            env=environment(world, fake_api_server, metrics_port, health_port),
            stdout=output,
            stderr=output,
        )
    try:
        until(lambda: '"holdsLease": true' in get(f"http://127.0.0.1:{health_port}/healthz"), process, log)
        world.apply(deletionPolicy="Purge")
        [job] = until(lambda: world.api.list("Job", "default", {"driftloop.dev/loop": NAME}), process, log)
        assert job["metadata"]["name"].startswith(f"{NAME}-")
        until(lambda: world.status().get("run"), process, log)
        shown = get(f"http://127.0.0.1:{metrics_port}/metrics")
        assert 'driftloop_decisions_total{entry="RunStarted",loop="wine",namespace="default"} 1.0' in shown
        assert "driftloop_operator_holds_lease 1.0" in shown
        assert "driftloop_runs_in_progress 1.0" in shown
        assert 'driftloop_loop_condition{condition="Ready",loop="wine",namespace="default",status="False"} 1.0' in shown
        assert world.store.names(world.layout.ledger) == ["0000000001.json"]
        assert world.loop_object()["metadata"]["finalizers"] == ["driftloop.dev/loop"]
        assert not world.loop_object()["metadata"].get("annotations")

        world.api.delete("ModelLoop", "default", NAME)
        until(lambda: world.loop_object() is None, process, log)
        known = [kind for kind in OWNED_KINDS if kind != "ServiceMonitor"]
        assert [k for k in known if world.api.list(k, "default", {"driftloop.dev/loop": NAME})] == []
        assert world.store.names(world.layout.root) == []

        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()[-3000:]
        assert world.api.get("Lease", "default", "driftloop-operator")["spec"]["holderIdentity"] == ""
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text(), log.read_text()[-3000:]


def test_the_whole_loop_on_an_object_store(fake_api_server, s3):
    install_definitions(fake_api_server)
    world = World(fake_api_server, f"{s3.uri}/whole")
    world.serve_first()
    world.drift()
    world.step()
    world.finish_run(B)
    world.step()
    world.make_available(B)
    world.step()
    world.end_drain()
    world.restart()
    world.steps(2)

    assert world.kinds() == ["RunStarted", "RunFinished", "Promoted"] * 2
    assert world.served_version() == B[:12]
    assert world.deployments() == [B[:12]]
    assert len(world.runs.started) == 2
    assert A[:12] in world.store.names(world.layout.baselines)[0]


def test_settings_that_are_missing_are_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "driftloop.operator"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "docs/operator.md" in done.stderr
    assert "platform" in done.stderr

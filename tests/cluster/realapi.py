"""A real Kubernetes API server for tests: etcd and kube-apiserver in a folder of their own, rights and admission on.

No controller manager runs beside it: nothing is scheduled, no Deployment becomes available by itself, nothing owned is
collected. A test writes the status that a controller would write.
"""

import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from driftloop.adapters.processes import dies_with_parent
from tests.cluster.fakeapi import Call

START_SECONDS = 120
TOKEN = "admin-of-the-tests"  # noqa: S105
USER = "admin"
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "None", "nonResourceURLs": ["/*"]},
        {"level": "Metadata"},
    ],
}


class RealApi:
    """Where it answers, and what was asked of it."""

    def __init__(self, url: str, ca: Path, audit_log: Path) -> None:
        self.url = url
        self.ca = ca
        self._audit_log = audit_log

    @property
    def calls(self) -> list[Call]:
        """Return the calls so far, from the audit log; a watch is in it once it has ended."""
        found = []
        for line in self._audit_log.read_text().splitlines():
            event = json.loads(line)
            about = event.get("objectRef", {})
            resource = "/".join(filter(None, (about.get("resource", ""), about.get("subresource", ""))))
            place = about.get("namespace", ""), about.get("name", "")
            found.append(Call(event["user"]["username"], event["verb"], about.get("apiGroup", ""), resource, *place))
        return found


def is_offered() -> bool:
    folder = os.environ.get("KUBEBUILDER_ASSETS", "")
    return bool(folder) and all((Path(folder) / name).exists() for name in ("etcd", "kube-apiserver"))


@contextmanager
def real_api() -> Iterator[RealApi]:
    """Run both programs until the context ends."""
    assets = Path(os.environ["KUBEBUILDER_ASSETS"])
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="driftloop-api-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        client, peer, port = _free_ports(3)
        etcd_url = f"http://127.0.0.1:{client}"
        peer_url = f"http://127.0.0.1:{peer}"
        etcd = [
            f"{assets}/etcd", f"--data-dir={folder}/etcd", f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}", f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}", f"--initial-cluster=default={peer_url}",
        ]  # fmt: skip
        if "unsafe-no-fsync" in subprocess.run([etcd[0], "--help"], capture_output=True, text=True, check=False).stdout:
            etcd.append("--unsafe-no-fsync")
        _run(stack, folder / "etcd.log", etcd)
        (folder / "tokens.csv").write_text(f'{TOKEN},{USER},{USER},"system:masters"\n')
        (folder / "audit.yaml").write_text(json.dumps(_AUDIT))
        key = folder / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        server = _run(
            stack,
            folder / "apiserver.log",
            [
                f"{assets}/kube-apiserver", f"--etcd-servers={etcd_url}", f"--cert-dir={folder}",
                "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={port}",
                f"--token-auth-file={folder}/tokens.csv", "--authorization-mode=RBAC",
                "--service-cluster-ip-range=10.0.0.0/24", "--service-account-issuer=https://driftloop.test",
                f"--service-account-signing-key-file={key}", f"--service-account-key-file={key}",
                # Pods would wait for default accounts, which a controller makes.
                "--disable-admission-plugins=ServiceAccount",
                f"--audit-policy-file={folder}/audit.yaml", f"--audit-log-path={folder}/audit.log",
            ],
        )  # fmt: skip
        api = RealApi(f"https://127.0.0.1:{port}", folder / "apiserver.crt", folder / "audit.log")
        _wait_until_ready(api, server, folder)
        yield api


def _run(stack: ExitStack, log: Path, command: list[str]) -> "subprocess.Popen[bytes]":
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=dies_with_parent())  # noqa: PLW1509
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def _wait_until_ready(api: RealApi, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if api.ca.exists():
                context = ssl.create_default_context(cafile=str(api.ca))
                headers = {"Authorization": f"Bearer {TOKEN}"}
                request = urllib.request.Request(f"{api.url}/readyz", headers=headers)  # noqa: S310
                with urllib.request.urlopen(request, timeout=2, context=context):  # noqa: S310
                    return
        except (OSError, urllib.error.HTTPError):
            pass
        told = (folder / "apiserver.log").read_text()[-3000:] + (folder / "etcd.log").read_text()[-1000:]
        assert server.poll() is None, told
        assert time.monotonic() < deadline, told
        time.sleep(0.1)


def kubeconfig(url: str, token: str, ca: Path | None) -> str:
    """Return a kubeconfig with one context, `test`."""
    trust = {"certificate-authority-data": base64.b64encode(ca.read_bytes()).decode()} if ca else {}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url} | trust}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
        }
    )


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports

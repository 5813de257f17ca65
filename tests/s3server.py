"""A real S3 server for tests: SeaweedFS on loopback, in a folder of its own, one for a test session's worker."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import s3fs
from botocore.exceptions import BotoCoreError

BUCKET = "driftloop"
START_SECONDS = 120


@dataclass(frozen=True)
class S3Server:
    """Where it answers, and what its clients need in their environment."""

    endpoint_url: str
    process: "subprocess.Popen[bytes]"

    @property
    def uri(self) -> str:
        return f"s3://{BUCKET}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server with one bucket until the context ends."""
    # fsspec keeps file systems by their arguments, and the address is not among them.
    s3fs.S3FileSystem.clear_instance_cache()
    folder = Path(tempfile.mkdtemp(prefix="driftloop-s3-"))
    identity = {
        "name": "test",
        "credentials": [{"accessKey": "test", "secretKey": "test-secret"}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        master, volume, filer, s3 = _free_ports(4)
        log = stack.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "weed"), "server", f"-dir={folder}", "-ip=127.0.0.1",
                f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
                f"-master.port.grpc={_grpc(master)}", f"-volume.port.grpc={_grpc(volume)}",
                f"-filer.port.grpc={_grpc(filer)}", "-master.volumeSizeLimitMB=64", "-volume.max=20",
                "-filer", "-s3", f"-s3.port={s3}", "-s3.port.iceberg=0", "-s3.port.lance=0",
                f"-s3.port.grpc={_grpc(s3)}", f"-s3.config={folder}/s3.json",
            ],
            stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
        stack.callback(process.wait)
        stack.callback(process.kill)
        server = S3Server(f"http://127.0.0.1:{s3}", process)
        _make_bucket(server, folder / "log")
        yield server


def _grpc(port: int) -> int:
    return port + 10_000


def _free_ports(count: int) -> list[int]:
    """Return ports whose gRPC neighbours are free too."""
    ports: list[int] = []
    start = 20_000 + os.getpid() * 7 % 15_000
    for port in range(start, start + 2000):
        try:
            for number in (port, _grpc(port)):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise AssertionError("no free ports")


def _make_bucket(server: S3Server, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(server.endpoint_url, timeout=1)  # noqa: S310
            break
        except urllib.error.HTTPError:
            break  # It answers, and refuses the anonymous.
        except OSError:
            assert server.process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.1)
    filesystem = s3fs.S3FileSystem(
        key="test",
        secret="test-secret",  # noqa: S106
        endpoint_url=server.endpoint_url,
        skip_instance_cache=True,
    )
    while not _takes_files(filesystem):
        assert server.process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.2)


def _takes_files(filesystem: s3fs.S3FileSystem) -> bool:
    try:
        filesystem.pipe_file(f"{BUCKET}/ready", b"")
    except (OSError, BotoCoreError):
        with suppress(OSError, BotoCoreError):
            filesystem.mkdir(BUCKET)
        return False
    return True

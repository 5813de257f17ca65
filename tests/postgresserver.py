"""A real PostgreSQL for tests, in a folder of its own on loopback. It refuses to run as root: then as `postgres`."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

USER, PASSWORD, DATABASE = "analyst", "open sesame@/:", "shop"


@dataclass(frozen=True)
class PostgresServer:
    """Where it answers."""

    port: int

    @property
    def uri(self) -> str:
        return f"postgresql+psycopg://127.0.0.1:{self.port}/{DATABASE}"


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server with one database until the context ends. Skips where there are no binaries."""
    binaries = _find_binaries()
    folder = Path(tempfile.mkdtemp(prefix="driftloop-pg-"))
    as_user = {"user": "postgres"} if os.geteuid() == 0 else {}
    try:
        if as_user:
            shutil.chown(folder, "postgres")
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        data = folder / "data"
        run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, cwd=folder, **as_user)
        run([binaries / "initdb", "-D", data, "-A", "scram-sha-256", "-U", USER, f"--pwfile={password}", "--no-sync"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        control = [binaries / "pg_ctl", "-D", data, "-w", "-t", "60"]
        run([*control, "-l", folder / "log", "-o", options, "start"])
        try:
            environment = os.environ | {"PGPASSWORD": PASSWORD}
            address = ["-h", "127.0.0.1", "-p", str(port), "-U", USER]
            run([binaries / "createdb", *address, DATABASE], env=environment)
            yield PostgresServer(port)
        finally:
            run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _find_binaries() -> Path:
    candidates = [Path(found).parent for found in [shutil.which("pg_ctl")] if found]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "createdb")):
            break
    else:
        pytest.skip("PostgreSQL is not installed. Get it with: apt-get install postgresql")
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip(
                "PostgreSQL does not run as root, and there is no user postgres. Run the tests as another user."
            )
    return folder

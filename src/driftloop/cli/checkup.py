"""What `driftloop doctor` looks at: this installation, this machine, the workspaces here, and what one loop needs.

Each check returns findings and changes nothing. A finding is a fault only where the loop in question needs what is
missing; otherwise it is told as it is.
"""

import json
import os
import platform
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.metadata import metadata as read_metadata
from pathlib import Path
from typing import Any

from driftloop import __version__

ROLES = ("pipeline", "serving", "monitor", "controller", "demo")
LAPTOP_ROLES = ("pipeline", "monitor", "controller")
"""What `driftloop up` needs."""
PORTS = {3000: "--port", 3001: "--labels-port"}
_LEAST_DISK_BYTES, _GOOD_DISK_BYTES = 500 * 2**20, 5 * 2**30
_GOOD_MEMORY_BYTES = 2 * 2**30
_BUSINESS_LICENCE_FROM = "0.11.5"
_BUILDERS = ("docker", "buildah", "podman")
_GIB = 2**30


class State(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    state: State
    message: str
    remedy: str = ""
    """What to do; empty where there is nothing to do."""


def check_installation(needed: Collection[str], unused: Collection[str]) -> Iterator[Finding]:
    """Compare Python and packages with what driftloop asks for.

    Args:
        needed: extras without which the loop can't run.
        unused: packages of them that the loop does without.
    """
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    python, facts = platform.python_version(), read_metadata("driftloop")
    wanted = facts["Requires-Python"] if "Requires-Python" in facts else ""  # noqa: SIM401 - it has no `get`
    fits = SpecifierSet(wanted).contains(python)
    yield Finding(
        "Python",
        State.OK if fits else State.FAULT,
        f"{python} in {sys.prefix}",
        "" if fits else f"Make an environment with Python {wanted}.",
    )
    yield Finding("driftloop", State.OK, __version__)
    requirements = [Requirement(text) for text in requires("driftloop") or ()]
    for role in ("", *ROLES):
        missing, wrong, shown = [], [], []
        for need in requirements:
            if not _is_of(need, role):
                continue
            found = _version_of(need.name)
            if found is None:
                missing += [] if need.name in unused else [need.name]
            elif not need.specifier.contains(found, prereleases=True):
                wrong.append(f"{need.name} {found} (asked for: {need.specifier})")
            else:
                shown.append(f"{need.name} {found}")
        yield _extra_finding(role, missing, wrong, shown, is_needed=not role or role in needed)


def _is_of(requirement: Any, role: str) -> bool:
    if requirement.name == "driftloop":
        return False
    if requirement.marker is None:
        return not role
    return bool(
        role and requirement.marker.evaluate({"extra": role}) and not requirement.marker.evaluate({"extra": ""})
    )


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _extra_finding(role: str, missing: list[str], wrong: list[str], shown: list[str], *, is_needed: bool) -> Finding:
    subject = f"extra {role}" if role else "packages"
    install = f"pip install 'driftloop[{role}]'" if role else "pip install --force-reinstall driftloop"
    grave = State.FAULT if is_needed else State.NOTE
    if missing:
        return Finding(subject, grave, f"not installed: {', '.join(sorted(missing))}", f"Install: {install}")
    if wrong:
        return Finding(subject, grave, f"wrong version: {', '.join(wrong)}", f"Install: {install}")
    return Finding(subject, State.OK, ", ".join(sorted(shown)))


def check_licence(*, is_needed: bool) -> Iterator[Finding]:
    """Say under which licence the drift tests come."""
    from packaging.version import Version

    found = _version_of("alibi-detect")
    if found is None:
        yield Finding("licence", State.OK, "alibi-detect is not installed; the engine SciPy runs without it")
    elif Version(found) < Version(_BUSINESS_LICENCE_FROM):
        yield Finding("licence", State.OK, f"alibi-detect {found} is under Apache-2.0")
    else:
        who = "This loop uses" if is_needed else "Loops with monitoring.engine: AlibiDetect use"
        yield Finding(
            "licence",
            State.NOTE,
            f"alibi-detect {found} is under the Business Source License 1.1: production use needs a licence from its "
            f"owner. {who} it.",
            "To do without: monitoring.engine: SciPy (the same tests, BSD licence).",
        )


def check_machine(folder: Path) -> Iterator[Finding]:
    """Look at disk, memory, cores, clock and tools."""
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    disk = shutil.disk_usage(place)
    message = f"{disk.free / _GIB:.1f} GiB free of {disk.total / _GIB:.0f} at {place}"
    if disk.free < _LEAST_DISK_BYTES:
        yield Finding("disk", State.FAULT, message, "Free space, or choose another folder with --workspace.")
    elif disk.free < _GOOD_DISK_BYTES:
        yield Finding("disk", State.NOTE, message, "Watch it: prediction log, Bentos and run artifacts grow.")
    else:
        yield Finding("disk", State.OK, message)
    yield Finding("cores", State.OK, f"{os.cpu_count()}")
    memory = _available_memory()
    if memory is not None:
        short = memory < _GOOD_MEMORY_BYTES
        remedy = "A run and its servers want about 2 GiB; close other programs." if short else ""
        state = State.NOTE if short else State.OK
        yield Finding("memory", state, f"{memory / _GIB:.1f} GiB available", remedy)
    installed_at = Path(__file__).stat().st_mtime
    if time.time() < installed_at:
        yield Finding("clock", State.FAULT, "it is before the installation of driftloop", "Set the system's clock.")
    else:
        yield Finding("clock", State.OK, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
    if shutil.which("uv") is None and _version_of("uv") is None:
        yield Finding("uv", State.NOTE, "not found", "Packaging would fetch it: pip install uv")
    builder = next((name for name in _BUILDERS if shutil.which(name)), "")
    yield Finding("image builder", State.OK, builder or "none (only `make images` and `bentoml containerize` want one)")


def _available_memory() -> int | None:
    """Return available bytes; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def check_ports(running: Collection[Path], *, is_needed: bool) -> Iterator[Finding]:
    """See whether the usual ports are free; a loop that runs here has them rightly."""
    for port, option in PORTS.items():
        if _is_free(port):
            yield Finding(f"port {port}", State.OK, "free")
        elif running:
            yield Finding(f"port {port}", State.NOTE, "in use; a loop runs here", f"For another loop choose {option}.")
        else:
            yield Finding(
                f"port {port}",
                State.FAULT if is_needed else State.NOTE,
                "another process listens on it",
                f"Stop that one, or choose another with {option}.",
            )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def find_workspaces(folder: Path) -> list[Path]:
    """Return the workspaces below a folder."""
    return sorted(path.parent for path in folder.glob("*/lock"))


def check_workspace(root: Path, *, is_running: bool) -> Iterator[Finding]:
    """Look at one workspace, and at the health of a loop that runs in it."""
    subject = f"workspace {root.name}"
    try:
        status = json.loads((root / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        if is_running:
            yield Finding(subject, State.NOTE, "runs, and has not published a status yet")
        else:
            yield Finding(
                subject, State.NOTE, f"no loop ever came up in {root}", f"Remove it if it is of no use: rm -r {root}"
            )
        return
    champion = (status.get("champion") or {}).get("label", "none")
    if not is_running:
        unfinished = " A run was cut off; it goes on when the loop is started again." if status.get("run") else ""
        yield Finding(
            subject, State.NOTE, f"stopped; champion: {champion}.{unfinished}", "Go on with: driftloop up FILE"
        )
        return
    for name, url in (status.get("addresses") or {}).items():
        base = url.removesuffix("/labels").removesuffix("/predict")
        answer = _ask(f"{base}/{'healthz' if name == 'labels' else 'readyz'}")
        if answer:
            yield Finding(
                subject, State.FAULT, f"{url} does not answer: {answer}", f"See: driftloop logs --workspace {root}"
            )
        else:
            yield Finding(subject, State.OK, f"{url} answers; champion: {champion}")
    if status.get("lastFailure"):
        yield Finding(subject, State.NOTE, f"last failure: {status['lastFailure']}", "See: driftloop why")


def _ask(url: str) -> str:
    """Return what is wrong with an address; empty if it answers."""
    try:
        with urllib.request.urlopen(url, timeout=3):  # noqa: S310 - a loop of this machine, on loopback
            return ""
    except OSError as error:
        return str(error)

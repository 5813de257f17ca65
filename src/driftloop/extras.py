"""What the extras of this installation bring, read from its own metadata; nothing of them is imported.

Commands ask here before they work, so that a missing library is told at once and with the extra that has it; the Bento
pins what its server needs.
"""

from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, requires, version

from driftloop.errors import DriftloopError


class MissingExtrasError(DriftloopError):
    """A command needs packages that are not installed."""

    def __init__(self, command: str, missing: Collection[str], extras: Collection[str]) -> None:
        super().__init__(
            f"The command '{command}' needs packages that are not installed: {', '.join(missing)}. "
            f"Install them with: pip install 'driftloop[{','.join(extras)}]'"
        )


def packages_of(extra: str) -> set[str]:
    """Return the packages of an installation with an extra, those of every installation included."""
    from packaging.requirements import Requirement

    wanted = (Requirement(text) for text in requires("driftloop") or ())
    return {need.name for need in wanted if need.marker is None or need.marker.evaluate({"extra": extra})}


def require_extras(command: str, *extras: str, unused: Collection[str] = ()) -> None:
    """Check that the packages of some extras are installed.

    Args:
        command: who asks, for the message.
        extras: what it needs, its child processes included.
        unused: packages of these extras that it can do without.

    Raises:
        MissingExtrasError: a package is not installed; names all of them, and the extras that bring them.
    """
    missing = {
        extra: {name for name in packages_of(extra).difference(unused) if not _is_there(name)} for extra in extras
    }
    if any(missing.values()):
        raise MissingExtrasError(command, sorted(set().union(*missing.values())), [e for e in extras if missing[e]])


def _is_there(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True

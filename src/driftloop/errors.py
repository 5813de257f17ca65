"""The one base error of driftloop; every room derives its own from it, with the facts that build the message."""

from typing import Any


class DriftloopError(Exception):
    """An error that a person can act on: the message says what, the constraint, the value and the remedy."""

    exit_code = 1

    def facts(self) -> dict[str, Any]:
        """Return details beyond the message as plain JSON values, for programs; most errors have none."""
        return {}


class InvalidInputError(DriftloopError):
    """What the user gave (a file, an option, a column) can't be used as it is."""

    exit_code = 2

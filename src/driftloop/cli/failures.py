"""What a person or a program is told when a command fails: the one place where exceptions become words.

Expected errors tell their own message. Anything else is a fault of driftloop: an apology, what failed, how to see more.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from driftloop.errors import DriftloopError

FAULT_EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h: the program itself is at fault."""


@dataclass(frozen=True)
class Failure:
    """How a command ended."""

    kind: str
    """Name of the error, for programs."""
    message: str
    exit_code: int
    facts: dict[str, Any]
    """Details beyond the message, for programs."""

    def to_json(self) -> str:
        """Return one line: with `--json`, every command fails with this on standard output."""
        error = {"type": self.kind, "message": self.message, "exitCode": self.exit_code, **self.facts}
        return json.dumps({"error": error}, ensure_ascii=False)


def describe(error: Exception, arguments: Sequence[str]) -> Failure:
    """Turn an exception that reached the door into what is told.

    Args:
        error: any exception.
        arguments: of the command line, to name the call that shows the traceback.
    """
    kind = type(error).__name__
    if isinstance(error, DriftloopError):
        return Failure(kind, str(error), error.exit_code, error.facts())
    if hasattr(error, "format_message"):  # the command line's own: an unknown option, a missing argument
        return Failure("UsageError", error.format_message(), getattr(error, "exit_code", 2), {})
    if isinstance(error, OSError) and error.filename and error.strerror:
        message = (
            f"The file '{error.filename}' must be usable. The system says: {error.strerror}. "
            "Check its path, its permissions and the free space, then run the command again."
        )
        return Failure(kind, message, DriftloopError.exit_code, {})
    text = " ".join(str(error).split())
    what = f"{kind}: {text}" if text else kind
    again = " ".join(["driftloop", "--debug", *arguments])
    message = f"Sorry, driftloop failed where it should not have: {what}. For the traceback to report, run: {again}"
    return Failure(kind, message, FAULT_EXIT_CODE, {})


def command_arguments() -> list[str]:
    """Return the arguments this process was started with."""
    return sys.argv[1:]

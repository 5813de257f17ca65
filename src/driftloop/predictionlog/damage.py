"""What a reader says of files that it can't use: damaged ones, and ones that a newer driftloop wrote."""

from pathlib import Path

from driftloop.errors import DriftloopError


class LogDamagedError(DriftloopError):
    """A file of the log is cut short, altered or missing; the rest of the log is not touched by it."""

    def __init__(self, path: Path, problem: object, remedy: str) -> None:
        super().__init__(
            f"The file '{path}' of the prediction log must be as it was written, and can't be read: {problem}. {remedy}"
        )
        self.path = path


class NewerFormatError(DriftloopError):
    """A file of the log has a format that this driftloop doesn't know."""

    def __init__(self, path: Path, newest_known: int, found: object) -> None:
        super().__init__(
            f"The format of '{path}' in the prediction log must be {newest_known} at most. Got {found}. "
            "A newer driftloop wrote it: upgrade this one."
        )
        self.path = path

"""The folder through which the evaluator hands reports to the process that makes DriftReports of them.

Files, because either may die: a report waits until it is announced, and one that is announced twice is refused by name.
"""

from pathlib import Path

from driftloop.predictionlog.durablefile import make_directory, write_durably
from driftloop.sidecar.settings import MonitorSettings

_FOLDER = "outbox"
_ANNOUNCED = ".announced"


def evaluator_state_dir(settings: MonitorSettings) -> Path:
    """Return the state folder of a cluster's evaluator, which makes it anew, and all around it, when it starts."""
    return settings.state_dir / "evaluator" / "state"


class ReportOutbox:
    """The outbox in an evaluator's state folder.

    Args:
        state_dir: the state folder.
    """

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / _FOLDER

    def put(self, name: str, content: bytes) -> None:
        """Leave a report as JSON."""
        make_directory(self._folder)
        write_durably(self._folder / f"{name}.json", lambda file: file.write(content), sync=False)

    def waiting(self) -> list[Path]:
        """Return the reports that wait, oldest first.

        Raises:
            FileNotFoundError: the evaluator began anew meanwhile.
        """
        return sorted(self._folder.glob("[!.]*.json"), key=lambda path: path.stat().st_mtime_ns)

    def note_announced(self, path: Path) -> None:
        """Note that the DriftReport of a waiting report is there.

        Raises:
            FileNotFoundError: the evaluator began anew meanwhile.
        """
        path.rename(path.with_suffix(_ANNOUNCED))

    def announced(self) -> list[str]:
        """Return the names of reports whose DriftReport is there."""
        return sorted(path.stem for path in self._folder.glob(f"*{_ANNOUNCED}"))

    def forget(self, name: str) -> None:
        """Remove an announced report."""
        (self._folder / f"{name}{_ANNOUNCED}").unlink()

"""What the label process says of itself, in a file, for the intake's status and metrics."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from driftloop.predictionlog.durablefile import write_durably

_NAME = "labelpoll.json"


@dataclass(frozen=True)
class PollStatus:
    """What the label process has done; shown by the intake's status."""

    table: str
    polled_at: str | None = None
    """When the table was last read, or found unchanged."""
    rows: int = 0
    """Rows of the table, when it was last read."""
    without_label: int = 0
    """Of these, rows whose key or label is missing so far."""
    posted: int = 0
    """Labels posted since the start."""
    failures: int = 0
    """Attempts in a row that failed."""
    last_error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the status as plain values, named as in files."""
        names = {"polled_at": "polledAt", "without_label": "withoutLabel", "last_error": "lastError"}
        return {names.get(name, name): value for name, value in asdict(self).items()}


def write_status(state_dir: Path, status: PollStatus) -> None:
    """Replace the status in the monitor's state folder."""
    content = json.dumps(status.to_dict()).encode()
    write_durably(state_dir / _NAME, lambda file: file.write(content), sync=False)


def read_status(state_dir: Path) -> dict[str, Any] | None:
    """Return what the label process last wrote; None where there is none."""
    try:
        status: dict[str, Any] = json.loads((state_dir / _NAME).read_bytes())
    except FileNotFoundError:
        return None
    return status

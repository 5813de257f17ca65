"""What the shipping process last did, in a file: the intake answers label clients by it, and shows it to people."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from driftloop.predictionlog.durablefile import write_durably

_NAME = "shipped.json"
_READ_AGAIN_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class ShipNote:
    """How far the object store is."""

    sequence: int = 0
    """Number of the newest commit that it has."""
    rows: int = 0
    """Predictions of this monitor that it has."""
    labels: int = 0
    shipped_at: str | None = None
    """When something was shipped last."""
    failures: int = 0
    """Attempts in a row that failed."""
    last_error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, named as in files."""
        names = {"shipped_at": "shippedAt", "last_error": "lastError"}
        return {names.get(name, name): value for name, value in asdict(self).items()}


def write_note(log_dir: Path, note: ShipNote) -> None:
    """Replace the note. A lost one is written again: it only repeats what the store says."""
    content = json.dumps(asdict(note)).encode()
    write_durably(log_dir / _NAME, lambda file: file.write(content), sync=False)


class ShipNotes:
    """Reads the note, for many that wait for it at once."""

    def __init__(self, log_dir: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = log_dir / _NAME
        self._monotonic = monotonic
        self._read_at = float("-inf")
        self._note = ShipNote()

    def read(self) -> ShipNote:
        """Return the newest note; an empty one before anything was shipped."""
        now = self._monotonic()
        if now - self._read_at >= _READ_AGAIN_SECONDS:
            if self._path.exists():
                self._note = ShipNote(**json.loads(self._path.read_bytes()))
            self._read_at = now
        return self._note

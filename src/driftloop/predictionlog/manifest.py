"""The manifest of a closed window: the one list of what its verdict is made of.

Written once, when the window closes, and never changed. It names records by writer and sequence number, so that later
commits, late records, compaction and restarts leave the verdict as it is.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from driftloop.predictionlog.damage import LogDamagedError
from driftloop.predictionlog.durablefile import make_directory, sync_directory, write_durably
from driftloop.spec import ReportKind
from driftloop.spec.boundary import Boundary


class Manifest(Boundary):
    """The input of a verdict, besides the model's baseline and the loop's spec."""

    format_version: int = 1
    kind: ReportKind
    start: datetime
    """First event time of the window."""
    end: datetime
    """Event time behind its last."""
    due: datetime
    """Event time at which the verdict fell due: labels known later do not count."""
    predictions: Mapping[str, int]
    """Sequence number of each writer up to which its predictions count."""
    labels: Mapping[str, int]
    """Sequence number of each writer up to which its labels count."""
    rows: int | None = None
    """Predictions in the window, of all models; None in manifests of earlier releases."""
    newest: datetime | None = None
    """Event time of the last of them."""
    silent_writers: tuple[str, ...] = ()
    """Writers that were not waited for."""


class ManifestStore:
    """Create-only files under one folder: `<kind>-<start of the window>.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, manifest: Manifest) -> Manifest:
        """Keep the manifest, and return the one that stands: an earlier one for the same window wins."""
        path = self._path(manifest.kind, manifest.start)
        if not path.exists():
            content = manifest.model_dump_json(by_alias=True, indent=2).encode()
            draft = path.with_suffix(".draft")
            write_durably(draft, lambda file: file.write(content))
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)  # Fails where a file stands, as a conditional PUT does.
            draft.unlink()
            sync_directory(self._folder)
        return self.read(manifest.kind, manifest.start)

    def read(self, kind: ReportKind, start: datetime) -> Manifest:
        """Return the manifest of a window.

        Raises:
            LogDamagedError: it can't be read.
        """
        path = self._path(kind, start)
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise LogDamagedError(path, error, "Put it back from a backup.") from error

    def starts(self, kind: ReportKind) -> list[datetime]:
        """Return the windows that have a manifest, by their start, in order."""
        make_directory(self._folder)
        return self._starts(kind, [path.name for path in self._folder.glob("*.json")])

    @staticmethod
    def _starts(kind: ReportKind, names: Iterable[str]) -> list[datetime]:
        prefix = f"{kind}-"
        texts = sorted(name.removesuffix(".json").removeprefix(prefix) for name in names if name.startswith(prefix))
        return [datetime.strptime(text, _START_FORMAT).replace(tzinfo=UTC) for text in texts]

    def _path(self, kind: ReportKind, start: datetime) -> Path:
        return self._folder / f"{kind}-{start.astimezone(UTC).strftime(_START_FORMAT)}.json"


_START_FORMAT = "%Y%m%dT%H%M%S.%fZ"

"""The judge of each model version, made from the baseline that came with the model."""

import logging
from collections.abc import Callable
from pathlib import Path

from driftloop.monitor.baseline import Baseline
from driftloop.monitor.engines import DriftTest
from driftloop.monitor.judge import Judge
from driftloop.spec import DataSchema, MonitoringSpec

logger = logging.getLogger(__name__)


class VersionJudges:
    """Reads each baseline once; one that can't be read is told once, and looked for again.

    Args:
        baselines_dir: one folder per model version.
        monitoring: the loop's.
        engine: of the drift tests.
        fetch: puts the baseline of a model version into its folder, if there is one elsewhere.
    """

    def __init__(
        self, baselines_dir: Path, monitoring: MonitoringSpec, engine: DriftTest, fetch: Callable[[str], None]
    ) -> None:
        self._baselines_dir = baselines_dir
        self._monitoring = monitoring
        self._engine = engine
        self._fetch = fetch
        self._judges: dict[str, Judge] = {}
        self._unreadable: set[str] = set()

    def of(self, version: str) -> Judge | None:
        """Return the judge of a model version; None without a readable baseline."""
        if version not in self._judges:
            folder = self._baselines_dir / version
            self._fetch(version)
            try:
                schema = DataSchema.model_validate_json((folder / "schema.json").read_bytes())
                baseline = Baseline.model_validate_json((folder / "baseline.json").read_bytes())
            except (OSError, ValueError) as error:
                if version not in self._unreadable:
                    logger.warning("The baseline of version %s can't be read: %s", version, error)
                    self._unreadable.add(version)
                return None
            self._judges[version] = Judge(version, schema, baseline, self._monitoring, self._engine)
        return self._judges[version]

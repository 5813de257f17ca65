"""Errors that are met again at every look are logged once."""

import logging
from dataclasses import dataclass, field

from driftloop.errors import DriftloopError

logger = logging.getLogger(__name__)


@dataclass
class Telling:
    """Logs each error once, however often it is met."""

    told: set[str] = field(default_factory=set)

    def __call__(self, error: DriftloopError) -> None:
        """Log an error unless it was."""
        if str(error) not in self.told:
            self.told.add(str(error))
            logger.error("%s", error)

"""Requests that a schedule files in the object store: one create-only file each, until the ledger holds its answer."""

import logging
from collections.abc import Set as AbstractSet

from driftloop.loop.requests import Request
from driftloop.operator.guardedstore import GuardedStore

_log = logging.getLogger(__name__)


class RequestFolder:
    """The filed requests of one loop.

    Args:
        store: where they lie.
        folder: `StoreLayout.requests`.
    """

    def __init__(self, store: GuardedStore, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._read: dict[str, Request | None] = {}

    def look(self, handled: AbstractSet[str]) -> tuple[Request, ...]:
        """Return what is not handled, and clear away what is. A file that is no request is left, and named once."""
        found = []
        for name in self._store.names(self._folder):
            if not name.endswith(".json"):
                continue
            if name not in self._read:
                self._read[name] = self._parse(name)
            request = self._read[name]
            if request and request.id in handled:
                self._store.remove(f"{self._folder}/{name}")
            elif request:
                found.append(request)
        return tuple(found)

    def _parse(self, name: str) -> Request | None:
        try:
            return Request.model_validate_json(self._store.read(f"{self._folder}/{name}"))
        except (ValueError, FileNotFoundError) as error:
            _log.warning(
                "a file in the requests folder is no request: folder=%s name=%s error=%s", self._folder, name, error
            )
            return None

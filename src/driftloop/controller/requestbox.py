"""Requests on a laptop: one create-only file each, put there by a command, read by the controller.

A file is whole or absent, and stays until the ledger holds its answer; the ledger alone says what was handled.
"""

import logging
import os
import secrets
from collections.abc import Set as AbstractSet
from datetime import datetime
from pathlib import Path

from driftloop.loop.requests import Action, Request
from driftloop.predictionlog.durablefile import make_directory, sync_directory

_log = logging.getLogger(__name__)


class RequestBox:
    """The requests made of one loop.

    Args:
        folder: of the files; made when a request is put there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Request | None] = {}

    def put(self, request: Request) -> None:
        """Add a request; it is on disk when this returns.

        Raises:
            FileExistsError: there is one with this id.
        """
        make_directory(self._folder)
        draft = self._folder / f".{request.id}.{secrets.token_hex(4)}.draft"
        try:
            with draft.open("x") as file:
                file.write(request.model_dump_json(by_alias=True))
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, self._folder / f"{request.id}.json")
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(self._folder)

    def open_requests(self, handled: AbstractSet[str]) -> tuple[Request, ...]:
        """Return what is not handled, oldest first, and clear away what is.

        A file that is no request is left alone; the log names it once.
        """
        if not self._folder.is_dir():
            return ()
        found = []
        for path in self._folder.glob("*.json"):
            if path.stem in handled:
                path.unlink(missing_ok=True)
                continue
            if path.name not in self._read:
                self._read[path.name] = _read(path)
            request = self._read[path.name]
            if request:
                found.append(request)
        return tuple(sorted(found, key=lambda request: (request.at, request.id)))


def build_request(action: Action, *, by: str, at: datetime) -> Request:
    """Return a request with an id of its own; ids sort by time."""
    return Request(id=f"{at:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}", at=at, by=by, action=action)


def _read(path: Path) -> Request | None:
    try:
        request = Request.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        _log.warning("a file in the requests folder is no request: path=%s error=%s", path, error)
        return None
    if request.id != path.stem:
        _log.warning("a request must be named by its id: path=%s id=%s", path, request.id)
        return None
    return request

"""The object store as the operator uses it: what goes wrong there has one name, and is counted."""

from collections.abc import Callable
from typing import TypeVar

from driftloop.adapters.objectstore import FsspecStore
from driftloop.errors import DriftloopError
from driftloop.operator.metrics import Metrics

Answer = TypeVar("Answer")


class StoreUnavailableError(DriftloopError):
    """The object store gave no answer; what was asked may or may not have happened."""

    def __init__(self, uri: str, reason: object) -> None:
        super().__init__(f"The object store must answer at '{uri}'. It did not: {reason}. It is asked again.")


class GuardedStore:
    """A store whose absent and present files are told from its failures.

    Every library behind fsspec has failures of its own kind; a step that meets one is taken again, whatever it is.
    """

    def __init__(self, store: FsspecStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def create(self, uri: str, content: bytes) -> None:
        """Write a whole new file; FileExistsError where there is one."""
        self._ask(uri, lambda: self._store.create(uri, content))

    def read(self, uri: str) -> bytes:
        """Return the content of a file; FileNotFoundError where there is none."""
        return self._ask(uri, lambda: self._store.read(uri))

    def names(self, folder_uri: str) -> list[str]:
        """Return the names of all files below a folder, sorted."""
        return self._ask(folder_uri, lambda: self._store.names(folder_uri))

    def remove(self, uri: str) -> None:
        """Remove a file or a folder; what is gone already is fine."""
        self._ask(uri, lambda: self._store.remove(uri))

    def _ask(self, uri: str, question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except (FileExistsError, FileNotFoundError):
            raise
        except Exception as error:
            self._metrics.store_errors.inc()
            raise StoreUnavailableError(uri, error) from error

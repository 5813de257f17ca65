"""Init container of a serving pod: `python -m driftloop.adapters.bentofetch URI DIGEST FOLDER`.

Brings the Bento and checks it before anything of it is loaded. Why it did not is written where Kubernetes reads it, and
so shows in the pod's status. It must not import bentoml: the controller's image has none.
"""

import logging
import sys
from pathlib import Path

from driftloop.adapters.bento import fetch
from driftloop.adapters.bentoarchive import UnsafeArchiveError
from driftloop.errors import DriftloopError
from driftloop.stages.package import ContentDiffersError
from driftloop.workload.names import BENTO_REFUSED_EXIT_CODE

TERMINATION_LOG = Path("/dev/termination-log")
_LONGEST_MESSAGE = 4096  # what Kubernetes keeps

_log = logging.getLogger(__name__)


def main(bento_uri: str, digest: str, folder: str, termination_log: Path = TERMINATION_LOG) -> int:
    """Fetch and check one Bento; return the exit code."""
    try:
        fetch(bento_uri, digest, Path(folder))
    except Exception as error:  # noqa: BLE001 - every library behind fsspec fails in its own way
        reason = str(error) if isinstance(error, DriftloopError) else _unreachable(bento_uri, error)
        _log.error("%s", reason)
        if termination_log.parent.is_dir():
            termination_log.write_text(reason[:_LONGEST_MESSAGE], encoding="utf-8")
        is_final = isinstance(error, ContentDiffersError | UnsafeArchiveError)
        return BENTO_REFUSED_EXIT_CODE if is_final else 1
    _log.info("fetched and verified the Bento %s", digest)
    return 0


def _unreachable(bento_uri: str, error: Exception) -> str:
    return (
        f"The Bento '{bento_uri}' must be readable from this pod. It is not: {error}. "
        "Check the object store, the Secret with its keys, and the NetworkPolicy. "
        "It is tried again, with growing pauses."
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    _uri, _digest, _folder = sys.argv[1:]
    sys.exit(main(_uri, _digest, _folder))

"""First stage: claims the run and pins the data by a digest of their content. Never cached; it changes no data."""

import hashlib
import json
from collections.abc import Iterable

from driftloop.errors import DriftloopError, InvalidInputError
from driftloop.stages.store import ObjectStore


class DuplicateRunError(DriftloopError):
    """Another run has the same key."""

    def __init__(self, run_key: str, claim: str, owner: str) -> None:
        super().__init__(
            f"The run key '{run_key}' must be used by one run only. The claim '{claim}' was made by run {owner}. "
            "Wait for that run's result, or start this one with another run key."
        )


class NoDataError(InvalidInputError):
    """Nothing lies at the data's address."""

    def __init__(self, uri: str) -> None:
        super().__init__(
            f"The 'data.uri' must lead to a CSV, Parquet or JSON lines file, or a folder of them. Nothing found at "
            f"'{uri}'. Correct the address, or put the data there."
        )


def claim_uri(result_uri: str) -> str:
    """Return where the run that will write `result_uri` leaves its claim: `x.json` → `x.claim.json`."""
    return f"{result_uri.removesuffix('.json')}.claim.json"


def claim_run(store: ObjectStore, result_uri: str, *, run_key: str, run_id: str) -> None:
    """Take the run key for this run. A run that is tried again finds its own claim, and goes on.

    Raises:
        DuplicateRunError: another run has the key.
    """
    uri = claim_uri(result_uri)
    try:
        store.create(uri, json.dumps({"runKey": run_key, "runId": run_id}).encode())
    except FileExistsError as error:
        owner = json.loads(b"".join(store.chunks(uri)))["runId"]
        if owner != run_id:
            raise DuplicateRunError(run_key, uri, owner) from error


def data_digest(store: ObjectStore, data_uri: str) -> str:
    """Return the content digest of the data behind an address.

    Raises:
        NoDataError: there is no file.
    """
    files = store.files(data_uri)
    if not files:
        raise NoDataError(data_uri)
    return content_digest(store.chunks(uri) for uri in files)


def content_digest(files: Iterable[Iterable[bytes]]) -> str:
    """Return the SHA-256 over the content of files, each given in pieces.

    Names do not count: a copy has the digest of the original.
    """
    digest = hashlib.sha256()
    for chunks in files:
        content = hashlib.sha256()
        for chunk in chunks:
            content.update(chunk)
        digest.update(content.digest())
    return digest.hexdigest()

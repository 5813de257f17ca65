"""Kubeflow face of the stage `verify`."""

from components.stage import stage


@stage
def verify(bento_uri: str, bento_digest: str, code_digest: str) -> float:
    """Rehearse the Bento in a clean process: it must answer as its model did.

    Args:
        bento_uri: Address of the Bento in the object store.
        bento_digest: Digest its content must have.
        code_digest: Identity of the driftloop code.

    Returns:
        Seconds that a one-row prediction takes, 95th percentile.
    """
    import tempfile
    from pathlib import Path

    from driftloop.adapters.bento import CONTENT_FOLDER, fetch
    from driftloop.stages.verify import verify

    with tempfile.TemporaryDirectory() as folder:
        bento = fetch(bento_uri, bento_digest, Path(folder) / "bento")
        return verify(bento / CONTENT_FOLDER, bento_digest).p95_latency_seconds

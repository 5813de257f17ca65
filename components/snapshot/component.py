"""Kubeflow face of the stage `snapshot`."""

from components.stage import stage


@stage
def snapshot(
    loop: str, data_uri: str, run_key: str, result_uri: str, run_id: str, claimant: str, code_digest: str
) -> str:
    """Claim the run and pin the data.

    Args:
        loop: Name of the ModelLoop.
        data_uri: CSV or Parquet file, folder or pattern.
        run_key: Key that makes the run unique; a second run with it ends here.
        result_uri: Where the result will be written; the claim lies beside it.
        run_id: Id of this pipeline run.
        claimant: Who claims the run key in its place, if it is not empty: a Job that outlives its pods.
        code_digest: Identity of the driftloop code.

    Returns:
        SHA-256 of the data's content.
    """
    from driftloop.adapters.datastore import open_data
    from driftloop.adapters.objectstore import FsspecStore
    from driftloop.stages.snapshot import claim_run, data_digest

    claim_run(FsspecStore(), result_uri, run_key=run_key, run_id=claimant or run_id)
    return data_digest(open_data(data_uri), data_uri)

"""Kubeflow face of the stage `snapshot`."""

from components.stage import stage


@stage
def snapshot(
    loop: str,
    data_uri: str,
    target_column: str,
    data: dict,
    run_key: str,
    result_uri: str,
    run_id: str,
    claimant: str,
    code_digest: str,
) -> str:
    """Claim the run and pin the data.

    Args:
        loop: Name of the ModelLoop.
        data_uri: Where the rows are: files, a database, or a file that names rows of the prediction log.
        target_column: Column to predict.
        data: Group `data` of the ModelLoop.
        run_key: Key that makes the run unique; a second run with it ends here.
        result_uri: Where the result will be written; the claim lies beside it.
        run_id: Id of this pipeline run.
        claimant: Who claims the run key in its place, if it is not empty: a Job that outlives its pods.
        code_digest: Identity of the driftloop code.

    Returns:
        SHA-256 of the content of everything that is read.
    """
    from driftloop.adapters.datasource import digest_data
    from driftloop.adapters.objectstore import FsspecStore
    from driftloop.stages.parameters import read_data_group
    from driftloop.stages.snapshot import claim_run

    claim_run(FsspecStore(), result_uri, run_key=run_key, run_id=claimant or run_id)
    return digest_data(read_data_group(data, uri=data_uri, target_column=target_column))

"""Kubeflow face of the stage `remind`."""

from components.stage import stage


@stage
def remind(loop: str, requests_uri: str, moment: str, schedule: str, code_digest: str) -> str:
    """File a request to retrain, which the loop's controller answers.

    Args:
        loop: Name of the ModelLoop.
        requests_uri: Folder of the loop's requests in the object store.
        moment: What names the moment; the scheduler fills it in.
        schedule: The cron line, for the reason.
        code_digest: Identity of the driftloop code.

    Returns:
        Address of the request.
    """
    from datetime import UTC, datetime

    from driftloop.adapters.objectstore import FsspecStore
    from driftloop.stages.remind import file_request

    return file_request(FsspecStore(), requests_uri, moment=moment, schedule=schedule, now=datetime.now(UTC))

"""What a loop's CronJob executes: `python -m driftloop.adapters.reminder REQUESTS_URI SCHEDULE` files one request."""

import sys
from datetime import UTC, datetime

from pydantic_settings import BaseSettings, SettingsConfigDict

from driftloop.adapters.objectstore import FsspecStore
from driftloop.stages.remind import file_request


class ReminderSettings(BaseSettings):
    """What the pod tells of the moment."""

    model_config = SettingsConfigDict(env_prefix="DRIFTLOOP_JOB_", frozen=True, use_attribute_docstrings=True)

    moment: str = ""
    """Name of the Job, which a CronJob makes of the scheduled minute. Empty: this minute counts."""


def main(arguments: list[str]) -> int:
    """File the request; return the exit code."""
    requests_uri, schedule = arguments
    moment, now = ReminderSettings().moment, datetime.now(UTC)
    uri = file_request(FsspecStore(), requests_uri, moment=moment, schedule=schedule, now=now)
    sys.stdout.write(f"asked to retrain: {uri}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The store of the user's data: the object store, opened with what `data.secretRef` brings into the pods of a run.

The platform's own store stands beside it under the usual variables, so these have a prefix. Rows of the prediction log
lie there and are opened with its credentials, and so is everything that is no S3 address.
"""

from typing import Any

from pydantic_settings import BaseSettings, SettingsConfigDict

from driftloop.adapters.objectstore import FsspecStore
from driftloop.spec import is_training_rows
from driftloop.spec.data import DATA_VARIABLE_PREFIX


class DataCredentials(BaseSettings):
    """The Secret's keys; empty: as the platform's store, or as the address of a database says."""

    model_config = SettingsConfigDict(env_prefix=DATA_VARIABLE_PREFIX, frozen=True)

    aws_access_key_id: str = ""
    aws_secret_access_key: str = ""
    aws_endpoint_url: str = ""
    aws_default_region: str = ""
    database_username: str = ""
    database_password: str = ""

    def options(self) -> dict[str, Any]:
        """Return the options of s3fs."""
        client = {"endpoint_url": self.aws_endpoint_url, "region_name": self.aws_default_region}
        given = {"key": self.aws_access_key_id, "secret": self.aws_secret_access_key}
        return given | {"client_kwargs": {name: value for name, value in client.items() if value}}


def open_data(data_uri: str, credentials: DataCredentials | None = None) -> FsspecStore:
    """Return the store that holds the data.

    Args:
        data_uri: address of the data.
        credentials: read from the environment where not given.
    """
    found = credentials or DataCredentials()
    is_theirs = found.aws_access_key_id and data_uri.startswith("s3:") and not is_training_rows(data_uri)
    return FsspecStore(found.options() if is_theirs else None)

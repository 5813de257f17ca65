"""Fixtures of a real object store: an S3 server for the session, and a folder of it for each test."""

import os
import uuid
from collections.abc import Iterator

import pytest
import s3fs

from driftloop.adapters.logobjects import LogObjects
from tests.s3server import S3Server, s3_server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield server
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def store_uri(s3: S3Server) -> str:
    assert os.environ["AWS_ENDPOINT_URL"] == s3.endpoint_url
    return f"{s3.uri}/{uuid.uuid4().hex[:8]}"


class Faulty(LogObjects):
    """A store that fails before or after any call that changes it, as often as a plan says."""

    def __init__(self) -> None:
        super().__init__()
        self.calls_until_failure: list[int] = []

    def _count(self) -> None:
        if self.calls_until_failure:
            self.calls_until_failure[0] -= 1
            if self.calls_until_failure[0] <= 0:
                self.calls_until_failure.pop(0)
                raise ConnectionError("cut off")

    def create(self, uri, content):
        self._around(super().create, uri, content)

    def replace(self, uri, content):
        self._around(super().replace, uri, content)

    def put_file(self, source, uri):
        self._around(super().put_file, source, uri)

    def remove(self, uri):
        self._around(super().remove, uri)

    def _around(self, call, *args):
        self._count()  # lost on its way
        call(*args)
        self._count()  # done, and the answer was lost

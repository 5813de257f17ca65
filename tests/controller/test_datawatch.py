"""The data's digest: taken when the files look different and are at rest, as the pipeline takes it."""

import os

from driftloop.adapters.objectstore import FsspecStore
from driftloop.controller.datawatch import LOOK_SECONDS, DataWatch
from driftloop.spec import DataSpec
from driftloop.stages.snapshot import data_digest


def spec(uri):
    return DataSpec(uri=uri, target_column="y")


def write(path, text, *, seconds):
    path.write_text(text)
    os.utime(path, (seconds, seconds))


def test_the_digest_is_the_pipelines(tmp_path):
    write(tmp_path / "rows.csv", "x\n1\n", seconds=1)
    watch = DataWatch(spec(str(tmp_path / "rows.csv")))
    watch.read()
    assert watch.digest == data_digest(FsspecStore(), str(tmp_path / "rows.csv"))


def test_a_change_is_read_once_it_is_at_rest(tmp_path):
    path = tmp_path / "rows.csv"
    write(path, "x\n1\n", seconds=1)
    watch = DataWatch(spec(str(path)))
    watch.read()
    before, now = watch.digest, 0.0
    assert not watch.is_due(now)
    write(path, "x\n1\n2\n", seconds=2)
    assert not watch.is_due(now + 1), "it isn't looked at all the time"
    assert not watch.is_due(now := now + LOOK_SECONDS), "it may still be being written"
    write(path, "x\n1\n2\n3\n", seconds=3)
    assert not watch.is_due(now := now + LOOK_SECONDS), "it was"
    assert watch.is_due(now := now + LOOK_SECONDS)
    watch.read()
    assert watch.digest != before
    assert not watch.is_due(now + LOOK_SECONDS)


def test_a_new_file_in_a_folder_is_a_change_and_a_touched_one_is_the_same_content(tmp_path):
    write(tmp_path / "a.csv", "x\n1\n", seconds=1)
    watch = DataWatch(spec(str(tmp_path)))
    watch.read()
    before = watch.digest
    write(tmp_path / "a.csv", "x\n1\n", seconds=9)
    assert not watch.is_due(LOOK_SECONDS)
    assert watch.is_due(2 * LOOK_SECONDS)
    watch.read()
    assert watch.digest == before
    write(tmp_path / "b.csv", "x\n2\n", seconds=1)
    assert not watch.is_due(3 * LOOK_SECONDS)
    assert watch.is_due(4 * LOOK_SECONDS)
    watch.read()
    assert watch.digest != before


def test_data_that_vanish_leave_the_last_digest(tmp_path, caplog):
    path = tmp_path / "rows.csv"
    missing = DataWatch(spec(str(path)))
    missing.read()
    assert missing.digest == ""
    assert "can't be read" in caplog.text
    write(path, "x\n1\n", seconds=1)
    assert not missing.is_due(0.0)
    assert missing.is_due(LOOK_SECONDS), "data that come later are found"
    missing.read()
    before = missing.digest
    path.unlink()
    assert not any(missing.is_due(LOOK_SECONDS * number) for number in (2, 3, 4))
    assert missing.digest == before != ""

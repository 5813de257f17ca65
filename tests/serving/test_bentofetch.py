import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import s3fs

from driftloop.adapters import bentofetch
from driftloop.adapters.bento import ARCHIVE, PARTS, BentoNotFoundError, BuiltBento, fetch, fetched, put, read_part
from driftloop.adapters.bentoarchive import UnsafeArchiveError, pack, unpack
from driftloop.adapters.objectstore import FsspecStore
from driftloop.stages.package import ContentDiffersError, verify_digests
from driftloop.workload.names import BENTO_REFUSED_EXIT_CODE
from tests.flightcontent import assemble_flights
from tests.s3server import s3_server
from tests.smallmodel import write_model_files


@pytest.fixture(scope="module")
def bento(tmp_path_factory):
    """A Bento as BentoML lays it out, without BentoML."""
    folder = tmp_path_factory.mktemp("bento")
    content = assemble_flights(folder / "bento" / "src", write_model_files(folder))
    (folder / "bento" / "bento.yaml").write_text("service: service:ModelServer\n")
    return BuiltBento(f"flights:{content.version}", folder / "bento"), content.digest


@pytest.fixture(scope="module")
def s3():
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield server
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def stored(s3, bento):
    return put(*bento, f"{s3.uri}/loop")


def archive_of(path, *entries):
    """Write an archive of (name, type, content or link target) and return its path."""
    with tarfile.open(path, "w") as tar:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            if kind == tarfile.REGTYPE:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            else:
                entry.linkname = content
                tar.addfile(entry)
    return path


def test_a_bento_comes_back_from_s3_as_it_was_put(stored, bento, tmp_path):
    built, digest = bento
    folder = fetch(stored, digest, tmp_path / "bento")
    assert verify_digests(folder / "src") == digest
    assert (folder / "bento.yaml").read_bytes() == (built.path / "bento.yaml").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["bento"]


def test_a_bento_in_s3_is_one_archive_and_the_parts_read_without_it(stored):
    assert FsspecStore().names(stored) == [ARCHIVE, *sorted(f"model/{name}" for name in PARTS)]


def test_a_bento_is_put_once(stored, bento, s3):
    changed = s3fs.S3FileSystem().info(f"{stored}/{ARCHIVE}")["LastModified"]
    assert put(*bento, f"{s3.uri}/loop") == stored
    assert s3fs.S3FileSystem(skip_instance_cache=True).info(f"{stored}/{ARCHIVE}")["LastModified"] == changed


def test_a_put_that_broke_off_is_finished_by_the_next(bento, s3, tmp_path):
    uri = f"{s3.uri}/broken/bentos/{bento[1]}"
    FsspecStore().create(f"{uri}/model/manifest.json", (bento[0].path / "src/model/manifest.json").read_bytes())
    with pytest.raises(BentoNotFoundError):
        fetch(uri, bento[1], tmp_path / "early")
    assert put(*bento, f"{s3.uri}/broken") == uri
    assert fetch(uri, bento[1], tmp_path / "bento").exists()


def test_stages_read_a_bento_of_s3(stored, bento):
    with fetched(stored) as content:
        assert verify_digests(content, bento[1]) == bento[1]


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_read_without_the_archive(stored, bento, name):
    assert read_part(stored, bento[1], name) == (bento[0].path / "src" / "model" / name).read_bytes()


def test_a_part_of_a_local_bento_is_read(bento, tmp_path):
    uri = put(*bento, str(tmp_path))
    assert json.loads(read_part(uri, bento[1], "manifest.json"))["files"]


@pytest.mark.parametrize("name", ["baseline.json", "manifest.json"])
def test_a_changed_part_is_refused(bento, s3, name):
    uri = put(*bento, f"{s3.uri}/changed-{name}")
    FsspecStore().replace(f"{uri}/model/{name}", b'{"files": {}}')
    with pytest.raises(ContentDiffersError):
        read_part(uri, bento[1], "baseline.json")


def tampered(bento, s3, tmp_path, change):
    """Put a Bento, change a copy of it, and lay the changed archive in its place."""
    uri = put(*bento, f"{s3.uri}/{tmp_path.name}")
    copy = tmp_path / "copy"
    unpack(_packed(bento[0].path, tmp_path / "good.tar"), copy)
    change(copy)
    FsspecStore().replace(f"{uri}/{ARCHIVE}", _packed(copy, tmp_path / "bad.tar").read_bytes())
    return uri


def _packed(folder, archive):
    pack(folder, archive)
    return archive


@pytest.mark.parametrize(
    "change",
    [
        lambda copy: (copy / "src/service.py").write_text("import os"),
        lambda copy: (copy / "src/model/model.skops").write_bytes(b"other"),
        lambda copy: (copy / "src/extra.py").write_text("import os"),
        lambda copy: (copy / "src/model/card.md").unlink(),
        lambda copy: (copy / "bento.yaml").write_text("service: antigravity:fly"),
        lambda copy: (copy / "bento.yaml").write_text("["),
        lambda copy: (copy / "bento.yaml").unlink(),
    ],
    ids=["code", "model", "extra", "missing", "entry", "no yaml", "no entry"],
)
def test_a_tampered_bento_on_s3_is_refused(bento, s3, tmp_path, change):
    uri = tampered(bento, s3, tmp_path, change)
    with pytest.raises(ContentDiffersError):
        fetch(uri, bento[1], tmp_path / "models" / "bento")
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(
    "entry",
    [
        ("../outside", tarfile.REGTYPE, b"x"),
        ("src/../../outside", tarfile.REGTYPE, b"x"),
        ("/outside", tarfile.REGTYPE, b"x"),
        ("src/link", tarfile.SYMTYPE, "/etc/passwd"),
        ("src/link", tarfile.SYMTYPE, "service.py"),
        ("src/link", tarfile.LNKTYPE, "src/service.py"),
        ("src/fifo", tarfile.FIFOTYPE, ""),
        ("src/device", tarfile.CHRTYPE, ""),
    ],
)
def test_an_archive_with_anything_but_plain_files_below_is_refused(entry, tmp_path):
    archive = archive_of(tmp_path / "a.tar", ("src/service.py", tarfile.REGTYPE, b"x"), entry)
    with pytest.raises(UnsafeArchiveError):
        unpack(archive, tmp_path / "in" / "bento")
    assert not (tmp_path / "in" / "outside").exists()
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b")])
def test_an_archive_with_a_name_twice_is_refused(names, tmp_path):
    archive = archive_of(tmp_path / "a.tar", *((name, tarfile.REGTYPE, b"x") for name in names))
    with pytest.raises(UnsafeArchiveError, match="twice"):
        unpack(archive, tmp_path / "bento")


def test_a_cut_archive_is_refused(tmp_path):
    archive = archive_of(tmp_path / "a.tar", ("a", tarfile.REGTYPE, b"x" * 5000))
    archive.write_bytes(archive.read_bytes()[:1500])
    with pytest.raises(UnsafeArchiveError, match="can't be read"):
        unpack(archive, tmp_path / "bento")


def test_equal_folders_make_equal_archives(bento, tmp_path):
    unpack(_packed(bento[0].path, tmp_path / "a.tar"), tmp_path / "copy")
    assert _packed(tmp_path / "copy", tmp_path / "b.tar").read_bytes() == (tmp_path / "a.tar").read_bytes()


def run_fetch(uri, digest, folder, environment):
    command = [sys.executable, "-m", "driftloop.adapters.bentofetch", uri, digest, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_init_container_fetches(stored, bento, s3, tmp_path):
    done = run_fetch(stored, bento[1], tmp_path / "bento", os.environ | s3.environment)
    assert done.returncode == 0, done.stderr
    assert verify_digests(tmp_path / "bento" / "src") == bento[1]


def test_the_init_container_started_twice_is_content(stored, bento, tmp_path):
    for _ in range(2):
        assert bentofetch.main(stored, bento[1], str(tmp_path / "bento")) == 0


def test_the_reason_shows_in_the_pod_s_status(bento, s3, tmp_path):
    uri = tampered(bento, s3, tmp_path, lambda copy: (copy / "src/service.py").write_text("import os"))
    code = bentofetch.main(uri, bento[1], str(tmp_path / "bento"), tmp_path / "termination-log")
    assert code == BENTO_REFUSED_EXIT_CODE
    assert "'service.py' has another content" in (tmp_path / "termination-log").read_text()


def test_a_store_that_can_t_be_reached_is_told(bento, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    code = bentofetch.main(f"s3://nowhere/{bento[1]}", bento[1], str(tmp_path / "bento"), tmp_path / "log")
    s3fs.S3FileSystem.clear_instance_cache()
    assert code == 1
    assert "must be readable from this pod" in (tmp_path / "log").read_text()


def test_the_init_container_needs_no_library_that_the_controller_lacks():
    heavy = "{'bentoml', 'sklearn', 'pandas', 'numpy', 'pyarrow'}"
    code = f"import driftloop.adapters.bentofetch, sys; sys.exit(len({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert Path(bentofetch.__file__).exists()

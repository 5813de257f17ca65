import dataclasses
import json
import subprocess
import sys

import pytest

from driftloop.stages.package import ContentDiffersError, ModelFiles, content_digest, verify_digests
from tests.flightcontent import assemble_flights


@pytest.fixture
def files(tmp_path):
    files = ModelFiles(*(tmp_path / field.name for field in dataclasses.fields(ModelFiles)))
    for path in vars(files).values():
        path.write_text(f'"{path.name}"')
    return files


@pytest.fixture
def content(files, tmp_path):
    return assemble_flights(tmp_path / "content", files)


def test_the_content_holds_service_sources_and_model(content):
    for name in (
        "service.py",
        "bentofile.yaml",
        "driftloop/serving/service.py",
        "model/card.md",
        "model/explanation.json",
    ):
        assert (content.path / name).is_file()
    assert (content.path / "model/model.skops").read_text() == '"model"'
    assert not list(content.path.rglob("__pycache__"))
    manifest = json.loads((content.path / "model/manifest.json").read_text())
    assert manifest["runtimeImage"] == "driftloop:test"
    assert "model/manifest.json" not in manifest["files"]
    assert content.version == content.digest[:12]


def test_equal_inputs_give_an_equal_digest(content, files, tmp_path):
    assert assemble_flights(tmp_path / "again", files).digest == content.digest


@pytest.mark.parametrize("change", [{"card": "# other\n"}, {"runtime_image": "driftloop:other"}, {"loop": "other"}])
def test_any_other_input_gives_another_digest(content, files, tmp_path, change):
    assert assemble_flights(tmp_path / "again", files, **change).digest != content.digest


def test_content_as_it_was_packaged_is_accepted(content):
    assert verify_digests(content.path) == content.digest
    assert verify_digests(content.path, content.digest) == content.digest


def test_the_caches_of_python_are_not_content(content):
    cache = content.path / "driftloop" / "__pycache__"
    cache.mkdir()
    (cache / "errors.cpython-311.pyc").write_bytes(b"x")
    verify_digests(content.path, content.digest)


def tamper_with_model(path):
    (path / "model/model.skops").write_text("other")
    return "model/model.skops", "another content"


def tamper_with_source(path):
    (path / "driftloop/errors.py").write_text("import os")
    return "driftloop/errors.py", "another content"


def remove_a_file(path):
    (path / "model/schema.json").unlink()
    return "model/schema.json", "is missing"


def add_a_file(path):
    (path / "sitecustomize.py").write_text("")
    return "sitecustomize.py", "is not in the manifest"


def add_a_link(path):
    (path / "driftloop" / "more").symlink_to("/etc")
    return "driftloop/more", "is no regular file"


def replace_by_a_link(path):
    target = path.parent / "model"
    (path / "model/model.skops").unlink()
    (path / "model/model.skops").symlink_to(target)
    return "model/model.skops", "is no regular file"


def remove_the_manifest(path):
    (path / "model/manifest.json").unlink()
    return "model/manifest.json", "is missing"


def empty_the_manifest(path):
    (path / "model/manifest.json").write_text("[]")
    return "model/manifest.json", "lists no files"


@pytest.mark.parametrize(
    "tamper",
    [
        tamper_with_model,
        tamper_with_source,
        remove_a_file,
        add_a_file,
        add_a_link,
        replace_by_a_link,
        remove_the_manifest,
        empty_the_manifest,
    ],
)
def test_any_change_is_refused_and_its_file_named(content, tamper):
    name, fault = tamper(content.path)
    with pytest.raises(ContentDiffersError) as caught:
        verify_digests(content.path)
    assert f"'{name}'" in str(caught.value)
    assert fault in str(caught.value)


def test_a_rewritten_manifest_is_refused_by_the_digest_that_was_expected(content):
    (content.path / "model/model.skops").write_text("other")
    manifest = json.loads((content.path / "model/manifest.json").read_text())
    del manifest["files"]["model/model.skops"]
    (content.path / "model/manifest.json").write_text(json.dumps(manifest))
    assert content_digest(content.path) != content.digest
    with pytest.raises(ContentDiffersError, match="has the digest"):
        verify_digests(content.path, content.digest)


def test_importing_it_imports_neither_scikit_learn_nor_pandas_nor_bentoml():
    heavy = "{'sklearn', 'pandas', 'bentoml', 'skops'} & set(sys.modules)"
    code = f"import driftloop.stages.package, driftloop.adapters.bento, sys; sys.exit(len({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

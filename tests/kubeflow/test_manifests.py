"""Pipelines as Kubernetes objects: the operator finds them under the names that it would give."""

from pathlib import Path

import pytest
import yaml

from driftloop.adapters.kfp_local import compiled_package
from driftloop.adapters.pipelinepackage import read_package, version_name

FOLDER = Path(__file__).parents[2] / "manifests" / "pipelines"
NAMES = ("adoption", "feasibility", "schedule", "training")


def test_the_kustomization_has_all():
    resources = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert resources == [f"{name}.yaml" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_and_its_version_have_the_names_and_content_of_the_package(name):
    pipeline, version = yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text())
    package = read_package(name)
    assert (pipeline["kind"], pipeline["metadata"]["name"]) == ("Pipeline", package.pipeline)
    assert (version["kind"], version["metadata"]["name"]) == ("PipelineVersion", package.version)
    assert version["spec"]["pipelineName"] == package.pipeline
    spec, platform = yaml.safe_load_all(compiled_package(name).read_text())
    assert version["spec"]["pipelineSpec"] == spec
    assert version["spec"]["platformSpec"] == platform


def test_a_version_s_name_follows_the_content_and_not_the_compiler():
    content = "a: 1\nsdkVersion: kfp-2.17.0\n"
    assert version_name("p", content) == version_name("p", content.replace("2.17.0", "2.18.0"))
    assert version_name("p", content) != version_name("p", content.replace("1", "2"))

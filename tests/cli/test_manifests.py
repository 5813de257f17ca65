import json
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from driftloop.adapters.bento import BuiltBento, put
from driftloop.cli.app import build_app
from tests.flightcontent import assemble_flights
from tests.smallmodel import write_model_files

WINE = Path("examples/wine/modelloop.yaml")


def run(*arguments):
    done = CliRunner().invoke(build_app(), ["manifests", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return list(yaml.safe_load_all(done.stdout))


def named(objects, kind):
    [found] = [one for one in objects if one["kind"] == kind]
    return found


def test_what_the_operator_would_create_is_printed():
    kinds = [one["kind"] for one in run(WINE)]
    assert {"Deployment", "Service", "ConfigMap", "Role", "NetworkPolicy", "PodDisruptionBudget"} <= set(kinds)


def test_the_output_is_fit_for_kubectl():
    for one in run(WINE):
        kubernetes_validate.validate(one, "1.29", strict=True)


def test_no_yaml_aliases_are_written():
    assert "&id" not in CliRunner().invoke(build_app(), ["manifests", str(WINE)]).stdout


def test_json_is_one_list():
    done = CliRunner().invoke(build_app(), ["manifests", str(WINE), "--json"])
    assert json.loads(done.stdout)["kind"] == "List"


def test_the_namespace_may_be_another():
    assert {one["metadata"]["namespace"] for one in run(WINE, "-n", "prod")} == {"prod"}


def test_images_and_store_come_from_the_platform_file(tmp_path):
    images = {role: f"registry/{role}:9" for role in ("controller", "monitor", "serving", "pipeline")}
    file = tmp_path / "platform.yaml"
    file.write_text(yaml.safe_dump({"images": images, "store": {"uri": "s3://models"}}))
    pod = named(run(WINE, "--platform", file), "Deployment")["spec"]["template"]["spec"]
    assert [one["image"] for one in pod["containers"]] == ["registry/serving:9"]
    assert pod["initContainers"][0]["args"][0].startswith("s3://models/loops/")


def test_a_platform_file_that_is_wrong_is_told(tmp_path):
    file = tmp_path / "platform.yaml"
    file.write_text("images: {controller: a}\n")
    done = CliRunner().invoke(build_app(), ["manifests", str(WINE), "--platform", str(file)])
    assert done.exit_code == 2
    assert "images.monitor" in done.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_bento_names_version_and_image(tmp_path):
    content = assemble_flights(tmp_path / "bento" / "src", write_model_files(tmp_path))
    (tmp_path / "bento" / "bento.yaml").write_text("service: service:ModelServer\n")
    uri = put(BuiltBento("flights:1", tmp_path / "bento"), content.digest, str(tmp_path / "store"))
    image = json.loads((content.path / "model" / "manifest.json").read_text())["runtimeImage"]
    deployment = named(run(WINE, "--bento", uri), "Deployment")
    assert deployment["metadata"]["name"] == f"wine-{content.digest[:12]}"
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == image

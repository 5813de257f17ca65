"""`manifests/`: base, overlays, and the GitOps example, as kustomize builds them."""

import re

import kubernetes_validate
import pytest
import yaml

from driftloop.spec import ModelLoop
from tests.chart.podsecurity import find_violations
from tests.chart.rendering import MANIFESTS, NEWEST, OLDEST, build_overlay, environment, pods_of, render_chart, the

pytestmark = pytest.mark.render
EXAMPLE = MANIFESTS / "gitops" / "example"
WAVE = "argocd.argoproj.io/sync-wave"


@pytest.mark.parametrize("overlay", ["base", "overlays/dev", "overlays/prod"])
def test_an_overlay_builds_valid_restricted_objects(overlay):
    documents = build_overlay(MANIFESTS / overlay)
    for document in documents:
        versions = [NEWEST] if document["apiVersion"].startswith("admissionregistration") else [OLDEST, NEWEST]
        for version in versions:
            kubernetes_validate.validate(document, version, strict=True)
    assert [list(find_violations(pod)) for _, pod in pods_of(documents)] == [[]]
    assert the(documents, "Namespace", "driftloop-system")["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }


def test_the_base_has_every_object_of_the_chart_but_its_hooks():
    wanted = {
        (d["kind"], d["metadata"]["name"])
        for d in render_chart()
        if "helm.sh/hook" not in d["metadata"].get("annotations", {})
    }
    base = {(d["kind"], d["metadata"]["name"]) for d in build_overlay(MANIFESTS / "base")}
    assert base == wanted | {("Namespace", "driftloop-system")}


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_an_overlay_sets_what_the_operator_knows(overlay):
    known = set(environment(build_overlay(MANIFESTS / "base")))
    added = set(environment(build_overlay(MANIFESTS / "overlays" / overlay))) - known
    assert added <= {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def test_production_takes_every_image_from_the_registry():
    env = environment(build_overlay(MANIFESTS / "overlays" / "prod"))
    images = {name: value for name, value in env.items() if "__IMAGES__" in name and "PULL" not in name}
    assert len(images) == 4
    assert all(image.startswith("registry.example.com/ml/") for image in images.values())


@pytest.mark.parametrize("environment_name", ["dev", "prod"])
def test_a_loop_of_the_example_is_valid(environment_name):
    documents = build_overlay(EXAMPLE / "loops" / environment_name)
    loop = ModelLoop.model_validate(the(documents, "ModelLoop", "flight-delays"))
    assert loop.metadata.namespace == f"flights-{environment_name}"
    assert loop.spec.pipeline.runner == {"dev": "Job", "prod": "Kubeflow"}[environment_name]


def test_platform_comes_before_loops():
    argocd = {d["metadata"]["name"]: d for d in _documents("argocd")}
    waves = {
        name: (argocd[name]["metadata"].get("annotations") or {}).get("argocd.argoproj.io/sync-wave") for name in argocd
    }
    assert int(waves["driftloop-platform"]) < int(waves["driftloop-loops"])
    flux = {
        d["metadata"]["name"]: d["spec"] for d in _documents("flux") if d["kind"] == "Kustomization" and "spec" in d
    }
    for loops in ("loops-dev", "loops-prod"):
        assert "driftloop" in {need["name"] for need in flux[loops]["dependsOn"]}
        assert flux[loops]["wait"] is True
    assert all(need["name"] in flux for spec in flux.values() for need in spec.get("dependsOn", []))


def test_argo_cd_applies_on_the_servers_side():
    for document in _documents("argocd"):
        spec = document.get("spec", {})
        policy = spec.get("template", {}).get("spec", spec).get("syncPolicy")
        if policy:
            assert "ServerSideApply=true" in policy["syncOptions"]


def test_every_path_of_the_example_exists():
    text = "\n".join(path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*.yaml"))
    named = set(re.findall(r'path: "?(?:\./)?(manifests/[^"\s]+(?: \.environment \}\})?)', text))
    assert len(named) > 3
    for path in named:
        for environment_name in ("dev", "prod"):
            folder = MANIFESTS.parent / path.replace("{{ .environment }}", environment_name)
            assert (folder / "kustomization.yaml").exists() or folder.name == "argocd", folder


def test_the_charts_values_in_git_are_valid():
    values = EXAMPLE / "platform" / "values.yaml"
    from tools.helm import render

    assert "driftloop-store" in render(MANIFESTS.parent / "helm" / "driftloop", "--values", str(values))


def test_no_secret_is_in_git():
    for path in [*MANIFESTS.rglob("*.yaml")]:
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            assert (document or {}).get("kind") != "Secret", path


def _documents(folder):
    for path in sorted((EXAMPLE / folder).rglob("*.yaml")):
        yield from (d for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d and "metadata" in d)

"""The chart before a policy scanner, where there is one; `podsecurity` holds every pod to the standard in any case."""

import shutil
import subprocess

import pytest
import yaml

from tests.chart.rendering import render_chart

pytestmark = pytest.mark.render
ACCEPTED = {
    "CKV_K8S_8": "the pod of `helm test` ends by itself: nothing to probe",
    "CKV_K8S_9": "the same",
    "CKV_K8S_11": "a limit of the processor would slow the one place that decides",
    "CKV_K8S_15": "images have versions; IfNotPresent works without the registry",
    "CKV_K8S_38": "the operator speaks to the API server, and so does the test",
    "CKV_K8S_43": "digests are values: images.*.digest",
    "CKV2_K8S_6": "the pod of `helm test` listens to nobody",
}


def test_a_policy_scanner_finds_nothing_but_what_is_meant(tmp_path):
    checkov = shutil.which("checkov")
    if checkov is None:
        pytest.skip("checkov is not installed. Get it with: pipx install checkov")
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(yaml.safe_dump_all(render_chart()), encoding="utf-8")
    command = [checkov, "--skip-download", "--file", rendered, "--framework", "kubernetes", "--compact", "--quiet"]
    outcome = subprocess.run(
        [*command, "--skip-check", ",".join(ACCEPTED)], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr

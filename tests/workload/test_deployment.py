import json
from pathlib import Path

import pytest

from driftloop.sidecar.settings import MEBIBYTE, MonitorSettings
from driftloop.sidecar.supervisor import STOP_SECONDS, judging_children
from driftloop.workload import deployment as module
from driftloop.workload.platform import Images
from tests.podsecurity import containers, violations
from tests.workload.conftest import DIGEST, PLATFORM, URI, VERSION, make_deployment, make_loop

GOLDEN = Path(__file__).parent / "deployment.json"


def container(pod, name):
    [found] = [one for one in containers(pod) if one["name"] == name]
    return found


def env(pod, name):
    return {variable["name"]: variable.get("value") for variable in container(pod, name)["env"]}


def mounts(pod, name):
    return {mount["name"]: mount for mount in container(pod, name)["volumeMounts"]}


def mebibytes(quantity):
    return int(quantity.removesuffix("Mi")) if quantity.endswith("Mi") else int(quantity.removesuffix("Gi")) * 1024


def test_the_default_deployment_is_as_before(deployment):
    """After a change that is meant, write `json.dumps(deployment, indent=2)` to the file and look at the difference."""
    assert json.loads(GOLDEN.read_text()) == deployment


def test_every_container_meets_the_restricted_standard(pod):
    assert violations(pod) == []


def test_no_container_writes_to_its_root(pod):
    assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in containers(pod))


def test_the_pod_is_user_10001(pod):
    assert pod["securityContext"]["runAsUser"] == 10001


def test_the_bento_is_verified_before_anything_else_starts(pod):
    assert [one["name"] for one in containers(pod)] == ["fetch", "monitor", "server"]


def test_the_fetch_is_told_the_digest(pod):
    assert container(pod, "fetch")["args"] == [URI, DIGEST, "/models/bento"]


def test_the_server_reads_the_bento_and_can_t_write_it(pod):
    assert mounts(pod, "server")["models"] == {"name": "models", "mountPath": "/models", "readOnly": True}


def test_the_server_runs_on_the_image_of_its_bento(pod):
    assert container(pod, "server")["image"] == "serving:of-the-bento"


def test_the_server_runs_the_sources_of_its_bento(pod):
    command = container(pod, "server")["command"]
    assert command[:3] == ["python", "-P", "/models/bento/src/driftloop/adapters/bento_server.py"]


def test_another_serving_image_of_the_platform_changes_no_running_server(deployment):
    images = PLATFORM.images.model_copy(update={"serving": "s:2", "pipeline": "p:2"})
    assert make_deployment(platform=PLATFORM.model_copy(update={"images": images})) == deployment


@pytest.mark.parametrize(
    "group",
    [
        {"training": {"maxTrialCount": 3}},
        {"monitoring": {"window": {"duration": "1h"}}},
        {"retraining": {"mode": "DryRun"}},
        {"suspend": True},
    ],
)
def test_only_the_serving_group_changes_a_deployment(deployment, group):
    assert make_deployment(make_loop(**group)) == deployment


def test_the_monitor_is_a_native_sidecar(pod):
    assert container(pod, "monitor")["restartPolicy"] == "Always"


@pytest.mark.parametrize("probe", ["readinessProbe", "startupProbe", "livenessProbe"])
def test_the_monitor_has_no_say_in_the_pod_s_readiness(pod, probe):
    assert probe not in container(pod, "monitor")


def test_the_monitor_s_settings_can_be_read(pod, monkeypatch):
    for name, value in env(pod, "monitor").items():
        monkeypatch.setenv(name, value or "wine-0123456789ab-x7k2p")
    settings = MonitorSettings()
    assert (settings.store_uri, settings.namespace) == ("s3://models/driftloop", "team")
    assert (settings.loop_uid, settings.loop_object_uid) == ("loop-identity", "11111111-2222-3333-4444-555555555555")
    assert settings.writer_id == "wine-0123456789ab-x7k2p"
    assert str(settings.loop_file) == "/etc/driftloop/loop.json"


def test_every_setting_of_the_monitor_is_one_it_knows(pod):
    known = {f"DRIFTLOOP_MONITOR_{name.upper()}" for name in MonitorSettings.model_fields}
    assert {name for name in env(pod, "monitor") if name.startswith("DRIFTLOOP_")} <= known


def test_the_monitor_is_named_by_its_pod(pod):
    [writer] = [one for one in container(pod, "monitor")["env"] if one["name"] == "DRIFTLOOP_MONITOR_WRITER_ID"]
    assert writer["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


@pytest.mark.parametrize("labels", [{}, {"uri": "s3://lake/labels/"}])
def test_the_monitor_may_use_more_memory_than_its_children_together(labels, monkeypatch):
    pod = make_deployment(make_loop(monitoring={"labels": labels}))["spec"]["template"]["spec"]
    for name, value in env(pod, "monitor").items():
        monkeypatch.setenv(name, value or "pod")
    children = sum(child.memory_bytes or 0 for child in judging_children(MonitorSettings())) / MEBIBYTE
    if not labels:
        children -= MonitorSettings().labels_memory_mebibytes
    assert mebibytes(container(pod, "monitor")["resources"]["limits"]["memory"]) >= children + 1024


def test_the_local_log_fits_into_its_volume(pod):
    [volume] = [one for one in pod["volumes"] if one["name"] == "monitor"]
    local = int(env(pod, "monitor")["DRIFTLOOP_MONITOR_LOCAL_LOG_MEBIBYTES"])
    assert 2 * local <= mebibytes(volume["emptyDir"]["sizeLimit"])


def test_the_monitor_commits_as_often_as_the_platform_says():
    pod = make_deployment(platform=PLATFORM.model_copy(update={"flush_interval_seconds": 60}))
    told = env(pod["spec"]["template"]["spec"], "monitor")
    assert told["DRIFTLOOP_MONITOR_COMMIT_INTERVAL_SECONDS"] == "60"
    assert told["DRIFTLOOP_MONITOR_WRITER_SILENCE_SECONDS"] == "180"


def test_server_and_monitor_meet_at_one_socket(pod):
    assert env(pod, "server")["DRIFTLOOP_SERVING_TAP_SOCKET"] == env(pod, "monitor")["DRIFTLOOP_MONITOR_TAP_SOCKET"]
    assert mounts(pod, "server")["tap"] == mounts(pod, "monitor")["tap"]


def test_no_token_is_mounted_by_itself(pod):
    assert pod["automountServiceAccountToken"] is False


def test_only_the_monitor_gets_a_token(pod):
    assert [one["name"] for one in containers(pod) if "token" in mounts(pod, one["name"])] == ["monitor"]


def test_the_token_is_where_clients_look_for_it(pod):
    [volume] = [one for one in pod["volumes"] if one["name"] == "token"]
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    assert mounts(pod, "monitor")["token"]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"


def test_the_server_knows_no_keys_of_the_store(pod):
    assert not [name for name in env(pod, "server") if name.startswith("AWS_")]


@pytest.mark.parametrize("name", ["fetch", "monitor"])
def test_the_store_s_keys_come_from_the_secret(pod, name):
    keys = [
        one["valueFrom"] for one in container(pod, name)["env"] if one["name"].startswith("AWS_") and "value" not in one
    ]
    assert [key["secretKeyRef"] for key in keys] == [
        {"name": "store-keys", "key": "AWS_ACCESS_KEY_ID"},
        {"name": "store-keys", "key": "AWS_SECRET_ACCESS_KEY"},
    ]


def test_without_a_secret_the_pod_s_own_identity_counts():
    store = PLATFORM.store.model_copy(update={"secret_name": "", "endpoint_url": ""})
    pod = make_deployment(platform=PLATFORM.model_copy(update={"store": store}))["spec"]["template"]["spec"]
    assert {name for name in env(pod, "fetch") if name.startswith("AWS_")} == {"AWS_DEFAULT_REGION", "AWS_REGION"}


def test_every_emptydir_has_a_size(pod):
    assert all(volume["emptyDir"].get("sizeLimit") for volume in pod["volumes"] if "emptyDir" in volume)


def test_every_container_has_requests_and_limits(pod):
    for one in containers(pod):
        assert {"cpu", "memory"} <= one["resources"]["requests"].keys() & one["resources"]["limits"].keys()


def test_no_server_goes_before_its_successor_is_ready(deployment):
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_a_version_that_does_not_come_up_is_given_up_within_ten_minutes(deployment):
    assert deployment["spec"]["progressDeadlineSeconds"] == 600


def test_the_grace_period_holds_drain_requests_tap_and_flush(pod):
    from driftloop.adapters.bento_server import FINISH_SECONDS

    tap_seconds = 5
    assert pod["terminationGracePeriodSeconds"] >= module.DRAIN_SECONDS + FINISH_SECONDS + tap_seconds + STOP_SECONDS


def test_pods_of_a_loop_spread_over_nodes_where_they_can(pod):
    first = pod["topologySpreadConstraints"][0]
    assert (first["topologyKey"], first["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")


def test_a_deployment_starts_with_the_fewest_replicas():
    assert make_deployment(make_loop(serving={"minReplicas": 2, "maxReplicas": 4}))["spec"]["replicas"] == 2


def test_an_autoscaled_deployment_keeps_its_replicas():
    assert make_deployment(make_loop(serving={"maxReplicas": 4}), replicas=3)["spec"]["replicas"] == 3


def test_the_spec_s_resources_are_the_server_s():
    resources = {"requests": {"memory": "3Gi"}, "limits": {"cpu": "2500m"}}
    pod = make_deployment(make_loop(serving={"resources": resources}))["spec"]["template"]["spec"]
    assert container(pod, "server")["resources"] == {
        "requests": {"memory": "3Gi"},
        "limits": {"cpu": "2500m"},
    }
    assert env(pod, "server")["OMP_NUM_THREADS"] == "2"


def test_nodes_and_tolerations_of_the_spec_reach_the_pod():
    serving = {"nodeSelector": {"pool": "cpu"}, "tolerations": [{"key": "ml", "operator": "Exists"}]}
    pod = make_deployment(make_loop(serving=serving))["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"pool": "cpu"}
    assert pod["tolerations"][0]["key"] == "ml"


def test_pull_secrets_reach_the_pod():
    images = Images(controller="c", monitor="m", serving="s", pipeline="p", pull_secrets=("registry",))
    pod = make_deployment(platform=PLATFORM.model_copy(update={"images": images}))["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]


def test_the_deployment_goes_with_its_modelloop(deployment):
    [owner] = deployment["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ModelLoop", "wine", True)


def test_pods_say_whose_and_which_model_they_are(deployment):
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["driftloop.dev/loop"] == "wine"
    assert labels["driftloop.dev/model-version"] == VERSION
    assert labels["app.kubernetes.io/component"] == "server"
    assert labels["app.kubernetes.io/managed-by"] == "driftloop"


def test_prometheus_finds_the_server(deployment):
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert (annotations["prometheus.io/scrape"], annotations["prometheus.io/port"]) == ("true", "3000")

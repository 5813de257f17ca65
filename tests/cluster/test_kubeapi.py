"""What the adapter promises, on the fake and on a real API server: one suite, so that they can't diverge."""

import json
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from driftloop.adapters import kubeapi
from driftloop.adapters.kubeapi import (
    AlreadyExistsError,
    ApiUnavailableError,
    ConflictError,
    ContextError,
    KubeApi,
    NotFoundError,
    RejectedError,
)

SPEC = {"problem": {"task": "Classification"}, "data": {"uri": "s3://lake/a.csv", "targetColumn": "late"}}


def a_map(place, name="a", data=None, **metadata):
    metadata = {"namespace": place, "name": name} | metadata
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {"x": "1"}}


def a_loop(place, name="flights", **more):
    metadata = {"namespace": place, "name": name}
    return {"apiVersion": "driftloop.dev/v1alpha1", "kind": "ModelLoop", "metadata": metadata, "spec": SPEC | more}


def a_deployment(place, name="flights-abc", image="one"):
    labels = {"app": name}
    container = {"name": "server", "image": image}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": place, "name": name, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def test_what_is_not_there_is_none(api, place):
    assert api.get("ConfigMap", place, "a") is None
    assert api.get("ModelLoop", place, "a") is None


def test_a_kind_that_is_not_installed_is_none_and_its_list_an_error(api, place):
    assert api.get("ServiceMonitor", place, "a") is None
    with pytest.raises(NotFoundError, match=r"Listing servicemonitors was refused by the Kubernetes API \(404\)"):
        api.list("ServiceMonitor", place)


def test_what_was_created_is_got_and_listed_with_its_kind(api, place):
    made = api.create(a_map(place))
    assert made["metadata"]["uid"]
    assert made["metadata"]["creationTimestamp"]
    [listed] = [one for one in api.list("ConfigMap", place) if one["metadata"]["name"] == "a"]
    assert (listed["apiVersion"], listed["kind"], listed["data"]) == ("v1", "ConfigMap", {"x": "1"})
    assert api.get("ConfigMap", place, "a") == made


def test_creating_twice_is_refused(api, place):
    api.create(a_map(place))
    with pytest.raises(AlreadyExistsError, match=f"ConfigMap '{place}/a' was to be created and is there already"):
        api.create(a_map(place, data={"x": "2"}))
    assert api.get("ConfigMap", place, "a")["data"] == {"x": "1"}


def test_of_many_that_create_at_once_one_succeeds(api, place):
    won = []

    def create(number):
        try:
            api.create(a_map(place, data={"x": str(number)}))
        except AlreadyExistsError:
            return
        won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [api.get("ConfigMap", place, "a")["data"]["x"]] == [str(number) for number in won]


def test_a_namespace_that_is_not_there_is_told(api):
    with pytest.raises(NotFoundError, match='namespaces "nowhere" not found'):
        api.create(a_map("nowhere"))


def test_a_bad_name_is_refused_in_the_servers_words(api, place):
    with pytest.raises(RejectedError, match=r"\(422\).*metadata.name") as caught:
        api.create(a_map(place, name="Not_A_Name"))
    assert caught.value.status == 422


def test_replacing_what_has_changed_since_is_a_conflict(api, place):
    first = api.create(a_map(place))
    second = api.replace(first | {"data": {"x": "2"}})
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    with pytest.raises(ConflictError, match=r"changed since it was read.*Read it again"):
        api.replace(first | {"data": {"x": "3"}})
    assert api.get("ConfigMap", place, "a")["data"] == {"x": "2"}


def test_replacing_what_is_gone_is_not_found(api, place):
    made = api.create(a_map(place))
    api.delete("ConfigMap", place, "a")
    with pytest.raises((NotFoundError, ConflictError)):
        api.replace(made)


def test_a_replacement_that_changes_nothing_keeps_the_version(api, place):
    made = api.create(a_map(place))
    assert api.replace(made)["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_merge_patch_changes_adds_and_removes(api, place):
    api.create(a_map(place, data={"x": "1", "y": "1"}))
    api.patch(
        "ConfigMap", place, "a", {"data": {"x": "2", "y": None, "z": "3"}, "metadata": {"annotations": {"q": "1"}}}
    )
    patched = api.get("ConfigMap", place, "a")
    assert patched["data"] == {"x": "2", "z": "3"}
    assert patched["metadata"]["annotations"] == {"q": "1"}


def test_a_merge_patch_may_insist_on_a_version(api, place):
    made = api.create(a_map(place))
    version = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
    api.patch("ConfigMap", place, "a", version | {"data": {"x": "2"}})
    with pytest.raises(ConflictError):
        api.patch("ConfigMap", place, "a", version | {"data": {"x": "3"}})


def test_patching_what_is_not_there_is_not_found(api, place):
    with pytest.raises(NotFoundError, match=f"ConfigMap '{place}/a' was refused.*not found"):
        api.patch("ConfigMap", place, "a", {"data": {}})


def test_applying_creates_then_changes_then_leaves_alone(api, place):
    first = api.apply(a_deployment(place))
    same = api.apply(a_deployment(place))
    assert same["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert same["metadata"]["generation"] == 1
    changed = api.apply(a_deployment(place, image="two"))
    assert changed["spec"]["template"]["spec"]["containers"][0]["image"] == "two"
    assert changed["metadata"]["generation"] == 2


def test_applying_takes_back_what_is_not_applied_any_more_and_keeps_what_others_wrote(api, place):
    api.apply(a_map(place, data={"x": "1", "y": "1"}, labels={"ours": "1", "old": "1"}))
    api.patch("ConfigMap", place, "a", {"metadata": {"labels": {"theirs": "1"}}})
    applied = api.apply(a_map(place, data={"x": "1"}, labels={"ours": "2"}))
    assert applied["data"] == {"x": "1"}
    assert applied["metadata"]["labels"] == {"ours": "2", "theirs": "1"}


def test_status_and_spec_are_reached_apart(api, place):
    made = api.create(a_loop(place) | {"status": {"uid": "invented"}})
    assert "status" not in made
    ready = {"type": "Ready", "status": "False", "reason": "New", "lastTransitionTime": "2026-11-25T00:00:00Z"}
    api.patch_status("ModelLoop", place, "flights", {"conditions": [ready]})
    api.patch("ModelLoop", place, "flights", {"spec": {"suspend": True}, "status": {"conditions": []}})
    found = api.get("ModelLoop", place, "flights")
    assert found["spec"]["suspend"] is True
    assert [one["type"] for one in found["status"]["conditions"]] == ["Ready"]


def test_a_new_spec_is_a_new_generation_and_a_status_or_label_is_none(api, place):
    assert api.create(a_loop(place))["metadata"]["generation"] == 1
    api.patch_status("ModelLoop", place, "flights", {"observedGeneration": 1})
    api.patch("ModelLoop", place, "flights", {"metadata": {"labels": {"a": "b"}}})
    assert api.get("ModelLoop", place, "flights")["metadata"]["generation"] == 1
    api.patch("ModelLoop", place, "flights", {"spec": {"suspend": True}})
    assert api.get("ModelLoop", place, "flights")["metadata"]["generation"] == 2


def test_a_custom_resource_is_replaced_only_by_version(api, place):
    api.create(a_loop(place))
    with pytest.raises(RejectedError, match="resourceVersion"):
        api.replace(a_loop(place, suspend=True))


def test_lists_are_selected_by_label_and_by_namespace(api, place):
    api.create(a_map(place, "one", labels={"driftloop.dev/loop": "flights", "part": "x"}))
    api.create(a_map(place, "two", labels={"driftloop.dev/loop": "flights"}))
    api.create(a_map(place, "three", labels={"driftloop.dev/loop": "iris"}))

    def names(*arguments):
        return [one["metadata"]["name"] for one in api.list("ConfigMap", *arguments)]

    assert names(place, {"driftloop.dev/loop": "flights"}) == ["one", "two"]
    assert names(place, {"driftloop.dev/loop": "flights", "part": "x"}) == ["one"]
    assert names("default", {"driftloop.dev/loop": "flights"}) == []
    assert {"one", "two", "three"} <= set(names(None))


def test_deleting_twice_is_fine(api, place):
    api.create(a_map(place))
    api.delete("ConfigMap", place, "a")
    api.delete("ConfigMap", place, "a")
    assert api.get("ConfigMap", place, "a") is None


def test_a_finalizer_holds_the_object_until_it_is_removed(api, place):
    loop = a_loop(place)
    loop["metadata"]["finalizers"] = ["driftloop.dev/loop"]
    api.create(loop)
    api.delete("ModelLoop", place, "flights")
    assert api.get("ModelLoop", place, "flights")["metadata"]["deletionTimestamp"]
    api.patch("ModelLoop", place, "flights", {"metadata": {"finalizers": None}})
    assert api.get("ModelLoop", place, "flights") is None


def test_all_that_carry_a_label_are_deleted_and_no_other(api, place):
    api.create(a_map(place, "one", labels={"a": "b"}))
    api.create(a_map(place, "two", labels={"a": "c"}))
    api.delete_all("ConfigMap", place, {"a": "b"})
    assert api.get("ConfigMap", place, "one") is None
    assert api.get("ConfigMap", place, "two")
    with pytest.raises(ValueError, match="labels must not be empty"):
        api.delete_all("ConfigMap", place, {})


def test_an_event_is_written_once_and_counted_after(api, place):
    loop = api.create(a_loop(place))
    for _ in range(3):
        api.emit_event(loop, reason="RunStarted", message="run a1 trains on 1,000 labelled rows")
    api.emit_event(loop, reason="RunFailed", message="no target column", warning=True)
    told = {one["reason"]: one for one in api.list("Event", place)}
    assert (told["RunStarted"]["count"], told["RunStarted"]["type"]) == (3, "Normal")
    assert (told["RunFailed"]["count"], told["RunFailed"]["type"]) == (1, "Warning")
    assert told["RunFailed"]["involvedObject"]["uid"] == loop["metadata"]["uid"]


def test_an_event_that_cannot_be_written_stops_nobody(api, caplog):
    api.emit_event(a_loop("nowhere"), reason="RunStarted", message="told to nobody")
    assert "event not written" in caplog.text


def test_an_administrator_may_do_everything(api, place):
    assert api.review_access("patch", "driftloop.dev", "modelloops", place)
    assert api.review_access("patch", "driftloop.dev", "modelloops/status")


def test_a_user_has_a_name(api, each_api_server):
    if each_api_server.fake or each_api_server.real:
        assert api.user_name() == "admin"
    else:
        assert api.user_name()


def test_the_writer_of_a_patch_is_noted(api, place, each_api_server):
    api.create(a_map(place))
    patched = api.patch("ConfigMap", place, "a", {"metadata": {"annotations": {"q": "1"}}}, manager="alice")
    if each_api_server.is_real:  # the fake keeps no managed fields
        assert "alice" in {entry["manager"] for entry in patched["metadata"]["managedFields"]}


def test_the_log_of_a_pod_that_is_not_there_is_not_found(api, place):
    with pytest.raises(NotFoundError, match=f"The log of Pod '{place}/gone'"):
        api.pod_log(place, "gone", "main")


def test_the_version_is_told_in_numbers(api):
    assert api.version() >= (1, 29)


def test_calls_are_recorded_as_access_rules_see_them(api, place, each_api_server):
    api.create(a_loop(place))
    api.patch_status("ModelLoop", place, "flights", {"uid": "a"})
    api.list("Lease", place)
    calls = {(call.verb, call.group, call.resource) for call in each_api_server.calls() if call.namespace == place}
    assert {
        ("create", "driftloop.dev", "modelloops"),
        ("patch", "driftloop.dev", "modelloops/status"),
        ("list", "coordination.k8s.io", "leases"),
    } <= calls


# What kopf asks for and the adapter does not.


def watch(api, place, query=""):
    """Return the first events of a watch that lasts one second, as (type, name)."""
    text = api._send("GET", f"/api/v1/namespaces/{place}/configmaps", "w", WATCH | dict(query)).decode()
    events = [json.loads(line) for line in text.splitlines()]
    return [(event["type"], event["object"].get("metadata", {}).get("name", "")) for event in events]


WATCH = {"watch": "true", "timeoutSeconds": "1", "allowWatchBookmarks": "true"}


def test_a_watch_tells_what_happened_since_a_version(api, place):
    version = api.create(a_map(place, "before"))["metadata"]["resourceVersion"]
    api.create(a_map(place, "seen", labels={"a": "b"}))
    api.patch("ConfigMap", place, "seen", {"data": {"x": "2"}})
    api.delete("ConfigMap", place, "seen")
    events = watch(api, place, {"resourceVersion": version})
    assert [event for event in events if event[1] == "seen"] == [
        ("ADDED", "seen"),
        ("MODIFIED", "seen"),
        ("DELETED", "seen"),
    ]
    assert ("ADDED", "before") not in events


def test_a_watch_by_label_sees_objects_come_and_go(api, place):
    version = api.create(a_map(place))["metadata"]["resourceVersion"]
    for label in ("in", "out"):
        api.patch("ConfigMap", place, "a", {"metadata": {"labels": {"l": label}}})
    query = {"resourceVersion": version, "labelSelector": "l=in"}
    assert [event for event in watch(api, place, query) if event[1]] == [("ADDED", "a"), ("DELETED", "a")]


def test_a_watch_may_begin_with_what_is_there_and_say_where_that_ends(api, place):
    api.create(a_map(place))
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    events = watch(api, place, query)
    if events == [("ERROR", "")]:
        pytest.skip("This API server can't stream what is there with the etcd behind it; take etcd 3.6.")
    assert ("ADDED", "a") in events
    assert events.index(("ADDED", "a")) < events.index(("BOOKMARK", ""))


def test_a_json_patch_holds_only_for_the_version_it_tests(api, place):
    made = api.create(a_map(place))

    def add(value):
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": made["metadata"]["resourceVersion"]}
        patch = [test, {"op": "add", "path": "/data/y", "value": value}]
        return api._object(
            "PATCH",
            f"/api/v1/namespaces/{place}/configmaps/a",
            "a patch",
            body=patch,
            content_type="application/json-patch+json",
        )

    assert add("1")["data"]["y"] == "1"
    with pytest.raises(RejectedError, match=r"\(422\)"):
        add("2")


def test_a_watch_from_a_forgotten_version_is_gone(fake, fake_api):
    fake_api.create(a_map("default"))
    fake.forget_changes()
    fake_api.create(a_map("default", "b"))
    assert watch(fake_api, "default", {"resourceVersion": "1"}) == [("ERROR", "")]


# The rest is the adapter's alone: what a server does in trouble, which no healthy one shows.


@pytest.fixture
def fake(fake_api_server):
    return fake_api_server.fake


@pytest.fixture
def fake_api(fake_api_server):
    return fake_api_server.connect()


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_a_server_in_trouble_is_unavailable(fake, fake_api, status):
    fake.fault = lambda _: (status, "etcdserver: request timed out.")
    with pytest.raises(ApiUnavailableError, match=rf"HTTP {status}, etcdserver: request timed out\. Try again"):
        fake_api.get("Pod", "default", "a")


def test_a_cut_connection_is_unavailable(fake, fake_api):
    fake.fault = lambda _: (0, "")
    with pytest.raises(ApiUnavailableError, match="must answer"):
        fake_api.create(a_map("default"))


def test_a_server_that_does_not_answer_is_unavailable_in_time(fake, fake_api, monkeypatch):
    monkeypatch.setattr(kubeapi, "READ_SECONDS", 0.2)
    fake.fault = lambda _: time.sleep(1)
    start = time.monotonic()
    with pytest.raises(ApiUnavailableError, match=r"[Tt]imed out"):
        fake_api.get("Pod", "default", "a")
    assert time.monotonic() - start < 0.9


def test_nobody_listening_is_unavailable():
    from kubernetes import client

    api = KubeApi(client.ApiClient(client.Configuration(host="http://127.0.0.1:9")))
    with pytest.raises(ApiUnavailableError, match=r"127.0.0.1:9.*must answer"):
        api.list("Pod")


def test_a_refusal_keeps_the_servers_words(fake, fake_api):
    fake.fault = lambda _: (403, 'User "eve" cannot list resource "pods".')
    with pytest.raises(RejectedError, match=r"Listing pods was refused by the Kubernetes API \(403\): User") as caught:
        fake_api.list("Pod")
    assert caught.value.status == 403


def test_a_log_is_text(fake, fake_api):
    fake_api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": "a"}, "spec": {}})
    fake.logs["default", "a", "main"] = "one\ntwo\n"
    assert fake_api.pod_log("default", "a", "main") == "one\ntwo\n"


def test_events_carry_the_clock(fake, fake_api):
    api = KubeApi(fake_api._client, now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    api.emit_event(api.create(a_map("default")), reason="Seen", message="m")
    [event] = api.list("Event", "default")
    assert event["lastTimestamp"] == "2026-01-02T03:04:05Z"


def test_a_context_that_is_not_there_is_told(fake_api_server, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(fake_api_server.kubeconfig))
    assert KubeApi.connect("test").namespace == "default"
    with pytest.raises(
        ContextError, match=r"context 'other' must be one of the kubeconfig.*kubectl config get-contexts"
    ):
        KubeApi.connect("other")


def test_no_cluster_at_all_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ContextError, match="A cluster must be configured"):
        KubeApi.connect()


def test_a_pod_uses_its_service_account(tmp_path, monkeypatch):
    account = tmp_path / "namespace"
    account.write_text("team\n")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(kubeapi, "_ACCOUNT_NAMESPACE", account)
    seen = []
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda **settings: seen.append(settings))
    assert KubeApi.connect().namespace == "team"
    assert seen


def test_a_renewed_token_is_used():
    sent = []
    pool = SimpleNamespace(
        request=lambda *_, headers, **__: (
            sent.append(headers["authorization"]) or SimpleNamespace(status=200, data=b'{"items": []}')
        )
    )
    from kubernetes import client

    settings = client.Configuration(host="http://x", api_key={"authorization": "bearer one"})
    settings.refresh_api_key_hook = lambda config: config.api_key.update(
        authorization="bearer two" if sent else "bearer one"
    )
    api_client = client.ApiClient(settings)
    api_client.rest_client = SimpleNamespace(pool_manager=pool)
    api = KubeApi(api_client)
    api.list("Pod")
    api.list("Pod")
    assert sent == ["bearer one", "bearer two"]

import hashlib
import json
import tarfile

import pytest
import s3fs
import yaml
from typer.testing import CliRunner

from driftloop.adapters.objectstore import FsspecStore
from driftloop.cli import deploy as module
from driftloop.cli.app import build_app
from driftloop.spec import ModelLoop
from tests.cluster.apiserver import fake_api_server, install_definitions  # noqa: F401 - fixture
from tests.s3server import s3_server

DATA = "id,size,good\n1,2.0,yes\n2,3.0,no\n"
DIGEST = hashlib.sha256(DATA.encode()).hexdigest()


@pytest.fixture(scope="module")
def s3():
    with s3_server() as server:
        yield server


@pytest.fixture
def cluster(fake_api_server, s3, monkeypatch):  # noqa: F811
    """A cluster that knows ModelLoops, and an object store; both as the user's environment names them."""
    monkeypatch.setenv("KUBECONFIG", str(fake_api_server.kubeconfig))
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    install_definitions(fake_api_server)
    api = fake_api_server.connect()
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    yield api
    s3fs.S3FileSystem.clear_instance_cache()


def write_loop(folder, **groups):
    document = {
        "apiVersion": "driftloop.dev/v1alpha1",
        "kind": "ModelLoop",
        "metadata": {"name": "wine", "namespace": "team"},
        "spec": {
            "problem": {"task": "Classification"},
            "data": {"uri": "wine.csv", "targetColumn": "good", "keyColumn": "id"},
        },
    }
    for group, value in groups.items():
        document["spec"][group] = document["spec"].get(group, {}) | value
    (folder / "wine.csv").write_text(DATA)
    file = folder / "loop.yaml"
    file.write_text("# mine\n" + yaml.safe_dump(document))
    return file


def run(*arguments):
    return CliRunner().invoke(build_app(), ["deploy", *map(str, arguments)])


def applied(cluster, namespace="team"):
    return cluster.get("ModelLoop", namespace, "wine")["spec"]


def test_local_data_are_uploaded_by_digest_and_it_says_so(cluster, s3, tmp_path):
    done = run(write_loop(tmp_path), "--store", f"{s3.uri}/a")
    uri = f"{s3.uri}/a/loops/team/wine/uploads/{DIGEST}/wine.csv"
    assert done.exit_code == 0, done.output
    assert f"uploaded: data.uri wine.csv (32 bytes) to {uri}" in done.output
    assert applied(cluster)["data"]["uri"] == uri
    assert FsspecStore().read(uri) == DATA.encode()


def test_programs_are_told_in_json(cluster, s3, tmp_path):
    done = run(write_loop(tmp_path), "--store", f"{s3.uri}/a", "--json")
    told = json.loads(done.stdout)
    assert (told["namespace"], told["name"]) == ("team", "wine")
    assert told["uploaded"]["data.uri"] == applied(cluster)["data"]["uri"]


def test_the_file_of_the_user_stays_as_it_is(cluster, s3, tmp_path):
    file = write_loop(tmp_path)
    before = file.read_bytes()
    run(file, "--store", f"{s3.uri}/a")
    assert file.read_bytes() == before


def test_what_is_there_is_not_sent_again(cluster, s3, tmp_path):
    file = write_loop(tmp_path)
    run(file, "--store", f"{s3.uri}/once")
    [name] = FsspecStore().names(f"{s3.uri}/once")
    FsspecStore().replace(f"{s3.uri}/once/{name}", b"as it was")
    assert run(file, "--store", f"{s3.uri}/once").exit_code == 0
    assert FsspecStore().read(f"{s3.uri}/once/{name}") == b"as it was"


def test_a_folder_of_files_is_uploaded_under_one_digest(cluster, s3, tmp_path):
    file = write_loop(tmp_path, data={"uri": "parts"})
    for name in ("2025/a.csv", "2026/a.csv"):
        (tmp_path / "parts" / name).parent.mkdir(parents=True)
        (tmp_path / "parts" / name).write_text(DATA)
    assert run(file, "--store", f"{s3.uri}/f").exit_code == 0
    uri = applied(cluster)["data"]["uri"]
    assert [one.removeprefix(f"{uri}/") for one in FsspecStore().files(uri)] == ["2025/a.csv", "2026/a.csv"]


def test_a_pattern_means_its_files_alone(cluster, s3, tmp_path):
    file = write_loop(tmp_path, data={"uri": "wi*.csv"})
    (tmp_path / "other.csv").write_text(DATA)
    assert run(file, "--store", f"{s3.uri}/p").exit_code == 0
    assert applied(cluster)["data"]["uri"].endswith(f"{DIGEST}/wine.csv")


def test_a_local_model_travels_as_one_archive(cluster, s3, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}")
    assert run(write_loop(tmp_path, model={"uri": "model"}), "--store", f"{s3.uri}/m").exit_code == 0
    uri = applied(cluster)["model"]["uri"]
    FsspecStore().get_file(uri, tmp_path / "copy.tar")
    with tarfile.open(tmp_path / "copy.tar") as archive:
        assert archive.getnames() == ["MLmodel"]


def test_what_was_left_out_stays_for_the_cluster_to_fill_in(cluster, s3, tmp_path):
    run(write_loop(tmp_path, monitoring={"window": {"duration": "2h"}}), "--store", f"{s3.uri}/a")
    spec = applied(cluster)
    assert spec["monitoring"]["window"]["duration"] == "2h"
    ModelLoop.model_validate(
        {"apiVersion": "driftloop.dev/v1alpha1", "kind": "ModelLoop", "metadata": {"name": "wine"}, "spec": spec}
    )


def test_data_of_an_object_store_need_no_store_of_ours(cluster, tmp_path):
    done = run(write_loop(tmp_path, data={"uri": "s3://lake/wine.csv"}))
    assert done.exit_code == 0, done.output
    assert "uploaded" not in done.output
    assert applied(cluster)["data"]["uri"] == "s3://lake/wine.csv"


def test_joined_tables_are_uploaded_too_and_a_local_database_is_refused(cluster, s3, tmp_path):
    (tmp_path / "prices.csv").write_text("id,price\n1,2\n")
    joins = [{"uri": "s3://lake/a.csv", "by": ["id"]}, {"uri": "prices.csv", "by": ["id"], "prefix": "p_"}]
    assert run(write_loop(tmp_path, data={"joins": joins}), "--store", f"{s3.uri}/j").exit_code == 0
    first, second = applied(cluster)["data"]["joins"]
    assert first["uri"] == "s3://lake/a.csv"
    assert FsspecStore().read(second["uri"]) == b"id,price\n1,2\n"
    done = run(write_loop(tmp_path, data={"uri": "sqlite:///s.db", "query": "wine"}), "--store", f"{s3.uri}/j")
    assert done.exit_code == 2
    assert "The 'data.uri' must be reachable from the cluster. Got the local 'sqlite:///s.db'. Export" in done.output


def test_the_operator_s_store_is_used(cluster, s3, tmp_path):
    variable = {"name": "DRIFTLOOP_OPERATOR_PLATFORM__STORE__URI", "value": f"{s3.uri}/ops"}
    labels = {"app.kubernetes.io/name": "driftloop", "app.kubernetes.io/component": "operator"}
    cluster.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "driftloop", "namespace": "team", "labels": labels},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "operator", "image": "c", "env": [variable]}]},
                },
            },
        }
    )
    assert run(write_loop(tmp_path)).exit_code == 0
    assert applied(cluster)["data"]["uri"].startswith(f"{s3.uri}/ops/loops/team/wine/uploads/")


def test_another_namespace_may_be_meant(cluster, s3, tmp_path):
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}})
    done = run(write_loop(tmp_path), "-n", "prod", "--store", f"{s3.uri}/a")
    assert "/loops/prod/wine/" in applied(cluster, "prod")["data"]["uri"]
    assert "kubectl -n prod wait --for=condition=Ready modelloop/wine" in done.output


@pytest.mark.parametrize("store", [(), ("--store", "folder")])
def test_without_a_store_local_data_are_refused_with_the_reason(cluster, tmp_path, store):
    done = run(write_loop(tmp_path), *store)
    assert done.exit_code == 2
    assert "'data.uri' is 'wine.csv'" in done.stderr
    assert "Add --store s3://BUCKET/FOLDER" in done.stderr
    assert cluster.get("ModelLoop", "team", "wine") is None


def test_large_data_are_refused_unless_one_is_sure(cluster, s3, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LARGEST_BYTES", 20)
    file = write_loop(tmp_path)
    done = run(file, "--store", f"{s3.uri}/a")
    assert (done.exit_code, "Got 32 bytes. Add --yes" in done.stderr) == (2, True)
    assert run(file, "--store", f"{s3.uri}/a", "--yes").exit_code == 0


def test_data_that_are_not_there_are_told(cluster, s3, tmp_path):
    done = run(write_loop(tmp_path, data={"uri": "absent.csv"}), "--store", f"{s3.uri}/a")
    assert (done.exit_code, "absent.csv" in done.stderr) == (2, True)


@pytest.mark.parametrize("labels", [{"uri": "labels.csv"}, {"uri": "sqlite:///x.db", "query": "labels"}])
def test_a_local_table_of_labels_is_refused(cluster, s3, tmp_path, labels):
    done = run(write_loop(tmp_path, monitoring={"labels": labels}), "--store", f"{s3.uri}/a")
    assert done.exit_code == 2
    assert "must be reachable from the cluster" in done.stderr


def test_a_store_that_refuses_is_told_with_what_to_set(cluster, s3, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    s3fs.S3FileSystem.clear_instance_cache()
    done = run(write_loop(tmp_path), "--store", f"{s3.uri}/a")
    assert (done.exit_code, "AWS_SECRET_ACCESS_KEY" in done.stderr) == (1, True)


def test_a_namespace_that_is_not_there_is_told(cluster, s3, tmp_path):
    done = run(write_loop(tmp_path), "-n", "nowhere", "--store", f"{s3.uri}/a")
    assert (done.exit_code, "kubectl create namespace nowhere" in done.stderr) == (1, True)


def test_a_cluster_without_driftloop_is_told(fake_api_server, s3, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("KUBECONFIG", str(fake_api_server.kubeconfig))
    done = run(write_loop(tmp_path, data={"uri": "s3://lake/wine.csv"}))
    assert (done.exit_code, "must know ModelLoops" in done.stderr) == (1, True)

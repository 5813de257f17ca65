import yaml

from driftloop.controller.loopfile import load_for_laptop


def test_relative_addresses_start_at_the_file_and_others_stay(tmp_path):
    spec = {
        "problem": {"task": "Classification"},
        "data": {"uri": "data/flights.csv", "targetColumn": "late", "keyColumn": "flight"},
        "monitoring": {"labels": {"uri": "truth/*.csv"}},
    }
    document = {"apiVersion": "driftloop.dev/v1alpha1", "kind": "ModelLoop", "metadata": {"name": "f"}, "spec": spec}
    file = tmp_path / "loop.yaml"
    file.write_text(yaml.safe_dump(document))
    loop = load_for_laptop(file)
    assert loop.spec.data.uri == str(tmp_path / "data" / "flights.csv")
    assert loop.spec.monitoring.labels.uri == str(tmp_path / "truth" / "*.csv")
    spec["monitoring"]["labels"] = {"uri": "sqlite:////var/truth.db", "query": "arrivals"}
    file.write_text(yaml.safe_dump(document))
    assert load_for_laptop(file).spec.monitoring.labels.uri == "sqlite:////var/truth.db"

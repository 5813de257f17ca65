"""What `data` may say, told in words; and what a run of logged rows takes over."""

import json

import pytest

from driftloop.controller.loopfile import load_for_laptop
from driftloop.loop.parameters import data_of_run
from driftloop.spec import DataSpec
from driftloop.spec.documents import read_documents
from driftloop.spec.loading import parse_modelloop


def told(**data):
    document = {
        "apiVersion": "driftloop.dev/v1alpha1",
        "kind": "ModelLoop",
        "metadata": {"name": "shop"},
        "spec": {"problem": {"task": "Regression"}, "data": {"uri": "a.csv", "targetColumn": "y"} | data},
    }
    [read] = read_documents(json.dumps(document), "shop.yaml")
    found = parse_modelloop(read, "shop.yaml")
    return [str(problem) for problem in found] if isinstance(found, list) else []


SIMULATION = {"rows": 100, "columns": [{"name": "x", "kind": "Normal"}]}
JOIN = {"uri": "b.csv", "by": ["x"]}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"uri": "sqlite:///s.db"}, "data.query' of ModelLoop 'shop' must be set where uri is a database"),
        ({"query": "orders"}, "data.query' of ModelLoop 'shop' must come with a database as uri"),
        (
            {"uri": "postgresql://me:secret@db/shop", "query": "orders"},
            "must hold no password. Got 'postgresql://me:secret@db/shop'. Give it by DRIFTLOOP_DATA_DATABASE_PASSWORD",
        ),
        ({"uri": "simulation:"}, "data.simulation' of ModelLoop 'shop' must be set where uri is 'simulation:'"),
        ({"simulation": SIMULATION}, "data.simulation' of ModelLoop 'shop' must come with 'simulation:' as uri"),
        ({"joins": [{"uri": "b.csv"}]}, "must be set where by is empty"),
        ({"joins": [JOIN | {"within": "1h"}]}, "must come with timeColumn"),
        ({"joins": [JOIN | {"uri": "sqlite:///b.db"}]}, "must be set where uri is a database"),
        ({"joins": [JOIN | {"timeColumn": "t"}]}, "must be set where joins or history look back in time"),
        ({"history": [{"column": "y", "lags": [1]}]}, "must be set where joins or history look back in time"),
        ({"history": [{"column": "y"}], "timeColumn": "t"}, "must be set where lags is empty"),
        (
            {"uri": "simulation:", "simulation": SIMULATION | {"columns": [{"name": "x", "kind": "Text"}]}},
            "must be set for the kinds Category and Text",
        ),
        (
            {"uri": "simulation:", "simulation": SIMULATION | {"columns": SIMULATION["columns"] * 2}},
            "must have another name for each column",
        ),
        ({"sample": {"rows": 5}}, "must be at least 30"),
    ],
)
def test_what_does_not_fit_together_is_told(data, sentence):
    [problem] = told(**data)
    assert sentence in problem


def test_what_fits_is_taken():
    assert told(uri="sqlite:///s.db", query="orders", joins=[JOIN | {"timeColumn": "t"}], timeColumn="t") == []
    assert told(uri="simulation:", simulation=SIMULATION) == []


def test_addresses_start_at_the_file(tmp_path):
    (tmp_path / "shop.yaml").write_text(
        "apiVersion: driftloop.dev/v1alpha1\nkind: ModelLoop\nmetadata: {name: shop}\nspec:\n"
        "  problem: {task: Regression}\n  data:\n    uri: sqlite:///data/s.db\n"
        "    query: orders\n    targetColumn: price\n"
        "    joins: [{uri: b.csv, by: [x]}, {uri: 's3://lake/c.csv', by: [x], prefix: c_}]\n"
    )
    data = load_for_laptop(tmp_path / "shop.yaml").spec.data
    assert data.addresses == (f"sqlite:///{tmp_path}/data/s.db", f"{tmp_path}/b.csv", "s3://lake/c.csv")
    assert not data.is_here


def test_logged_rows_are_not_joined_again():
    data = DataSpec.model_validate(
        {
            "uri": "sqlite:///s.db",
            "query": "orders",
            "targetColumn": "y",
            "timeColumn": "t",
            "joins": [JOIN],
            "history": [{"column": "y", "lags": [1]}],
            "sample": {"rows": 100},
        }
    )
    of_log = data_of_run(data, "s3://store/run.log.json", "logged_at")
    assert (of_log.query, of_log.joins, of_log.history, of_log.time_column) == (None, (), (), "logged_at")
    assert of_log.sample == data.sample
    assert data_of_run(data, data.uri, "t") == data
    assert DataSpec.model_validate(of_log.to_dict()) == of_log

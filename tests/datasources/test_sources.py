"""Where rows may come from: files of every kind, web servers, object stores, databases. All of them real."""

import gzip
import sqlite3
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy

from driftloop.adapters.database import DatabaseError, NoRowsError
from driftloop.adapters.datasource import collect_data, digest_data
from driftloop.adapters.objectstore import AbsentPageError, FsspecStore, UnreadableFileError
from driftloop.spec import DataSpec, Task
from driftloop.stages.collect import ColumnNotFoundError, DataChangedError, UnreadableDataError
from driftloop.stages.joins import JoinError
from driftloop.stages.jsonlines import MixedJsonError
from driftloop.stages.sample import SingletonsError
from driftloop.stages.tablenotes import reading_notes
from tests.postgresserver import PASSWORD, USER, postgres_server
from tests.s3server import s3_server

ROWS = {"order": [1, 2, 3, 4], "city": ["Oslo", "Rome", None, "Oslo"], "price": [9.5, 3.0, 1.25, None]}
CSV = "order,city,price\n1,Oslo,9.5\n2,Rome,3\n3,,1.25\n4,Oslo,\n"
JSON_LINES = (
    '{"order": 1, "city": "Oslo", "price": 9.5}\n{"order": 2, "city": "Rome", "price": 3}\n\n'
    '{"order": 3, "price": 1.25}\n{"order": 4, "city": "Oslo", "price": null}\n'
)


def data(uri, **fields) -> DataSpec:
    return DataSpec.model_validate({"uri": str(uri), "targetColumn": "price"} | fields)


def collected(spec: DataSpec) -> pa.Table:
    return collect_data(spec, Task.REGRESSION, digest_data(spec))


@pytest.fixture
def sales(tmp_path) -> Path:
    """A SQLite file: orders, and the customers that they are of."""
    path = tmp_path / "sales.db"
    with sqlite3.connect(path) as connection:
        connection.execute('create table orders ("order" integer, city text, price real)')
        connection.executemany("insert into orders values (?, ?, ?)", zip(*ROWS.values(), strict=True))
    connection.close()
    return path


@pytest.fixture(scope="module")
def postgres():
    with postgres_server() as server:
        engine = sqlalchemy.create_engine(
            f"postgresql+psycopg://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/shop"
        )
        with engine.begin() as connection:
            connection.exec_driver_sql("create sequence numbers")
            connection.exec_driver_sql(
                'create table orders as select n as "order",'
                " case when mod(n, 3) > 0 then 'city ' || mod(n, 3) end as city, (n / 4.0)::numeric(12, 2) as price,"
                " timestamptz '2026-01-01 00:00Z' + n * interval '1 hour' as placed,"
                " mod(n, 2) = 0 as paid, null::text as nothing, date '2026-01-01' + n as day"
                " from generate_series(1, 50000) n order by random()"
            )
        engine.dispose()
        yield server


@pytest.fixture
def web(tmp_path):
    """A plain web server over a folder; it knows no ranges."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Nobody reads it."""

        def do_GET(self):
            if "forbidden" in self.path:
                self.send_error(403)
                return
            super().do_GET()

    folder = tmp_path / "web"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_kind_of_file_gives_the_same_rows(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "a.jsonl").write_text("\ufeff" + JSON_LINES)
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(JSON_LINES.encode()))
    pq.write_table(pa.table(ROWS), tmp_path / "a.parquet")
    for file in tmp_path.iterdir():
        assert collected(data(file)).to_pydict() == ROWS, file.name


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            '{"price": 1}\n{"price": }\n',
            UnreadableDataError,
            "line 2 is no JSON (Expecting value). Write one JSON object a line",
        ),
        ('{"price": 1}\n\n[1]\n', UnreadableDataError, "line 3 is a list"),
        ('[{"price": 1}]\n', UnreadableDataError, "it is one JSON list"),
        ('[\n{"price": 1}\n]\n', UnreadableDataError, "it is one JSON document over several lines"),
        (
            '{"price": 1}\n{"price": "two"}\n',
            MixedJsonError,
            "The field 'price' of '{uri}' must hold values of one type. Got a number in line 1 and a text in line 2",
        ),
    ],
)
def test_a_wrong_line_of_json_is_told_by_its_number(tmp_path, text, error, message):
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(error) as caught:
        collected(data(path))
    assert message.format(uri=path) in str(caught.value)


def test_nested_values_of_json_stay_what_they_are(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"price": 1, "tags": ["a"], "who": {"id": 1}}\n{"price": 2}\n')
    table = collected(data(tmp_path / "a.jsonl"))
    assert table.column("who").to_pylist() == [{"id": 1}, None]


def test_rows_come_from_a_web_server(web):
    folder, address = web
    (folder / "a.csv").write_text(CSV)
    (folder / "b.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    assert collected(data(f"{address}/a.csv?version=3")).to_pydict() == ROWS
    assert collected(data(f"{address}/b.csv.gz")).to_pydict() == ROWS
    with pytest.raises(AbsentPageError, match="The server answered 404: not found"):
        digest_data(data(f"{address}/c.csv"))
    with pytest.raises(UnreadableFileError, match=r"must be readable\. It can't be read: 403"):
        digest_data(data(f"{address}/forbidden.csv"))


def test_a_web_server_that_is_not_there_is_told(web):
    with pytest.raises(UnreadableFileError, match="mend the connection"):
        digest_data(data("http://127.0.0.1:9/a.csv"))


def test_rows_come_from_an_object_store(monkeypatch):
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        FsspecStore().replace(f"{server.uri}/orders/part.jsonl", JSON_LINES.encode())
        assert collected(data(f"{server.uri}/orders")).to_pydict() == ROWS


def test_rows_come_from_sqlite_by_table_or_query(sales):
    assert collected(data(f"sqlite:///{sales}", query="orders")).to_pydict() == ROWS
    query = 'SELECT "order", price FROM orders WHERE city = \'Oslo\' ORDER BY "order" DESC;'
    assert collected(data(f"sqlite:///{sales}", query=query)).to_pydict() == {"order": [4, 1], "price": [None, 9.5]}


def test_the_digest_of_a_query_is_that_of_its_answer(sales):
    spec = data(f"sqlite:///{sales}", query='SELECT * FROM orders WHERE "order" < 3')
    digest = digest_data(spec)
    with sqlite3.connect(sales) as connection:
        connection.execute('update orders set price = 5 where "order" = 4')
        assert digest_data(spec) == digest
        connection.execute('delete from orders where "order" = 1')
        connection.execute("insert into orders values (1, 'Oslo', 9.5)")
        connection.commit()
        assert digest_data(spec) == digest, "the order that a database happens to have does not count"
        connection.execute('update orders set price = 5 where "order" = 1')
        connection.commit()
    connection.close()
    assert digest_data(spec) != digest
    with pytest.raises(DataChangedError, match="Bound the query by a time that is past"):
        collect_data(spec, Task.REGRESSION, digest)


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ("SELEC * FROM orders", DatabaseError, "be asked by a SELECT statement. Got: SELEC"),
        ("DELETE FROM orders", DatabaseError, "be asked by a SELECT statement. Got: DELETE"),
        ("SELECT * FROM order_s", DatabaseError, "answer the query. Got: no such table: order_s"),
        ("SELECT pric FROM orders", DatabaseError, "answer the query. Got: no such column: pric"),
        (
            "SELECT * FROM orders WHERE price > 99",
            NoRowsError,
            "must return rows. Got none from: SELECT * FROM orders WHERE",
        ),
        ("SELECT 1 AS price UNION ALL SELECT 'x'", DatabaseError, "the column 'price' has values of several types"),
        (
            "WITH x AS (SELECT 1) DELETE FROM orders RETURNING price",
            DatabaseError,
            "attempt to write a readonly database",
        ),
    ],
)
def test_what_is_wrong_with_a_query_is_told(sales, query, error, message):
    with pytest.raises(error) as caught:
        collected(data(f"sqlite:///{sales}", query=query))
    assert message in str(caught.value)
    assert digest_data(data(f"sqlite:///{sales}", query="orders"))


def test_a_database_that_is_not_there_is_told_and_not_made(tmp_path):
    with pytest.raises(DatabaseError, match=r"must be reachable\. Got: unable to open database file"):
        digest_data(data(f"sqlite:///{tmp_path}/none.db", query="orders"))
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(DatabaseError, match=r"must be reachable\. Got: .*refused.*DRIFTLOOP_DATA_DATABASE_PASSWORD"):
        digest_data(data("postgresql+psycopg://127.0.0.1:9/shop", query="orders"))
    with pytest.raises(DatabaseError, match="must have its driver here"):
        digest_data(data("oracle://127.0.0.1:9/shop", query="orders"))
    with pytest.raises(DatabaseError, match="must be named as SQLAlchemy does"):
        digest_data(data("postgresql+nothing://127.0.0.1:9/shop", query="orders"))


def test_rows_come_from_postgresql_with_credentials_of_the_environment(postgres, monkeypatch):
    query = """SELECT * FROM orders WHERE "order" <= 45000 AND (city LIKE 'city%' OR city IS NULL) AND '(:x)' <> '%s'"""
    spec = data(postgres.uri, query=query, timeColumn="placed")
    with pytest.raises(DatabaseError, match="must be reachable"):
        digest_data(spec)
    monkeypatch.setenv("DRIFTLOOP_DATA_DATABASE_USERNAME", USER)
    monkeypatch.setenv("DRIFTLOOP_DATA_DATABASE_PASSWORD", PASSWORD)
    table = collected(spec)
    assert table.num_rows == 45000
    assert [str(kind) for kind in table.schema.types] == [
        "int64",
        "string",
        "double",
        "timestamp[us, tz=Etc/UTC]",
        "bool",
        "null",
        "date32[day]",
    ]
    assert table.column("order").to_pylist()[:3] == [1, 2, 3]
    with pytest.raises(DatabaseError, match="read-only transaction"):
        digest_data(spec.model_copy(update={"query": "SELECT nextval('numbers') AS price"}))


def test_a_message_never_tells_the_password(monkeypatch):
    monkeypatch.setenv("DRIFTLOOP_DATA_DATABASE_PASSWORD", "hush")
    with pytest.raises(DatabaseError) as caught:
        digest_data(data("postgresql+psycopg://me@127.0.0.1:9/shop", query="orders"))
    assert "hush" not in str(caught.value)


def test_joined_tables_of_other_kinds_count_in_the_digest(tmp_path, sales):
    (tmp_path / "a.csv").write_text(CSV)
    people = tmp_path / "people.jsonl"
    people.write_text('{"city": "Oslo", "people": 7}\n')
    spec = data(
        tmp_path / "a.csv",
        joins=[
            {"uri": str(people), "by": ["city"]},
            {"uri": f"sqlite:///{sales}", "query": "orders", "by": ["order"], "columns": ["price"], "prefix": "old_"},
        ],
    )
    digest, table = digest_data(spec), collected(spec)
    assert table.column("people").to_pylist() == [7, None, None, 7]
    assert table.column("old_price").to_pylist() == ROWS["price"]
    people.write_text('{"city": "Oslo", "people": 8}\n')
    assert digest_data(spec) != digest
    with pytest.raises(DataChangedError):
        collect_data(spec, Task.REGRESSION, digest)
    with pytest.raises(JoinError, match="must have the column 'town'"):
        collected(spec.model_copy(update={"joins": (spec.joins[0].model_copy(update={"by": ("town",)}),)}))


def test_samples_keep_shares_and_order(tmp_path):
    lines = [f"{row},{'rare' if row % 10 == 0 else 'often'},{row}" for row in range(1000)]
    (tmp_path / "a.csv").write_text("\n".join(["order,kind,price", *lines]))
    plain = collected(data(tmp_path / "a.csv", sample={"rows": 100}))
    assert plain.num_rows == 100
    assert plain.column("order").to_pylist() == sorted(plain.column("order").to_pylist())
    assert "100 of 1,000 rows were taken (data.sample)" in reading_notes(plain)
    stratified = collected(data(tmp_path / "a.csv", sample={"rows": 95, "by": "kind"}))
    assert stratified.column("kind").to_pylist().count("rare") in (9, 10)
    assert collected(data(tmp_path / "a.csv", sample={"rows": 95, "by": "kind"})).equals(stratified)
    other = collected(data(tmp_path / "a.csv", sample={"rows": 95, "by": "kind", "randomState": 1}))
    assert not other.equals(stratified)
    with pytest.raises(SingletonsError, match=r"There is one row of 1,000 values, such as 0\. Group rare values"):
        collected(data(tmp_path / "a.csv", sample={"rows": 95, "by": "order"}))
    with pytest.raises(ColumnNotFoundError, match=r"'data.sample.by' must be a column of the data\. Got 'knd'"):
        collected(data(tmp_path / "a.csv", sample={"rows": 95, "by": "knd"}))

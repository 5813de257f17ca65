"""Requests on disk: whole or absent, kept until the ledger has their answer."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from driftloop.controller.requestbox import RequestBox, build_request
from driftloop.loop.requests import Record, Retrain, Rollback

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def ask(box, action, minutes=0):
    request = build_request(action, by="ada", at=NOW + timedelta(minutes=minutes))
    box.put(request)
    return request


def test_what_was_asked_is_found_again_oldest_first(tmp_path):
    box = RequestBox(tmp_path / "requests")
    assert box.open_requests(frozenset()) == ()
    later = ask(box, Rollback(model="v1"), minutes=5)
    sooner = ask(box, Record(name="profit", value=1.5, measured_at=NOW))
    assert RequestBox(tmp_path / "requests").open_requests(frozenset()) == (sooner, later)


def test_what_the_ledger_answered_is_cleared_away(tmp_path):
    box = RequestBox(tmp_path)
    request = ask(box, Retrain())
    assert box.open_requests({request.id}) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_request_is_made_once(tmp_path):
    box = RequestBox(tmp_path)
    request = ask(box, Retrain(reason="first"))
    with pytest.raises(FileExistsError):
        box.put(request.model_copy(update={"by": "eve"}))
    assert box.open_requests(frozenset()) == (request,)
    assert [path.name for path in tmp_path.iterdir()] == [f"{request.id}.json"], "no draft is left"


def test_a_file_that_is_no_request_is_named_once_and_left_alone(tmp_path, caplog):
    (tmp_path / "note.json").write_text("remember the milk")
    (tmp_path / ".torn.1234.draft").write_text('{"id": "to')
    box = RequestBox(tmp_path)
    request = ask(box, Retrain())
    forged = request.to_dict() | {"action": {"verb": "Explode"}}
    (tmp_path / "forged.json").write_text(json.dumps(forged))
    (tmp_path / "copy.json").write_text(request.model_dump_json(by_alias=True))
    for _ in range(2):
        assert box.open_requests(frozenset()) == (request,)
    assert len(caplog.records) == 3
    assert (tmp_path / "note.json").exists()


def test_two_requests_of_one_moment_are_two(tmp_path):
    box = RequestBox(tmp_path)
    assert ask(box, Retrain()).id != ask(box, Retrain()).id
    assert len(box.open_requests(frozenset())) == 2

"""The workspace belongs to one process at a time."""

import pytest

from driftloop.controller.workspace import Workspace, WorkspaceInUseError, write_atomically
from driftloop.errors import DriftloopError


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path / "loop")
    workspace.create()
    return workspace


def test_a_second_process_is_refused_and_told_which_one_holds_it(workspace):
    with workspace.lock(), pytest.raises(WorkspaceInUseError, match=r"Process \d+ holds it"):
        workspace.lock()
    workspace.lock().close()


def test_whether_a_loop_runs_can_be_asked(workspace):
    assert not workspace.is_in_use()
    with workspace.lock():
        assert workspace.is_in_use()


def test_the_identity_of_a_loop_stays(workspace):
    assert workspace.uid() == Workspace(workspace.root).uid()


def test_a_folder_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DriftloopError, match="--workspace"):
        Workspace(tmp_path / "file").create()


def test_readers_see_the_old_or_the_new_file(tmp_path):
    path = tmp_path / "status.json"
    write_atomically(path, "old")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]

"""Writes the charter of a loop with what its ledger has recorded so far."""

from pathlib import Path

from driftloop.controller.ledger import read_ledger
from driftloop.controller.workspace import Workspace, write_atomically
from driftloop.loop.history import replay
from driftloop.reports.charter import Progress, build_charter
from driftloop.spec import ModelLoop


def write_charter(loop: ModelLoop, workspace: Workspace, path: Path) -> None:
    """Write the page; a loop that never ran has recorded nothing.

    Raises:
        OSError: the page can't be written.
    """
    state = replay(read_ledger(workspace.ledger))
    champion, judged = state.champion, state.judged
    progress = Progress(
        measured={name: (entry.value, entry.measured_at) for name, entry in state.recorded.items()},
        champion=f"{champion.label}, {champion.result.metric} {champion.result.test_score:.3f}" if champion else "",
        feasibility=f"{judged.result.verdict}, {judged.at:%Y-%m-%d}" if judged else "",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, build_charter(loop, progress))

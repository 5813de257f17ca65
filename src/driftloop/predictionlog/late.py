"""Counts predictions that came too late for their window: they go to training, and change no verdict."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from driftloop.predictionlog.columns import TIME
from driftloop.predictionlog.damage import LogDamagedError
from driftloop.predictionlog.scan import OnDamage, SegmentFile, Stretch
from driftloop.predictionlog.segments import PREDICTIONS, View, date_folders, list_folder


def count_late(
    root: Path,
    *,
    counted: View,
    view: View,
    closed_before: Callable[[str, int, datetime | None], datetime | None],
    on_damage: OnDamage,
) -> int:
    """Return how many predictions that are in `view` but not in `counted` were too late.

    Args:
        root: folder of the log.
        counted: records looked at before; none behind them may be compacted yet.
        view: records to look at.
        closed_before: for a writer, a sequence number and what the writer had promised before it: the end of the newest
            window that closed without it.
        on_damage: is told of segments that can't be read.
    """
    late = 0
    for _, folder in date_folders(root, PREDICTIONS, None, None):
        for segment in list_folder(folder)[1]:
            ((writer_id, (sequence, _)),) = segment.sequences.items()
            if counted.get(writer_id, 0) < sequence <= view.get(writer_id, 0):
                try:
                    with SegmentFile(segment, TIME) as file:
                        end = closed_before(writer_id, sequence, file.promised)
                        if end is not None:
                            late += file.read(Stretch(until=end), [TIME]).num_rows
                except LogDamagedError as error:
                    on_damage(error)
    return late

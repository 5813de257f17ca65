import io
import json
import logging

import pytest

from driftloop.adapters.kfp_child import StageOutput, StageWatch, find_error

TRACEBACK = """\
    Traceback (most recent call last):
      File "x.py", line 1, in collect
    KeyError: 'inner'

    The above exception was the direct cause of the following exception:

    Traceback (most recent call last):
    {error}
"""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("driftloop.stages.collect.EmptyDataError: The data must have rows.", "The data must have rows."),
        ("ValueError: broken", "ValueError: broken"),
        ("MemoryError", "MemoryError"),
        ("driftloop.stages.verify.RehearsalFailedError: It failed:\n    no module x", "It failed:\nno module x"),
    ],
)
def test_a_stage_is_quoted_by_its_own_last_error(error, expected):
    assert find_error(TRACEBACK.format(error=error)) == expected


def test_a_stage_that_ended_without_a_word_is_told_so():
    assert "without a word" in find_error("    [KFP Executor]: Got executor_input\n")


def test_log_records_become_events_and_everything_printed_is_kept():
    log, events = io.StringIO(), io.StringIO()
    output = StageOutput(log)
    logger = logging.getLogger("watched")
    logger.setLevel(logging.INFO)
    logger.addFilter(StageWatch(output, events))
    logger.info("Task %s cache hit (key=12); skipping execution.", "collect")
    logger.info("Executing task \x1b[96m'train'\x1b[0m")
    output.write("    ValueError: too few\n")
    logger.error("Task \x1b[96m'train'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m")
    logger.info("Something else")
    cached, started, failed = (json.loads(line) for line in events.getvalue().splitlines())
    assert (cached["stage"], cached["state"]) == ("collect", "cached")
    assert (started["stage"], started["state"]) == ("train", "started")
    assert (failed["stage"], failed["state"], failed["error"]) == ("train", "failed", "ValueError: too few")
    assert "too few" in log.getvalue()

"""How `driftloop up` speaks: plain lines in a pipe, one live line on a terminal."""

import io

from rich.console import Console

from driftloop.cli.up import ConsoleVoice


def test_in_a_pipe_every_activity_is_one_plain_line_and_idleness_none():
    output = io.StringIO()
    voice = ConsoleVoice(Console(file=output))
    voice.say("training v1: [no] model yet")
    voice.show("training v1: stage train, 7 of 12", idle=False)
    voice.show("training v1: stage train, 7 of 12", idle=False)
    voice.show("nothing calls for a retraining", idle=True)
    voice.end()
    assert output.getvalue() == "training v1: [no] model yet\n  training v1: stage train, 7 of 12\n"


def test_on_a_terminal_the_last_line_says_what_is_waited_for():
    output = io.StringIO()
    voice = ConsoleVoice(Console(file=output, force_terminal=True, width=80))
    voice.show("nothing calls for a retraining", idle=True)
    voice.say("v1 serves")
    voice.end()
    assert "nothing calls for a retraining" in output.getvalue()
    assert "v1 serves\n" in output.getvalue()


def test_a_terminal_that_is_gone_ends_nothing():
    class Gone(io.StringIO):
        def write(self, text):
            raise OSError(5, "Input/output error")

    ConsoleVoice(Console(file=Gone())).say("v1 serves")

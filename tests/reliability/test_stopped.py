"""Commands that are stopped by signals."""

from reliability.scripts import run


def test_stopped_commands_exit_as_they_should():
    assert run("stopped.py").count(" ok, ") == 20

"""Commands that are killed while they work."""

import pytest
from reliability.scripts import run

COMMANDS = ("train", "prepare", "evaluate", "export", "embed", "search")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_commands_leave_nothing_half_written():
    output = run("killed.py", *(word for name in COMMANDS for word in (f"--{name}", 1)), seconds=900)
    assert "train: 1 of 1 runs end bit-identical" in output
    assert "prepare: 1 of 1" in output
    assert "embed: 1 of 1 files are as if never killed" in output
    assert "search: 1 of 1" in output

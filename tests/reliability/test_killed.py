"""Commands that are killed while they work."""

import pytest
from reliability.scripts import run

KINDS = ("train", "prepare", "evaluate", "export", "report", "embed", "search")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_commands_leave_nothing_half_written():
    output = run("killed.py", *(word for kind in KINDS for word in (f"--{kind}", 1)), seconds=900)
    assert "train: 1 of 1 runs end bit-identical" in output
    assert "embed: 1 of 1 files are as if never killed" in output
    for kind in ("prepare", "evaluate", "export", "report", "search"):
        assert f"{kind}: 1 of 1" in output

"""Commands that are killed, in a few cases; ``-m slow`` takes all."""

import pytest
from reliability.scripts import run


def test_killed_commands_leave_nothing_half_made():
    counts = dict.fromkeys(("train", "prepare", "evaluate", "export", "report", "embed", "search"), 1)
    few = [word for name, count in counts.items() for word in (f"--{name}", count)]
    told = run("killed.py", *few)
    assert "train: 1 of 1 runs end bit-identical" in told
    assert "prepare: 1 of 1" in told
    assert "embed: 1 of 1 files are as if never killed" in told


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_killed_runs_end_as_if_never_killed():
    told = run("killed.py", seconds=3600)
    assert "train: 20 of 20 runs end bit-identical" in told
    assert "prepare: 10 of 10" in told
    assert "embed: 20 of 20" in told
    assert "search: 10 of 10" in told

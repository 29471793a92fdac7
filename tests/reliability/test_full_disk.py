"""Commands on a disk that fills up, in a few cases; ``-m slow`` takes all."""

import pytest
from reliability.scripts import needs_a_small_disk, run


@needs_a_small_disk
@pytest.mark.parametrize("only", ["prepare --npy", "train, resumed", "embed npz"])
def test_a_full_disk_is_told_in_one_line(only):
    assert ": ok" in run("full_disk.py", "--only", only)


@needs_a_small_disk
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_full_disk_under_every_command():
    assert run("full_disk.py", seconds=3600).count(": ok") >= 80

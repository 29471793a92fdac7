"""Commands on a disk that fills up."""

import pytest
from reliability.scripts import can_mount, run

pytestmark = pytest.mark.skipif(not can_mount(), reason="no tmpfs can be mounted here")


def test_preparation_on_a_full_disk():
    assert run("full_disk.py", "--only", "prepare --npy").count(": ok") == 4


@pytest.mark.slow
@pytest.mark.parametrize(("only", "cases"), [("train, resumed", 2), ("embed npz", 4)])
def test_training_and_embedding_on_a_full_disk(only, cases):
    assert run("full_disk.py", "--only", only).count(": ok") == cases


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_command_on_a_full_disk():
    assert run("full_disk.py", seconds=3600).count(": ok") >= 80

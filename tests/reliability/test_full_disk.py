"""Commands on a disk that fills up."""

import pytest
from reliability.scripts import can_mount, run

pytestmark = pytest.mark.skipif(not can_mount(), reason="no tmpfs can be mounted here")


@pytest.mark.long
def test_preparation_on_a_full_disk():
    assert run("full_disk.py", "--only", "prepare --npy").count(": ok") == 4


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_command_on_a_full_disk():
    assert run("full_disk.py", seconds=1800).count(": ok") == 87

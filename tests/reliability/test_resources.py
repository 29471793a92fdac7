"""Commands without enough files, memory, shared memory or workers: one line, exit status 2, nothing half-written."""

import sys

import pytest
from reliability.scripts import can_mount, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limits and /proc")


@pytest.mark.slow
def test_too_few_files():
    assert run("limited_resources.py", "--only", "files").count(" ok") == 3


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_workers():
    assert run("limited_resources.py", "--only", "workers", seconds=600).count(" ok") == 4


@pytest.mark.long
@pytest.mark.skipif(not can_mount(), reason="no tmpfs can be mounted here")
def test_too_little_shared_memory():
    assert run("limited_resources.py", "--only", "shared memory").count(" ok") == 2


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_limit_of_files_and_memory():
    assert run("limited_resources.py", "--only", "limits", seconds=1200).count(" ok") == 33

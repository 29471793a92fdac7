"""Commands without enough files, memory, shared memory or workers: one line, exit status 2, nothing half-written."""

import sys

import pytest
from reliability.test_scripts import needs_a_small_disk, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc as Linux has them")


@needs_a_small_disk
def test_too_little_shared_memory():
    assert run("starved.py", "--only", "shared memory").count(" ok") == 2


def test_a_worker_that_the_system_kills():
    assert run("starved.py", "--only", "workers").count(" ok") == 4


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_limits_of_files_and_memory():
    assert run("starved.py", "--only", "limits", seconds=1200).count(" ok") == 33


def test_a_limit_of_files_is_one_line():
    assert run("starved.py", "--only", "files").count(" ok") == 3

"""Commands without enough files, memory, shared memory or workers: one line, exit status 2, nothing half-written."""

import sys

import pytest
from reliability.scripts import can_mount, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc as Linux has them")


def test_too_few_files_too_little_shared_memory_and_killed_workers():
    cases = ["files", "workers", *(["shared memory"] if can_mount() else [])]
    told = run("limited_resources.py", "--only", *cases)
    assert told.count(" ok") == 3 + 4 + 2 * ("shared memory" in cases)
    if "shared memory" not in cases:
        pytest.skip("no tmpfs can be mounted here; the rest is fine")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_limit_of_files_and_memory():
    assert run("limited_resources.py", "--only", "limits", seconds=1200).count(" ok") == 33

"""Commands that are stopped by signals."""

import pytest
from reliability.scripts import run


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_stopped_command_exits_as_it_should():
    assert run("stopped.py", seconds=600).count(" ok, ") == 20

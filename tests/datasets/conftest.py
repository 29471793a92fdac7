"""Trees of own images, without their content."""

import pytest


@pytest.fixture
def files(tmp_path):
    """Make empty files below the folder ``own``, and return the folder: ``files("visible/a/1.png")``."""

    def make(*paths):
        root = tmp_path / "own"
        root.mkdir(exist_ok=True)
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
        return root

    return make

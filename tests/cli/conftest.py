"""Photos for commands that embed and search."""

import shutil

import pytest


@pytest.fixture
def photos(tiny, tmp_path):
    """A folder with images of two cameras, visible and infrared."""
    for camera in ("cam1", "cam3"):
        for person in sorted((tiny / camera).iterdir())[:4]:
            shutil.copytree(person, tmp_path / camera / person.name)
    return tmp_path

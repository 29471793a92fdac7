"""Images to embed and to search, an embedder, and an index."""

import pytest
from fake_gallery import build, made_embedder, write_image


@pytest.fixture
def images(tmp_path):
    """Twenty-three images in two folders, sorted by path."""
    return sorted(write_image(tmp_path / f"photos/{seed % 2}/{seed:03d}.png", seed) for seed in range(23))


@pytest.fixture
def embedder():
    return made_embedder()[0]


@pytest.fixture
def index(tmp_path, embedder, images):
    """An index of all images except every third."""
    folder = tmp_path / "index"
    build(folder, embedder, [path for number, path in enumerate(images) if number % 3])
    return folder

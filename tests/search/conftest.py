"""Images to embed and to search, and what embeds them."""

import pytest
from search_made import made_embedder, write_image


@pytest.fixture
def images(tmp_path):
    """Twenty-three images in two folders, by sorted paths."""
    return sorted(write_image(tmp_path / f"photos/{seed % 2}/{seed:03d}.png", seed) for seed in range(23))


@pytest.fixture
def embedder():
    return made_embedder()[0]

"""Several images as one: queries of one person, and tracks of the gallery."""

from dataclasses import replace

import numpy as np
import pytest
from fake_gallery import index_of

from lba_cli.errors import SearchError
from lba_cli.search.tracks import mean_vector, search_tracks


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_mean_of_unit_vectors_has_unit_length():
    vectors = unit(np.random.default_rng(0).standard_normal((5, 8))).astype(np.float32)
    found = mean_vector(vectors)
    assert found.shape == (1, 8)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], vectors.mean(0) / np.linalg.norm(vectors.mean(0)), atol=1e-6)
    np.testing.assert_allclose(mean_vector(vectors[:1]), vectors[:1], atol=1e-7)


def test_vectors_that_cancel_each_other_out_are_refused():
    vector = np.array([[1.0, 0.0]], np.float32)
    with pytest.raises(SearchError, match="cancel each other out"):
        mean_vector(np.concatenate([vector, -vector]))


def test_damaged_vectors_are_refused(tmp_path):
    vectors = unit(np.random.default_rng(1).standard_normal((4, 6))).astype(np.float32)
    for wrong in (np.nan, 5.0):
        index = index_of(tmp_path / f"index-{wrong}", vectors)
        broken = np.array(index.vectors)
        broken[2] = wrong
        with pytest.raises(SearchError, match="damaged: it holds vectors that are not of unit length"):
            search_tracks(replace(index, vectors=broken), vectors[:1], 2)


def test_tracks_are_ranked_by_the_mean_of_their_images(tmp_path):
    """Compared with a loop over the folders."""
    random = np.random.default_rng(1)
    vectors = unit(random.standard_normal((30, 6))).astype(np.float32)
    index = index_of(tmp_path / "index", vectors)
    folders = [f"/track{number % 7}" for number in range(30)]
    index.paths[:] = [f"{folder}/{number:02d}.jpg" for number, folder in enumerate(folders)]
    queries = unit(random.standard_normal((3, 6))).astype(np.float32)
    means = {name: unit(vectors[[f == name for f in folders]].astype(float).mean(0)[None])[0] for name in set(folders)}
    for query, hits in zip(queries, search_tracks(index, queries, 4), strict=True):
        expected = sorted(means, key=lambda name: -(means[name] @ query))[:4]
        assert [hit.path for hit in hits] == expected
        np.testing.assert_allclose([hit.score for hit in hits], [means[name] @ query for name in expected], atol=1e-7)

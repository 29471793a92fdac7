"""Distances of draws: the negative dot products of embeddings, however many exist at once."""

import numpy as np
import pytest
import torch
from fake_dataset import MadeImages, tree

from lba_cli.datasets import Draw
from lba_cli.errors import DataError
from lba_cli.evaluation import distances, scoring
from lba_cli.evaluation.distances import Distances, dot_products
from lba_cli.evaluation.embedding import Embeddings
from lba_cli.evaluation.scoring import require_scorable

DRAWS = [([4, 0, 2, 9, 5], [1, 3, 7]), ([0, 2, 5], [7, 8]), ([9, 4], [8, 3, 1, 7])]
TRIALS = [Draw(number, *sides) for number, sides in enumerate(DRAWS)]


class Counted(Embeddings):
    """Counts how many vectors are taken."""

    taken = 0

    def of(self, indices):
        vectors = super().of(indices)
        self.taken += len(vectors)
        return vectors


@pytest.fixture
def embeddings():
    vectors = np.random.default_rng(0).standard_normal((10, 6)).astype(np.float32)
    return Counted(np.arange(10), vectors), vectors


@pytest.mark.parametrize("block", [1, 6, 1000])
@pytest.mark.parametrize("shared", [0, 1000])
def test_blocks_are_the_products_of_embeddings(embeddings, monkeypatch, shared, block):
    monkeypatch.setattr(distances, "MAX_SHARED_ELEMENTS", shared)
    monkeypatch.setattr(distances, "BLOCK_ELEMENTS", block)
    some, vectors = embeddings
    ours = Distances(some, TRIALS, torch.device("cpu"))
    for trial in TRIALS:
        found = list(ours.blocks(trial))
        assert [i for rows, _ in found for i in trial.queries[rows]] == trial.queries
        assert all(each.size <= max(block, len(trial.gallery)) for _, each in found)
        wanted = -(vectors[trial.queries].astype(np.float64) @ vectors[trial.gallery].astype(np.float64).T)
        np.testing.assert_allclose(np.concatenate([each for _, each in found]), wanted, rtol=1e-12)


def test_vectors_are_taken_once_per_draw_however_many_blocks(embeddings, monkeypatch):
    monkeypatch.setattr(distances, "MAX_SHARED_ELEMENTS", 0)
    monkeypatch.setattr(distances, "BLOCK_ELEMENTS", 1)
    some, _ = embeddings
    list(Distances(some, TRIALS, torch.device("cpu")).blocks(TRIALS[0]))
    assert some.taken == len(TRIALS[0].queries) + len(TRIALS[0].gallery)


def test_scores_that_nearly_tie_keep_their_order():
    """In float32 all of these scores are 1."""
    query = np.asarray([[1, 1]], np.float32)
    gallery = np.asarray([[1, 0], [1, 1e-9], [1, 3e-9], [1, 2e-9]], np.float32)
    assert len(set((query @ gallery.T)[0].tolist())) == 1
    assert np.argsort(-dot_products(query, gallery)[0]).tolist() == [2, 3, 1, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("queries", "images"), [(1, 301), (7, 61), (33, 211), (333, 1111)])
def test_copies_of_a_gallery_image_tie(queries, images, dtype):
    random = np.random.default_rng(0)
    query, gallery = (random.standard_normal((size, 512)).astype(dtype) for size in (queries, images))
    copies = images // 2
    gallery[copies : 2 * copies] = gallery[:copies]
    scores = dot_products(query, gallery)
    assert (scores[:, :copies] == scores[:, copies : 2 * copies]).all()
    np.testing.assert_allclose(scores, query.astype(np.float64) @ gallery.astype(np.float64).T, rtol=1e-9, atol=1e-12)


def test_require_scorable_looks_at_bounded_blocks(monkeypatch):
    sizes = []

    def counting(*columns):
        ignored = ignored_images(*columns)
        sizes.append(ignored.size)
        return ignored

    ignored_images = scoring._ignored
    monkeypatch.setattr(scoring, "_ignored", counting)
    monkeypatch.setattr(scoring, "BLOCK_ELEMENTS", 40)
    require_scorable(MadeImages(tree("regdb"), "regdb"))
    assert len(sizes) == 1
    strangers = [sample for sample in tree("regdb") if (sample.modality == "visible") == (sample.identity < 4)]
    with pytest.raises(DataError, match="no query has a true match"):
        require_scorable(MadeImages(strangers, "regdb"))
    assert max(sizes) <= 40

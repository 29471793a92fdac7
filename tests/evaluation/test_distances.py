"""Distances of draws: the negative dot products of embeddings, however many exist at once."""

import numpy as np
import pytest
import torch
from fake_dataset import MadeImages, tree

from lba_cli.datasets import Draw
from lba_cli.errors import DataError
from lba_cli.evaluation import distances, scoring
from lba_cli.evaluation.distances import Distances
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
        wanted = -vectors[trial.queries] @ vectors[trial.gallery].T
        np.testing.assert_allclose(np.concatenate([each for _, each in found]), wanted, rtol=1e-5, atol=1e-6)


def test_vectors_are_taken_once_per_draw_however_many_blocks(embeddings, monkeypatch):
    monkeypatch.setattr(distances, "MAX_SHARED_ELEMENTS", 0)
    monkeypatch.setattr(distances, "BLOCK_ELEMENTS", 1)
    some, _ = embeddings
    list(Distances(some, TRIALS, torch.device("cpu")).blocks(TRIALS[0]))
    assert some.taken == len(TRIALS[0].queries) + len(TRIALS[0].gallery)


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

"""Ranking ten draws of SYSU-MM01's all-search, single-shot: from distances to CMC, mAP and mINP."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain.ranking import rank
from timing import side_by_side

from lba_cli.evaluation import rank_metrics

QUERIES, GALLERY, IDENTITIES, DRAWS = 3803, 301, 96, 10


def draws():
    """Return distances, identities and cameras of each draw, for features about as good as the paper's (mAP near 0.55)."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((IDENTITIES, 64))
    sides = [(random.integers(IDENTITIES, size=QUERIES), random.choice([3, 6], QUERIES))]
    sides += [
        (np.sort(random.integers(IDENTITIES, size=GALLERY)), random.choice([1, 2, 4, 5], GALLERY)) for _ in range(DRAWS)
    ]
    vectors = []
    for identity, _ in sides:
        raw = centres[identity] + 1.5 * random.standard_normal((len(identity), 64))
        vectors.append(
            (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)
        )  # as evaluation does
    (queries, query_cameras), query_vectors = sides[0], vectors[0]
    return [
        (-(query_vectors @ gallery_vectors.T), queries, gallery, query_cameras, cameras)
        for (gallery, cameras), gallery_vectors in zip(sides[1:], vectors[1:], strict=True)
    ]


def compared(name, ours, plain, **rounds):
    for found, wanted in zip(map(rank_metrics_of, ours[:2]), (rank(*draw) for draw in plain[:2]), strict=True):
        np.testing.assert_allclose((found.mAP, found.mINP, *found.cmc), (*wanted[1:], *wanted[0]), rtol=1e-5)
    side_by_side(
        name,
        lambda: [rank_metrics_of(draw) for draw in ours],
        lambda: [rank(*draw) for draw in plain],
        note=f"{DRAWS} draws of {QUERIES} × {GALLERY}",
        **rounds,
    )


def rank_metrics_of(draw):
    return rank_metrics(*draw, protocol="sysu")


def test_ranking():
    drawn = draws()
    compared("ranking", drawn, drawn)


@pytest.mark.gpu
def test_ranking_on_the_gpu():
    drawn = draws()
    ours = [(torch.from_numpy(distance).cuda(), *rest) for distance, *rest in drawn]
    compared("ranking, on the GPU", ours, drawn, rounds=1, warm_up=False)  # the comparison of results warms the GPU up

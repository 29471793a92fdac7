"""Distances of same- and of other-identity pairs, and whom the network takes for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lba_cli.data.store import ImageSource
from lba_cli.datasets import Draw
from lba_cli.evaluation.embedding import Embeddings
from lba_cli.evaluation.scoring import ignored_images
from lba_cli.visualize.report.album import Album

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 60
MOST_PAIRS = 10


@dataclass
class Confusion:
    """Two identities of whom one was found first for queries of the other.

    Attributes:
        times: in how many lists of all trials.
        margin: the largest lead of the wrong image over the best right one, in cosine.
        example: samples of the query, the wrong image and the best right one, and their two scores.
    """

    times: int = 0
    margin: float = -np.inf
    example: tuple[int, int, int, float, float] = (0, 0, 0, 0.0, 0.0)


def distances(source: ImageSource, draw: Draw, embeddings: Embeddings) -> dict[str, Any]:
    """Histograms of the cosine distances between queries and gallery of one draw, ignored pairs left out.

    Returns:
        ``edges`` (61,), ``same`` and ``other`` (60,): shares of the same- and of the other-identity pairs; their ``means``
        and ``counts``; ``closer``: the share of other-identity pairs closer than the median same-identity pair.
    """
    scores, identical, ignored = _compared(source, draw, embeddings)
    distance = 1.0 - scores
    same, other = distance[identical & ~ignored], distance[~identical & ~ignored]
    both = [each for each in (same, other) if len(each)]
    low, high = min(float(each.min()) for each in both), max(float(each.max()) for each in both)
    edges = np.linspace(low, max(high, low + 1e-3), BINS + 1)
    shares = [np.histogram(np.clip(each, low, edges[-1]), edges)[0] / max(1, len(each)) for each in (same, other)]
    closer = float((other < np.median(same)).mean()) if len(same) and len(other) else None
    return {
        "edges": [float(f"{edge:.6g}") for edge in edges],
        "same": shares[0].round(5).tolist(),
        "other": shares[1].round(5).tolist(),
        "counts": [len(same), len(other)],
        "means": [float(f"{each.mean():.6g}") if len(each) else None for each in (same, other)],
        "closer": closer,
    }


def confusions(source: ImageSource, draws: Sequence[Draw], embeddings: Embeddings) -> dict[tuple[int, int], Confusion]:
    """Over all trials: every pair of identities of whom one was found first for a query of the other.

    A query counts if it has a true match; both directions count for the pair, whose smaller number stands first.
    """
    found: dict[tuple[int, int], Confusion] = {}
    for draw in draws:
        scores, identical, ignored = _compared(source, draw, embeddings)
        scores = np.where(ignored, -np.inf, scores)
        best = scores.argmax(axis=1)
        right = np.where(identical, scores, -np.inf)
        best_right = right.argmax(axis=1)
        rows = np.arange(len(scores))
        confused = np.isfinite(right[rows, best_right]) & ~identical[rows, best]
        for row in np.flatnonzero(confused).tolist():
            wrong, true = int(best[row]), int(best_right[row])
            places = draw.queries[row], draw.gallery[wrong], draw.gallery[true]
            values = float(scores[row, wrong]), float(scores[row, true])
            first, second = sorted(source.samples[index].identity for index in places[:2])
            pair = found.setdefault((first, second), Confusion())
            pair.times += 1
            if values[0] - values[1] > pair.margin:
                pair.margin, pair.example = values[0] - values[1], (*places, *values)
    return found


def worst_pairs(found: dict[tuple[int, int], Confusion], album: Album) -> list[dict[str, Any]]:
    """The pairs confused most often, at most ten; among equals the one with the larger margin."""
    worst = sorted(found.items(), key=lambda item: (-item[1].times, -item[1].margin, item[0]))[:MOST_PAIRS]
    return [
        {
            "identities": list(identities),
            "times": pair.times,
            "images": [album.add(index) for index in pair.example[:3]],
            "scores": [round(score, 3) for score in pair.example[3:]],
        }
        for identities, pair in worst
    ]


def _compared(
    source: ImageSource, draw: Draw, embeddings: Embeddings
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """(queries, gallery) cosine, whether both are of one identity, and whether the protocol ignores the pair."""
    scores: NDArray[np.float32] = embeddings.of(draw.queries) @ embeddings.of(draw.gallery).T
    queries, gallery = (
        np.asarray([source.samples[index].identity for index in side]) for side in (draw.queries, draw.gallery)
    )
    return scores, queries[:, None] == gallery[None, :], ignored_images(source, draw.queries, draw.gallery)

"""Compare the queries of a draw with its gallery: similarities, distances, and pairs of identities that are confused."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lba_cli.data.store import ImageSource
from lba_cli.datasets import Draw
from lba_cli.evaluation.distances import dot_products
from lba_cli.evaluation.embedding import Embeddings
from lba_cli.evaluation.scoring import ignored_images
from lba_cli.visualize.report.album import Album

BINS = 60
MOST_PAIRS = 10


@dataclass(frozen=True)
class Comparison:
    """The comparison of every query of a draw with every gallery image, in arrays of shape (queries, gallery)."""

    draw: Draw
    scores: NDArray[np.float64]  # cosine similarities
    same: NDArray[np.bool_]  # whether both images show the same person
    ignored: NDArray[np.bool_]  # whether the match rules ignore the gallery image for the query

    def allowed_scores(self, rows: int | slice = slice(None)) -> NDArray[np.float64]:
        """Return the scores of all or some queries, with -inf for gallery images that are ignored."""
        return np.where(self.ignored[rows], -np.inf, self.scores[rows])


def compare(source: ImageSource, draw: Draw, embeddings: Embeddings) -> Comparison:
    """Return the comparison of a draw's queries with its gallery."""
    scores = dot_products(embeddings.of(draw.queries), embeddings.of(draw.gallery))
    queries, gallery = (
        np.asarray([source.samples[index].identity for index in side]) for side in (draw.queries, draw.gallery)
    )
    ignored = ignored_images(source, draw.queries, draw.gallery)
    return Comparison(draw, scores, queries[:, None] == gallery[None, :], ignored)


@dataclass
class Confusion:
    """A pair of identities that are confused: an image of one ranks first for a query of the other."""

    count: int = 0  # the number of such queries, over all draws
    margin: float = -np.inf  # the largest cosine similarity of a wrong first image minus that of the best right one
    images: tuple[int, int, int] = (0, 0, 0)  # for this margin, the samples of the query, the wrong and the right image
    scores: tuple[float, float] = (0.0, 0.0)  # the query's similarities to the wrong image and to the right one


def distances(comparison: Comparison) -> dict[str, Any]:
    """Compute histograms of the cosine distances between the queries and the gallery of a draw, without ignored pairs.

    Returns:
        ``edges``: the 61 edges of 60 bins. ``same``, ``other``: each bin's share of the pairs of one identity, and of the
        pairs of two identities. ``means``, ``counts``: the mean distance and the number of pairs, each as a list: of one
        identity, of two. ``closer``: the share of pairs of two identities that are closer than the median pair of one identity;
        None if either kind of pair is missing.
    """
    distance = 1.0 - comparison.scores
    same = distance[comparison.same & ~comparison.ignored]
    other = distance[~comparison.same & ~comparison.ignored]
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


def confusions(source: ImageSource, comparisons: Iterable[Comparison]) -> dict[tuple[int, int], Confusion]:
    """Find every pair of identities that are confused: an image of one ranks first for a query of the other.

    Queries without a true match don't count. Both directions count for the same key: (smaller identity, larger identity).
    """
    found: dict[tuple[int, int], Confusion] = {}
    for comparison in comparisons:
        draw, scores = comparison.draw, comparison.allowed_scores()
        right = np.where(comparison.same, scores, -np.inf)
        first, best_right = scores.argmax(axis=1), right.argmax(axis=1)
        rows = np.arange(len(scores))
        confused = np.isfinite(right[rows, best_right]) & ~comparison.same[rows, first]
        for row in np.flatnonzero(confused).tolist():
            wrong, true = int(first[row]), int(best_right[row])
            images = draw.queries[row], draw.gallery[wrong], draw.gallery[true]
            score, true_score = float(scores[row, wrong]), float(scores[row, true])
            one, another = sorted(source.samples[index].identity for index in images[:2])
            pair = found.setdefault((one, another), Confusion())
            pair.count += 1
            if score - true_score > pair.margin:
                pair.margin, pair.images, pair.scores = score - true_score, images, (score, true_score)
    return found


def worst_pairs(found: dict[tuple[int, int], Confusion], album: Album) -> list[dict[str, Any]]:
    """Return the ten pairs that are confused most often; of pairs with equal counts, larger margins come first."""
    worst = sorted(found.items(), key=lambda item: (-item[1].count, -item[1].margin, item[0]))[:MOST_PAIRS]
    return [
        {
            "identities": list(identities),
            "count": pair.count,
            "images": [album.add(index) for index in pair.images],
            "scores": [round(score, 3) for score in pair.scores],
        }
        for identities, pair in worst
    ]

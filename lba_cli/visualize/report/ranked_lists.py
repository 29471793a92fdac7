"""Ranked lists of many queries of one draw, with what they can be filtered by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lba_cli.data.store import ImageSource
from lba_cli.datasets import Draw
from lba_cli.errors import DataError
from lba_cli.evaluation.embedding import Embeddings
from lba_cli.evaluation.scoring import ignored_images, query_precisions
from lba_cli.visualize.report.album import Album

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ranked_lists(
    source: ImageSource, draw: Draw, embeddings: Embeddings, album: Album, *, queries: int, top: int, seed: int
) -> dict[str, Any]:
    """The ``top`` gallery images of ``queries`` queries, without those that the protocol ignores, best first.

    Returns:
        The lists, each with its average precision; how many are right that could be; and how the queries were chosen.

    Raises:
        DataError: no query has a true match in the gallery.
    """
    scores = embeddings.of(draw.queries) @ embeddings.of(draw.gallery).T
    precision = query_precisions(source, draw, -scores)
    counted = int(np.isfinite(precision).sum())
    if not counted:
        raise DataError(f"{source.name}: no query has a true match in the gallery")
    chosen = choose_queries(precision, queries, seed)
    ignored = ignored_images(source, [draw.queries[row] for row in chosen], draw.gallery)
    gallery = np.asarray([source.samples[index].identity for index in draw.gallery])
    lists = [
        _list(source, draw, album, row, scores[row], ignored[place], gallery, float(precision[row]), top)
        for place, row in enumerate(chosen)
    ]
    return {"trial": draw.number, "top": top, "counted": counted, "all": len(draw.queries), "lists": lists}


def choose_queries(precision: NDArray[np.float64], count: int, seed: int) -> list[int]:
    """Rows of the counted queries: all, or half of ``count`` the hardest, and the rest drawn from the others."""
    counted = np.flatnonzero(np.isfinite(precision))
    hardest_first = counted[np.argsort(precision[counted], kind="stable")]
    if len(counted) > count:
        hardest, others = hardest_first[: (count + 1) // 2], hardest_first[(count + 1) // 2 :]
        drawn = np.random.default_rng(seed).choice(others, count - len(hardest), replace=False)
        hardest_first = np.concatenate([hardest, drawn])
    rows: list[int] = np.sort(hardest_first).tolist()
    return rows


def _list(
    source: ImageSource,
    draw: Draw,
    album: Album,
    row: int,
    scores: NDArray[np.float32],
    ignored: NDArray[np.bool_],
    gallery: NDArray[np.int64],
    precision: float,
    top: int,
) -> dict[str, Any]:
    query = source.samples[draw.queries[row]]
    allowed = np.where(ignored, -np.inf, scores)
    order = np.argsort(-allowed, kind="stable")[:top]
    order = order[np.isfinite(allowed[order])]
    right = gallery[order] == query.identity
    could_be = min(len(order), int(((gallery == query.identity) & ~ignored).sum()))
    return {
        "image": album.add(draw.queries[row]),
        "precision": round(precision, 4),
        "right": int(right.sum()),
        "possible": could_be,
        "outcome": _outcome(right, could_be),
        "found": [
            [album.add(draw.gallery[place]), round(float(scores[place]), 3), bool(match)]
            for place, match in zip(order.tolist(), right.tolist(), strict=True)
        ],
    }


def _outcome(right: NDArray[np.bool_], possible: int) -> str:
    """``right``: the list begins with as many true matches as it can have; ``wrong``: it has none; else ``mixed``."""
    if not right.any():
        return "wrong"
    return "right" if right[:possible].all() else "mixed"

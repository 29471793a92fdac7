"""Rank the gallery of one draw for many queries, with the facts by which the page filters and sorts the lists."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lba_cli.data.store import ImageSource
from lba_cli.errors import DataError
from lba_cli.evaluation.scoring import query_precisions
from lba_cli.visualize.ranking import draw_name
from lba_cli.visualize.report.album import Album
from lba_cli.visualize.report.comparison import Comparison


def ranked_lists(
    source: ImageSource, comparison: Comparison, album: Album, *, queries: int, top: int, seed: int
) -> dict[str, Any]:
    """Rank the gallery for some queries, best first, without images that the match rules ignore.

    Args:
        comparison: the scores of all queries of a draw.
        queries: the largest number of queries to show, see :func:`choose_queries`.
        top: the number of gallery images in each list.

    Returns:
        ``lists``: for each query shown, its image, its average precision, the images found, how many of them are right,
        how many could be right, and the outcome. ``num_query``, ``num_query_counted``: how many queries the draw has, and
        how many of them have a true match. ``draw``, ``top``: the draw's name, and the length of the lists.

    Raises:
        DataError: no query has a true match in the gallery.
    """
    draw = comparison.draw
    precision = query_precisions(source, draw, -comparison.scores)
    counted = int(np.isfinite(precision).sum())
    if not counted:
        raise DataError(f"{source.name}: no query has a true match in the gallery")
    chosen = choose_queries(precision, queries, seed)
    return {
        "draw": draw_name(source, draw),
        "top": top,
        "num_query": len(draw.queries),
        "num_query_counted": counted,
        "lists": [
            {"precision": round(float(precision[row]), 4), **_ranked_list(comparison, row, top, album)}
            for row in chosen
        ],
    }


def choose_queries(precision: NDArray[np.float64], count: int, seed: int) -> list[int]:
    """Return at most ``count`` rows with a finite precision: all, or half of them the hardest and half at random."""
    counted = np.flatnonzero(np.isfinite(precision))
    chosen = counted[np.argsort(precision[counted], kind="stable")]
    if len(counted) > count:
        hardest, others = chosen[: (count + 1) // 2], chosen[(count + 1) // 2 :]
        drawn = np.random.default_rng(seed).choice(others, count - len(hardest), replace=False)
        chosen = np.concatenate([hardest, drawn])
    rows: list[int] = np.sort(chosen).tolist()
    return rows


def _ranked_list(comparison: Comparison, row: int, top: int, album: Album) -> dict[str, Any]:
    """Return the entry of the query in ``row``, with the number and the score of each image found, and whether it is right."""
    draw, scores = comparison.draw, comparison.allowed_scores(row)
    matches = comparison.same[row] & ~comparison.ignored[row]
    order = np.argsort(-scores, kind="stable")[:top]
    order = order[np.isfinite(scores[order])]
    right = matches[order]
    possible = min(len(order), int(matches.sum()))
    return {
        "image": album.add(draw.queries[row]),
        "right": int(right.sum()),
        "possible": possible,
        "outcome": _outcome(right, possible),
        "found": [
            [album.add(draw.gallery[column]), round(float(scores[column]), 3), bool(matches[column])]
            for column in order.tolist()
        ],
    }


def _outcome(right: NDArray[np.bool_], possible: int) -> str:
    """Return ``right`` if the first ``possible`` images are all true matches, ``wrong`` if no image is one, otherwise ``mixed``."""
    if not right.any():
        return "wrong"
    return "right" if right[:possible].all() else "mixed"

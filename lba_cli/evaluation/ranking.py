r"""Retrieval metrics: CMC, mAP and mINP from the distances between queries and gallery images.

Every query ranks the gallery images that it does not ignore by distance, the nearest first; equally distant images keep the
gallery's order. Let :math:`r_1 < \dots < r_n` be the ranks, from 1, of a query's n true matches, the images of its identity.

- CMC(k), the rank-k rate, is the share of queries with :math:`r_1 \le k`.
  Where the CMC counts identities, every identity is listed once, at its nearest image, and r₁ is the rank in that list.
- AP, the average precision, is the mean over the true matches of the precision at their ranks:
  :math:`AP = \frac{1}{n} \sum_i i / r_i`.
- INP, the inverse negative penalty (Ye et al., 2021), is the share of true matches among the images up to the last one:
  :math:`INP = n / r_n`.

mAP and mINP are means over the queries. Queries without a true match are not counted.

Gallery images are not sorted to find ranks. Only the values of each query's distances are sorted, which is several times
faster than NumPy's argsort. A binary search for a true match's distance gives its rank, unless another image is exactly
as distant. The few queries where that happens are ranked again, by a stable sort of their images.

Shapes: Q queries, G gallery images, P pairs of a query and one of its true matches.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lba_cli.evaluation.labels import Labels, as_array, encode_labels, ignored_by
from lba_cli.match_rules import MatchRules, MatchRulesName, match_rules

Floats = NDArray[np.floating[Any]]  # float32 or float64
Integers = NDArray[np.int64]

CHUNK_ELEMENTS = 2**18  # distances that are ranked at a time; they fit in a core's cache
EXACT_IN_FLOAT64 = 2**53  # float64 holds integers up to this exactly


class Metrics(NamedTuple):
    """The metrics of one draw, as fractions.

    Attributes:
        cmc: (max_rank,) float64; ``cmc[k - 1]`` is the rank-k rate.
        mAP, mINP: the means of the average precision and of the inverse negative penalty.
        num_queries: number of queries with a true match, over which the means are taken.
    """

    cmc: NDArray[np.float64]
    mAP: float  # noqa: N815
    mINP: float  # noqa: N815
    num_queries: int = 0


def rank_metrics(
    distance: ArrayLike | Tensor,
    query_ids: ArrayLike,
    gallery_ids: ArrayLike,
    query_cameras: ArrayLike | None = None,
    gallery_cameras: ArrayLike | None = None,
    *,
    protocol: MatchRulesName | MatchRules = "sysu",
    max_rank: int = 20,
) -> Metrics:
    """Compute CMC, mAP and mINP; :mod:`lba_cli.evaluation.ranking` gives their formulas.

    Args:
        distance: (Q, G) finite numbers, smaller for more similar images. They are compared exactly, whatever their dtype.
        query_ids, gallery_ids: (Q,) and (G,) identities, of any type that can be sorted.
        query_cameras, gallery_cameras: (Q,) and (G,) numbers of cameras. Without cameras, nothing is ignored.
        protocol: ``"sysu"`` (queries of camera 3 ignore camera 2; the CMC counts identities), ``"regdb"`` (nothing is
            ignored; the CMC counts images), ``"llcm"`` (the query's own identity under its own camera is ignored; the CMC
            counts identities), ``"plain"`` (as ``"llcm"``, but the CMC counts images), or any other match rules.
        max_rank: length of the CMC, which stays at its last value beyond the end of the ranked list.

    Raises:
        ValueError: shapes do not fit, distances are not finite numbers, the protocol is unknown, or no query has a true
            match.

    Example:
        The gallery's second image is nearest and shows somebody else; the true matches have the ranks 2 and 3.

        >>> metrics = rank_metrics([[0.3, 0.1, 0.2]], [7], [7, 5, 7], protocol="regdb", max_rank=3)
        >>> metrics.cmc.tolist()
        [0.0, 1.0, 1.0]
        >>> round(metrics.mAP, 4)  # (1/2 + 2/3) / 2
        0.5833
        >>> round(metrics.mINP, 4)  # 2/3
        0.6667
    """
    rules = match_rules(protocol)
    query, gallery = encode_labels(query_ids, gallery_ids, query_cameras, gallery_cameras)
    return rank_metrics_blockwise([(slice(None), distance)], query, gallery, rules, max_rank)


def rank_metrics_blockwise(
    blocks: Iterable[tuple[slice, ArrayLike | Tensor]],
    query: Labels,
    gallery: Labels,
    rules: MatchRules,
    max_rank: int = 20,
) -> Metrics:
    """Compute the metrics from blocks of distances, so that the whole matrix never has to exist.

    Args:
        blocks: pairs of a slice of the queries and the (rows, G) distances of these queries. Each query must occur once.
        query, gallery: the labels of the queries and of the gallery images.
        rules, max_rank: ``protocol`` and ``max_rank`` of :func:`rank_metrics`.

    Raises:
        ValueError: as in :func:`rank_metrics`, or a query is in no block or in several.
    """
    ranked = _joined(piece for rows, distance in blocks for piece in _rank(distance, query.rows(rows), gallery, rules))
    if len(ranked.matches) != len(query.identity):
        raise ValueError(f"the blocks of distances should hold each of the {len(query.identity)} queries once")
    counted = ranked.matches > 0
    if not counted.any():
        raise ValueError("no query has a true match in the gallery")
    matches = ranked.matches[counted]
    last = ranked.ranks[matches.cumsum() - 1]
    return Metrics(
        np.asarray([(ranked.first <= k).mean() for k in range(1, max_rank + 1)]),
        float(_average_precisions(ranked)[counted].mean()),
        float((matches / last).mean()),
        len(matches),
    )


def average_precisions(
    distance: ArrayLike | Tensor, query: Labels, gallery: Labels, rules: MatchRules
) -> NDArray[np.float64]:
    """Return the (Q,) average precisions of queries from (Q, G) distances; NaN for a query without a true match.

    The mean over the queries with a true match is the mAP of :func:`rank_metrics`, which raises the same errors.
    """
    return _average_precisions(_joined(_rank(distance, query, gallery, rules)))


class _Ranked(NamedTuple):
    """The ranks of the true matches, counted from 1.

    Attributes:
        matches: (Q,) number of each query's true matches.
        ranks: (P,) ranks of the true matches, query after query, ascending within each.
        first: rank of the first match as the CMC counts it, for each query that has a match.
    """

    matches: Integers
    ranks: Integers
    first: Integers


def _average_precisions(ranked: _Ranked) -> NDArray[np.float64]:
    """Return the (Q,) average precisions, NaN for a query without a match."""
    queries = len(ranked.matches)
    query = np.repeat(np.arange(queries), ranked.matches)
    nth = np.arange(1, len(query) + 1) - (ranked.matches.cumsum() - ranked.matches)[query]
    precisions = np.bincount(query, nth / ranked.ranks, minlength=queries)
    with np.errstate(invalid="ignore"):  # 0/0
        return precisions / ranked.matches


def _rank(distance: ArrayLike | Tensor, query: Labels, gallery: Labels, rules: MatchRules) -> Iterator[_Ranked]:
    """Yield the ranks of the true matches of all queries, a chunk of queries at a time."""
    scores = as_array(distance)
    wanted = (len(query.identity), len(gallery.identity))
    if scores.shape != wanted or 0 in wanted:
        raise ValueError(f"distance should have shape (queries, gallery) = {wanted}, not {scores.shape}")
    step = max(1, CHUNK_ELEMENTS // len(gallery.identity))
    for start in range(0, len(scores), step):
        rows = slice(start, start + step)
        yield _rank_chunk(_as_floats(scores[rows]), query.rows(rows), gallery, rules)


def _rank_chunk(distance: Floats, query: Labels, gallery: Labels, rules: MatchRules) -> _Ranked:
    """Return the ranks of the true matches of some queries."""
    match = query.identity[:, None] == gallery.identity
    ignored = ignored_by(rules, query, gallery)
    if ignored is not None:
        match &= ~ignored
        distance = np.where(ignored, distance.dtype.type(np.inf), distance)  # behind all others
    row, column = np.divmod(np.flatnonzero(match), match.shape[1])  # (P,) each
    rank = _ranks(distance, row, column)
    order = np.lexsort((rank, row))
    matches = np.bincount(row, minlength=len(match))
    nearest = order[(matches.cumsum() - matches)[matches > 0]]
    first = rank[nearest]
    if rules.cmc_counts == "identities":
        late = nearest[first > 1]
        first[first > 1] = 1 + _identities_before(distance, row[late], column[late], gallery.identity)
    return _Ranked(matches, rank[order], first)


def _ranks(distance: Floats, row: Integers, column: Integers) -> Integers:
    """Return the (P,) ranks, counted from 1, of gallery image ``column[i]`` in the list of query ``row[i]``."""
    ascending = np.sort(distance, axis=1)
    wanted = distance[row, column]
    place = _places(ascending, row, wanted)
    following = np.minimum(place + 1, distance.shape[1] - 1)
    tied = (following > place) & (ascending[row, following] == wanted)
    if tied.any():
        queries, query = np.unique(row[tied], return_inverse=True)
        order = np.argsort(distance[queries], axis=1, kind="stable")
        place[tied] = np.argsort(order, axis=1)[query, column[tied]]  # the inverse of a permutation
    return place + 1


def _places(ascending: Floats, row: Integers, wanted: Floats) -> Integers:
    """Return (P,) counts: how many elements of the ascending row ``row[i]`` are less than its element ``wanted[i]``."""
    low, high = np.zeros_like(row), np.full_like(row, ascending.shape[1] - 1)
    for _ in range(ascending.shape[1].bit_length()):
        middle = (low + high) // 2
        less = ascending[row, middle] < wanted
        low, high = np.where(less, middle + 1, low), np.where(less, high, middle)
    return low


def _identities_before(distance: Floats, row: Integers, column: Integers, identity: Integers) -> Integers:
    """Return (n,) counts: how many identities have images before image ``column[i]`` in the list of query ``row[i]``."""
    candidates, limit = distance[row], distance[row, column][:, None]
    earlier = np.arange(distance.shape[1]) < column[:, None]
    before = (candidates < limit) | ((candidates == limit) & earlier)
    listed, image = np.divmod(np.flatnonzero(before), before.shape[1])
    seen = np.zeros_like(before)  # a column for each identity code; there are at most as many codes as images
    seen[listed, identity[image]] = True
    identities: Integers = seen.sum(axis=1)
    return identities


def _joined(pieces: Iterable[_Ranked]) -> _Ranked:
    nothing = np.zeros(0, np.int64)
    return _Ranked(*map(np.concatenate, zip(_Ranked(nothing, nothing, nothing), *pieces, strict=True)))


def _as_floats(distance: NDArray[Any]) -> Floats:
    """Convert distances to float32 or float64 without changing the order or the ties of a query's distances.

    Raises:
        ValueError: a distance is not a finite real number.
    """
    if distance.dtype.kind not in "biuf":
        raise ValueError(f"distances should be real numbers, not of type {distance.dtype}")
    if not np.isfinite(distance).all():
        raise ValueError("distances must be finite")
    if distance.dtype.kind == "f" and distance.dtype.itemsize <= 8:
        return distance.astype(np.float64 if distance.dtype.itemsize == 8 else np.float32, copy=False)
    if distance.dtype.kind != "f" and max(abs(int(distance.min())), abs(int(distance.max()))) <= EXACT_IN_FLOAT64:
        return distance.astype(np.float64)
    _, ranks = np.unique(distance, return_inverse=True)  # float64 would round the distances, but not their ranks
    return ranks.reshape(distance.shape).astype(np.float64)

"""From distances to figures: CMC, mAP and mINP under the rules of each data set's protocol.

Shapes: Q queries, G gallery images. Ties in distance are broken by gallery order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Protocol = Literal["sysu", "regdb", "llcm", "plain"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
CHUNK_ELEMENTS = 2_000_000


class Metrics(NamedTuple):
    """Figures of one trial, as fractions.

    Attributes:
        cmc: (max_rank,) float64; ``cmc[k - 1]`` is the rank-k rate.
        mAP: mean average precision.
        mINP: mean inverse negative penalty (Ye et al., 2021).
        num_queries: how many queries have a true match left and were counted.
    """

    cmc: NDArray[np.float64]
    mAP: float  # noqa: N815
    mINP: float  # noqa: N815
    num_queries: int = 0


class _Columns(NamedTuple):
    identity: NDArray[Any]
    camera: NDArray[Any] | None


Exclusion = Callable[[_Columns, _Columns], "NDArray[np.bool_] | None"]


@dataclass(frozen=True)
class _Rules:
    """Which gallery images a query ignores, and whether CMC counts identities or images."""

    excluded: Exclusion
    cmc_counts_identities: bool


def _none(query: _Columns, gallery: _Columns) -> None:
    """Nothing is ignored."""


def _same_room(query: _Columns, gallery: _Columns) -> NDArray[np.bool_] | None:
    """SYSU-MM01: cameras 2 (visible) and 3 (infrared) look at the same room."""
    if query.camera is None or gallery.camera is None:
        return None
    same_room: NDArray[np.bool_] = (query.camera[:, None] == 3) & (gallery.camera[None, :] == 2)
    return same_room


def _same_view(query: _Columns, gallery: _Columns) -> NDArray[np.bool_] | None:
    """The query's own identity under the query's own camera."""
    if query.camera is None or gallery.camera is None:
        return None
    same_identity = query.identity[:, None] == gallery.identity[None, :]
    same_view: NDArray[np.bool_] = same_identity & (query.camera[:, None] == gallery.camera[None, :])
    return same_view


RULES: dict[Protocol, _Rules] = {
    "sysu": _Rules(_same_room, cmc_counts_identities=True),
    "regdb": _Rules(_none, cmc_counts_identities=False),
    "llcm": _Rules(_same_view, cmc_counts_identities=True),
    "plain": _Rules(_same_view, cmc_counts_identities=False),
}


def counts_identities(protocol: Protocol) -> bool:
    """Whether the CMC's rank k is among the first k identities of the ranked list, not among its first k images."""
    return RULES[protocol].cmc_counts_identities


def rank_metrics(
    distance: ArrayLike,
    query_ids: ArrayLike,
    gallery_ids: ArrayLike,
    query_cameras: ArrayLike | None = None,
    gallery_cameras: ArrayLike | None = None,
    *,
    protocol: Protocol = "sysu",
    max_rank: int = 20,
) -> Metrics:
    """Rank the gallery for every query and take the figures.

    Args:
        distance: (Q, G), smaller is more alike; finite.
        query_ids, gallery_ids: (Q,) and (G,) identities.
        query_cameras, gallery_cameras: (Q,) and (G,) cameras, where the protocol excludes by camera.
        protocol: ``sysu`` (camera 3 ignores camera 2; CMC counts identities), ``regdb`` (nothing ignored; CMC counts
            images), ``llcm`` (same identity and camera ignored; CMC counts identities), ``plain`` (same identity and
            camera ignored where cameras are given; CMC counts images).
        max_rank: length of the CMC; ranks beyond the gallery keep the last value.

    Raises:
        ValueError: shapes that don't fit, distances that aren't numbers, an unknown protocol, or no query with a match.
    """
    query, gallery = _columns(query_ids, query_cameras), _columns(gallery_ids, gallery_cameras)
    ranked = _rank(np.asarray(distance), query, gallery, protocol)
    first = ranked.first
    if not len(first):
        raise ValueError("no query has a true match in the gallery")
    cmc = (first[None, :] < np.arange(1, max_rank + 1)[:, None]).mean(axis=1)
    return Metrics(cmc, float(ranked.precision.mean()), float(ranked.penalty.mean()), len(first))


def average_precisions(
    distance: ArrayLike,
    query_ids: ArrayLike,
    gallery_ids: ArrayLike,
    query_cameras: ArrayLike | None = None,
    gallery_cameras: ArrayLike | None = None,
    *,
    protocol: Protocol = "sysu",
) -> NDArray[np.float64]:
    """(Q,) average precision of each query, nan where it has no true match left and isn't counted.

    Their mean over the counted ones is the mAP of :func:`rank_metrics`; arguments and errors are as there.
    """
    query, gallery = _columns(query_ids, query_cameras), _columns(gallery_ids, gallery_cameras)
    ranked = _rank(np.asarray(distance), query, gallery, protocol)
    each = np.full(len(ranked.counted), np.nan)
    each[ranked.counted] = ranked.precision
    return each


def ignored_pairs(
    query_ids: ArrayLike,
    gallery_ids: ArrayLike,
    query_cameras: ArrayLike | None = None,
    gallery_cameras: ArrayLike | None = None,
    *,
    protocol: Protocol = "sysu",
) -> NDArray[np.bool_]:
    """(Q, G) bool: which gallery images each query ignores under ``protocol``; arguments as :func:`rank_metrics`."""
    query, gallery = _columns(query_ids, query_cameras), _columns(gallery_ids, gallery_cameras)
    excluded = RULES[protocol].excluded(query, gallery)
    return np.zeros((len(query.identity), len(gallery.identity)), bool) if excluded is None else excluded


def _columns(identities: ArrayLike, cameras: ArrayLike | None) -> _Columns:
    return _Columns(np.asarray(identities), None if cameras is None else np.asarray(cameras))


class _Ranked(NamedTuple):
    """(Q,) which queries have a match; of those alone: the place (from 0) that CMC counts, precision, penalty."""

    counted: NDArray[np.bool_]
    first: NDArray[np.int64]
    precision: NDArray[np.float64]
    penalty: NDArray[np.float64]


def _rank(distance: NDArray[Any], query: _Columns, gallery: _Columns, protocol: Protocol) -> _Ranked:
    """Rank every query, as many at a time as fit in memory; raises as :func:`rank_metrics`."""
    if protocol not in RULES:
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, not {protocol!r}")
    _require_shapes(distance, query, gallery)
    pieces = []
    step = max(1, CHUNK_ELEMENTS // max(1, len(gallery.identity)))
    for start in range(0, len(distance), step):
        rows = slice(start, start + step)
        part = _Columns(query.identity[rows], None if query.camera is None else query.camera[rows])
        pieces.append(_rank_chunk(distance[rows], part, gallery, RULES[protocol]))
    return _Ranked(*(np.concatenate(piece) for piece in zip(*pieces, strict=True)))


def _rank_chunk(distance: NDArray[Any], query: _Columns, gallery: _Columns, rules: _Rules) -> _Ranked:
    """The queries of a chunk; average precision and inverse penalty as fractions."""
    order = np.argsort(distance, axis=1, kind="stable")
    match = (query.identity[:, None] == gallery.identity[None, :])[np.arange(len(order))[:, None], order]
    excluded = rules.excluded(query, gallery)
    if excluded is None:
        place = np.broadcast_to(np.arange(order.shape[1]), order.shape)
        kept = np.ones(order.shape, bool)
    else:
        kept = ~np.take_along_axis(excluded, order, axis=1)
        match &= kept
        place = kept.cumsum(axis=1) - 1
    counted = match.any(axis=1)
    order, match, place, kept = order[counted], match[counted], place[counted], kept[counted]
    matches = match.sum(axis=1)
    last = match.shape[1] - 1 - match[:, ::-1].argmax(axis=1)
    rows = np.arange(len(match))
    precision = (match.cumsum(axis=1) / np.maximum(place + 1, 1) * match).sum(axis=1) / matches
    penalty = matches / (place[rows, last] + 1)
    first_column = match.argmax(axis=1)
    if rules.cmc_counts_identities:
        first = _identities_before(gallery.identity[order], kept, first_column)
    else:
        first = place[rows, first_column]
    return _Ranked(counted, first, precision, penalty)


def _identities_before(ranked: NDArray[Any], kept: NDArray[np.bool_], column: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many distinct identities the kept entries of each ranked list name before ``column``."""
    names, codes = np.unique(ranked, return_inverse=True)
    codes = codes.reshape(ranked.shape)
    before = kept & (np.arange(ranked.shape[1])[None, :] < column[:, None])
    seen = np.zeros((len(ranked), len(names)), bool)
    rows, columns = np.nonzero(before)
    seen[rows, codes[rows, columns]] = True
    result: NDArray[np.int64] = seen.sum(axis=1)
    return result


def _require_shapes(distance: NDArray[Any], query: _Columns, gallery: _Columns) -> None:
    wanted = (len(query.identity), len(gallery.identity))
    if distance.shape != wanted or 0 in wanted:
        raise ValueError(f"distance should have shape (queries, gallery) = {wanted}, not {distance.shape}")
    for side, columns in (("query", query), ("gallery", gallery)):
        if columns.camera is not None and columns.camera.shape != columns.identity.shape:
            raise ValueError(f"{side} cameras should have shape {columns.identity.shape}, not {columns.camera.shape}")
    if not np.isfinite(distance).all():
        raise ValueError("distances must be finite")

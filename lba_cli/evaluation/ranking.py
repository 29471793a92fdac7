"""From distances to figures: CMC, mAP and mINP under the rules of each data set's protocol.

Shapes: Q queries, G gallery images. Ties in distance are broken by gallery order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lba_cli.data.parallel import cores
from lba_cli.evaluation.placing import Places, places
from lba_cli.match_rules import MatchRules

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Protocol = Literal["sysu", "regdb", "llcm", "plain"] | MatchRules
PROTOCOLS = ("sysu", "regdb", "llcm", "plain")
CHUNK_ELEMENTS = 2**17  # fits in a core's cache
GPU_CHUNK_ELEMENTS = 2**25


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
    """Of the images of one side: arrays, or tensors where the distances are one."""

    identity: Any
    camera: Any

    def part(self, rows: slice) -> _Columns:
        """Of some of them."""
        return _Columns(self.identity[rows], None if self.camera is None else self.camera[rows])


Exclusion = Callable[[_Columns, _Columns], Any]


@dataclass(frozen=True)
class _Rules:
    """Which gallery images a query ignores, as (Q, G) bool or None, and whether CMC counts identities or images."""

    excluded: Exclusion
    cmc_counts_identities: bool


def _none(query: _Columns, gallery: _Columns) -> None:
    """Nothing is ignored."""


def _same_room(query: _Columns, gallery: _Columns) -> Any:
    """SYSU-MM01: cameras 2 (visible) and 3 (infrared) look at the same room."""
    if query.camera is None or gallery.camera is None:
        return None
    return (query.camera[:, None] == 3) & (gallery.camera[None, :] == 2)


def _same_view(query: _Columns, gallery: _Columns) -> Any:
    """The query's own identity under the query's own camera."""
    if query.camera is None or gallery.camera is None:
        return None
    same_identity = query.identity[:, None] == gallery.identity[None, :]
    return same_identity & (query.camera[:, None] == gallery.camera[None, :])


_BY_NAME: dict[str, _Rules] = {
    "sysu": _Rules(_same_room, cmc_counts_identities=True),
    "regdb": _Rules(_none, cmc_counts_identities=False),
    "llcm": _Rules(_same_view, cmc_counts_identities=True),
    "plain": _Rules(_same_view, cmc_counts_identities=False),
}


class _Lookup:
    def __contains__(self, key):
        return isinstance(key, MatchRules) or key in _BY_NAME

    def __getitem__(self, key):
        if isinstance(key, MatchRules):
            excluded = (
                _same_room if key.ignore_camera_pairs else _same_view if key.ignore_same_identity_and_camera else _none
            )
            return _Rules(excluded, key.cmc_counts == "identities")
        return _BY_NAME[key]


RULES = _Lookup()


def counts_identities(protocol: Protocol) -> bool:
    """Whether the CMC's rank k is among the first k identities of the ranked list, not among its first k images."""
    return RULES[protocol].cmc_counts_identities


def rank_metrics(
    distance: ArrayLike | Tensor,
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
        distance: (Q, G), smaller is more alike; finite. A tensor on a GPU is ranked there.
        query_ids, gallery_ids: (Q,) and (G,) identities.
        query_cameras, gallery_cameras: (Q,) and (G,) cameras, where the protocol excludes by camera.
        protocol: ``sysu`` (camera 3 ignores camera 2; CMC counts identities), ``regdb`` (nothing ignored; CMC counts
            images), ``llcm`` (same identity and camera ignored; CMC counts identities), ``plain`` (same identity and
            camera ignored where cameras are given; CMC counts images).
        max_rank: length of the CMC; ranks beyond the gallery keep the last value.

    Raises:
        ValueError: shapes that don't fit, distances that aren't numbers, an unknown protocol, or no query with a match.
    """
    return rank_blocks(
        [(slice(None), distance)],
        query_ids,
        gallery_ids,
        query_cameras,
        gallery_cameras,
        protocol=protocol,
        max_rank=max_rank,
    )


def rank_blocks(
    blocks: Iterable[tuple[slice, ArrayLike | Tensor]],
    query_ids: ArrayLike,
    gallery_ids: ArrayLike,
    query_cameras: ArrayLike | None = None,
    gallery_cameras: ArrayLike | None = None,
    *,
    protocol: Protocol = "sysu",
    max_rank: int = 20,
) -> Metrics:
    """As :func:`rank_metrics`, of distances that never all exist at once.

    Args:
        blocks: of queries, in order, which of them and their (rows, G) distances; all the queries together.
        query_ids, gallery_ids, query_cameras, gallery_cameras, protocol, max_rank: and what is raised: as there.
    """
    query, gallery = _columns(query_ids, query_cameras), _columns(gallery_ids, gallery_cameras)
    pieces = [_rank(distance, query.part(rows), gallery, protocol) for rows, distance in blocks]
    if sum(len(piece.counted) for piece in pieces) != len(query.identity) or not pieces:
        raise ValueError(f"the blocks of distances should be of all {len(query.identity)} queries, each in one")
    ranked = Places(*map(np.concatenate, zip(*pieces, strict=True)))
    first = ranked.identities if RULES[protocol].cmc_counts_identities else ranked.first
    if not len(first):
        raise ValueError("no query has a true match in the gallery")
    cmc = np.bincount(np.minimum(first, max_rank), minlength=max_rank)[:max_rank].cumsum() / len(first)
    return Metrics(cmc, float(ranked.precision.mean()), float(ranked.penalty.mean()), len(first))


def average_precisions(
    distance: ArrayLike | Tensor,
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
    ranked = _rank(distance, query, gallery, protocol)
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
    return _Columns(_array(identities), None if cameras is None else _array(cameras))


def _array(values: Any) -> NDArray[Any]:
    """As an array; of a tensor too, wherever it is."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    array: NDArray[Any] = (values.float() if values.dtype == torch.bfloat16 else values).numpy(force=True)
    return array


def _rank(distance: ArrayLike | Tensor, query: _Columns, gallery: _Columns, protocol: Protocol) -> Places:
    """Rank every query, as many at a time as fit in a chunk; NumPy arrays. Raises as :func:`rank_metrics`."""
    if protocol not in RULES:
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, not {protocol!r}")
    scores: Any = distance.detach() if isinstance(distance, Tensor) and distance.is_cuda else _array(distance)
    on_gpu = isinstance(scores, Tensor)
    _require_shapes(scores, query, gallery)
    names, codes = np.unique(gallery.identity, return_inverse=True)
    query, gallery = query._replace(identity=_codes(names, query.identity)), gallery._replace(identity=codes)
    if on_gpu:
        query, gallery = (_Columns(*(_tensor(column, scores) for column in side)) for side in (query, gallery))
    step = max(1, (GPU_CHUNK_ELEMENTS if on_gpu else CHUNK_ELEMENTS) // len(codes))

    def rank_chunk(start: int) -> Places:
        rows = slice(start, start + step)
        part = query.part(rows)
        ignored = RULES[protocol].excluded(part, gallery)
        return places(scores[rows], part.identity, gallery.identity, ignored, len(names))

    starts = range(0, len(scores), step)
    if on_gpu or len(starts) == 1:
        pieces = [rank_chunk(start) for start in starts]
    else:
        with ThreadPoolExecutor(min(cores(), len(starts))) as pool:
            pieces = list(pool.map(rank_chunk, starts))
    return Places(*(_joined(piece) for piece in zip(*pieces, strict=True)))


def _codes(names: NDArray[Any], identities: NDArray[Any]) -> NDArray[np.int64]:
    """Where each identity stands in the ascending ``names``; -1 where it doesn't."""
    at = np.searchsorted(names, identities)
    known = names[np.minimum(at, len(names) - 1)] == identities
    result: NDArray[np.int64] = np.where(known, at, -1)
    return result


def _tensor(column: Any, like: Tensor) -> Any:
    """On the device of ``like``, integers as int64: of the unsigned ones CUDA compares only the shortest."""
    if column is None:
        return None
    return torch.as_tensor(column.astype(np.int64) if column.dtype.kind in "iu" else column, device=like.device)


def _joined(pieces: Sequence[Any]) -> NDArray[Any]:
    return np.concatenate([piece.cpu().numpy() if isinstance(piece, Tensor) else piece for piece in pieces])


def _require_shapes(distance: Any, query: _Columns, gallery: _Columns) -> None:
    wanted = (len(query.identity), len(gallery.identity))
    if tuple(distance.shape) != wanted or 0 in wanted:
        raise ValueError(f"distance should have shape (queries, gallery) = {wanted}, not {tuple(distance.shape)}")
    if (query.camera is None) != (gallery.camera is None):
        raise ValueError("cameras should be given of queries and gallery, or of neither")
    for side, columns in (("query", query), ("gallery", gallery)):
        if columns.identity.ndim != 1:
            raise ValueError(f"{side} identities should be a list, not of shape {columns.identity.shape}")
        if columns.camera is not None and columns.camera.shape != columns.identity.shape:
            raise ValueError(f"{side} cameras should have shape {columns.identity.shape}, not {columns.camera.shape}")
    library = torch if isinstance(distance, Tensor) else np
    if not library.isfinite(distance).all():
        raise ValueError("distances must be finite")

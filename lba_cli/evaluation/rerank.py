"""Re-ranking with k-reciprocal encoding (Zhong et al., CVPR 2017).

Shapes: Q queries and G gallery images make one pool of N = Q + G images. Only pieces of the N × N matrix of distances exist
at a time; neighbourhoods and encodings are sparse. Of the paper's choices that are often made otherwise: an expanding
neighbourhood has to overlap by at least two thirds, and the encodings are not normalised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK_ELEMENTS = 8_000_000


@dataclass(frozen=True)
class Reranking:
    """The parameters of k-reciprocal re-ranking.

    Attributes:
        k1: how many neighbours of an image, beside itself, may be reciprocal.
        k2: over how many neighbours, itself among them, an image's encoding is averaged.
        share: of the original distance in the final one (the paper's lambda).
    """

    k1: int = 20
    k2: int = 6
    share: float = 0.3


def rerank(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], parameters: Reranking = Reranking()
) -> NDArray[np.float32]:
    """Distances of queries to gallery images, re-ranked.

    Args:
        queries, gallery: (Q, D) and (G, D) float32 features of unit length.
        parameters: see :class:`Reranking`.

    Returns:
        (Q, G) float32: (1 − share) · Jaccard distance + share · original distance, where the original is the squared
        Euclidean distance divided by the query's largest one in the pool.
    """
    pool = np.concatenate([queries, gallery])
    near = _neighbours(pool, max(parameters.k1 + 1, parameters.k2))
    encodings = _encode(pool, _expanded(near, parameters.k1))
    if parameters.k2 > 1:
        nearest = near[:, : parameters.k2]
        encodings = _relation(nearest) @ encodings / np.float32(nearest.shape[1])
    final = _jaccard(encodings.tocsr(), len(queries))
    final *= np.float32(1 - parameters.share)
    for rows, distance in _distances(pool, len(queries)):
        final[rows] += np.float32(parameters.share) * distance[:, len(queries) :]
    return final


def _distances(pool: NDArray[np.float32], count: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield pieces of the first ``count`` rows: (rows, N) squared distances, each row divided by its largest."""
    step = max(1, CHUNK_ELEMENTS // len(pool))
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        distance = pool[rows] @ pool.T
        np.subtract(2, 2 * distance, out=distance)
        np.maximum(distance, 0, out=distance)
        distance[np.arange(len(distance)), np.arange(rows.start, rows.stop)] = 0
        yield rows, distance / np.maximum(distance.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _neighbours(pool: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """(N, count) indices of each image's nearest, itself first; ties go to the earlier image."""
    count = min(count, len(pool))
    near = np.empty((len(pool), count), np.int64)
    for rows, distance in _distances(pool, len(pool)):
        distance[np.arange(len(distance)), np.arange(rows.start, rows.stop)] = -1
        farthest = np.partition(distance, count - 1, axis=1)[:, count - 1, None]
        row, column = np.nonzero(distance <= farthest)
        order = np.lexsort((column, distance[row, column], row))
        first = np.searchsorted(row, np.arange(len(distance)))  # rows are in ascending order, before and after sorting
        near[rows] = column[order][first[:, None] + np.arange(count)]
    return near


def _relation(near: NDArray[np.int64], kept: NDArray[np.bool_] | None = None) -> Any:
    """(N, N) sparse matrix with a one where a row's image has the column's in ``near`` (and the pair is ``kept``)."""
    rows = np.repeat(np.arange(len(near)), near.shape[1])
    columns = near.ravel()
    if kept is not None:
        rows, columns = rows[kept.ravel()], columns[kept.ravel()]
    return sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(near), len(near)))


def _reciprocal(near: NDArray[np.int64]) -> Any:
    """R(p, k) as a sparse relation: p's neighbours that have p among theirs."""
    relation = _relation(near)
    return relation.multiply(relation.T).tocsr()


def _expanded(near: NDArray[np.int64], k1: int) -> Any:
    """R*(p, k1): R(p, k1) and each R(q, k1/2) of its members q of which at least two thirds lie in R(p, k1)."""
    reciprocal = _reciprocal(near[:, : k1 + 1])
    half = _reciprocal(near[:, : round(k1 / 2) + 1])
    overlap = (reciprocal @ half.T).multiply(reciprocal).tocoo()
    size = np.asarray(half.sum(axis=1)).ravel()
    joins = 3 * overlap.data >= 2 * size[overlap.col]
    pairs = (np.ones(joins.sum(), np.float32), (overlap.row[joins], overlap.col[joins]))
    joined = sparse.csr_array(pairs, shape=reciprocal.shape)
    return (reciprocal + joined @ half).tocsr()


def _encode(pool: NDArray[np.float32], members: Any) -> Any:
    """V: for each image exp(−d) at the members of its neighbourhood, and zero elsewhere; (N, N) sparse."""
    members.sum_duplicates()
    for rows, distance in _distances(pool, len(pool)):
        start, stop = members.indptr[rows.start], members.indptr[rows.stop]
        lengths = np.diff(members.indptr[rows.start : rows.stop + 1])
        row = np.repeat(np.arange(len(distance)), lengths)
        members.data[start:stop] = np.exp(-distance[row, members.indices[start:stop]])
    return members


def _jaccard(encodings: Any, queries: int) -> NDArray[np.float32]:
    """(Q, G) Jaccard distances 1 − Σ min(V_q, V_g) / Σ max(V_q, V_g), from an index of who has which neighbour."""
    mass = np.asarray(encodings.sum(axis=1)).ravel()
    index = encodings[queries:].T.tocsr()  # row: a neighbour; columns: the gallery images that have it
    gallery = encodings.shape[0] - queries
    result = np.empty((queries, gallery), np.float32)
    for query in range(queries):
        place = slice(encodings.indptr[query], encodings.indptr[query + 1])
        having = index[encodings.indices[place]]
        own = np.repeat(encodings.data[place], np.diff(having.indptr))
        shared = np.bincount(having.indices, np.minimum(own, having.data), minlength=gallery)
        result[query] = 1 - shared / (mass[query] + mass[queries:] - shared)
    return result

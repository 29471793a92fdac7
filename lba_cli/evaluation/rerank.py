"""Re-ranking with k-reciprocal encoding (Zhong et al., CVPR 2017).

Shapes: Q queries and G gallery images make one pool of N = Q + G images. The N × N matrix of distances is computed in blocks
and never exists as a whole; neighbourhoods and encodings are sparse.

This follows the paper in two points where implementations often differ: a neighbourhood joins another one if at least two
thirds of it lie in the other, and encodings are not normalised.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

CHUNK_ELEMENTS = 8_000_000


@dataclass(frozen=True)
class Reranking:
    """The parameters of k-reciprocal re-ranking.

    Attributes:
        k1: number of nearest neighbours, besides the image itself, that may be reciprocal.
        k2: number of nearest neighbours, including the image itself, over which encodings are averaged.
        original_weight: weight of the original distance in the final one (the paper's lambda).
    """

    k1: int = 20
    k2: int = 6
    original_weight: float = 0.3


def rerank(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], parameters: Reranking = Reranking()
) -> NDArray[np.float32]:
    """Compute re-ranked distances between queries and gallery images.

    Args:
        queries, gallery: (Q, D) and (G, D) float32 features of unit length.
        parameters: see :class:`Reranking`.

    Returns:
        (Q, G) float32: (1 − λ) · Jaccard distance + λ · original distance, where λ is ``original_weight`` and the original
        distance is the squared Euclidean distance divided by the query's largest one in the pool.
    """
    pool = np.concatenate([queries, gallery])
    near = _neighbours(pool, max(parameters.k1 + 1, parameters.k2))
    encodings = _encode(pool, _expanded_reciprocal(near, parameters.k1))
    if parameters.k2 > 1:
        nearest = near[:, : parameters.k2]
        encodings = _adjacency(nearest) @ encodings / np.float32(nearest.shape[1])
    final = _jaccard(encodings.tocsr(), len(queries))
    final *= np.float32(1 - parameters.original_weight)
    for rows, distance in _distances(pool, len(queries)):
        final[rows] += np.float32(parameters.original_weight) * distance[:, len(queries) :]
    return final


def _distances(pool: NDArray[np.float32], count: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield the first ``count`` rows in blocks: a slice, and the (rows, N) squared distances, scaled to a maximum of 1."""
    step = max(1, CHUNK_ELEMENTS // len(pool))
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        distance = pool[rows] @ pool.T
        np.subtract(2, 2 * distance, out=distance)
        np.maximum(distance, 0, out=distance)
        distance[np.arange(len(distance)), np.arange(rows.start, rows.stop)] = 0
        yield rows, distance / np.maximum(distance.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _neighbours(pool: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return (N, count) indices of each image's nearest images, the image itself first; ties keep the order of the pool."""
    count = min(count, len(pool))
    near = np.empty((len(pool), count), np.int64)
    for rows, distance in _distances(pool, len(pool)):
        distance[np.arange(len(distance)), np.arange(rows.start, rows.stop)] = -1
        farthest = np.partition(distance, count - 1, axis=1)[:, count - 1, None]
        row, column = np.nonzero(distance <= farthest)
        order = np.lexsort((column, distance[row, column], row))
        first = np.searchsorted(row, np.arange(len(distance)))  # sorting keeps rows in ascending order
        near[rows] = column[order][first[:, None] + np.arange(count)]
    return near


def _adjacency(near: NDArray[np.int64]) -> Any:
    """Return an (N, N) sparse array that is 1 where the column's image is in the row of ``near``."""
    rows = np.repeat(np.arange(len(near)), near.shape[1])
    columns = near.ravel()
    return sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(near), len(near)))


def _reciprocal(near: NDArray[np.int64]) -> Any:
    """Return R(p, k) for every p as an (N, N) sparse array: the neighbours of p that have p among their own neighbours."""
    adjacency = _adjacency(near)
    return adjacency.multiply(adjacency.T).tocsr()


def _expanded_reciprocal(near: NDArray[np.int64], k1: int) -> Any:
    """Return R*(p, k1) for every p: R(p, k1), and each R(q, k1/2) of a member q of which two thirds lie in R(p, k1)."""
    reciprocal = _reciprocal(near[:, : k1 + 1])
    half = _reciprocal(near[:, : round(k1 / 2) + 1])
    overlap = (reciprocal @ half.T).multiply(reciprocal).tocoo()
    size = np.asarray(half.sum(axis=1)).ravel()
    joins = 3 * overlap.data >= 2 * size[overlap.col]
    pairs = (np.ones(joins.sum(), np.float32), (overlap.row[joins], overlap.col[joins]))
    joined = sparse.csr_array(pairs, shape=reciprocal.shape)
    return (reciprocal + joined @ half).tocsr()


def _encode(pool: NDArray[np.float32], members: Any) -> Any:
    """Return the (N, N) sparse encodings V: exp(−d) where the column's image is in the row's neighbourhood."""
    members.sum_duplicates()
    for rows, distance in _distances(pool, len(pool)):
        start, stop = members.indptr[rows.start], members.indptr[rows.stop]
        lengths = np.diff(members.indptr[rows.start : rows.stop + 1])
        row = np.repeat(np.arange(len(distance)), lengths)
        members.data[start:stop] = np.exp(-distance[row, members.indices[start:stop]])
    return members


def _jaccard(encodings: Any, queries: int) -> NDArray[np.float32]:
    """Return (Q, G) Jaccard distances, 1 − Σ min(V_q, V_g) / Σ max(V_q, V_g), using an inverted index of the gallery."""
    mass = np.asarray(encodings.sum(axis=1)).ravel()
    index = encodings[queries:].T.tocsr()  # for each neighbour, the gallery images that have it
    gallery = encodings.shape[0] - queries
    result = np.empty((queries, gallery), np.float32)
    for query in range(queries):
        place = slice(encodings.indptr[query], encodings.indptr[query + 1])
        sharing = index[encodings.indices[place]]
        own = np.repeat(encodings.data[place], np.diff(sharing.indptr))
        shared = np.bincount(sharing.indices, np.minimum(own, sharing.data), minlength=gallery)
        result[query] = 1 - shared / (mass[query] + mass[queries:] - shared)
    return result

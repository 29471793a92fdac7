"""Rank a gallery for queries: exactly, or with candidates from FAISS.

The vectors of a gallery may be larger than memory: their file is memory-mapped and read a block at a time. For measured and
estimated times see docs/deployment.md.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lba_cli.errors import SearchError
from lba_cli.search.embedder import UNIT_TOLERANCE
from lba_cli.search.faiss_index import faiss_candidates
from lba_cli.search.gallery import AGAIN, Hit
from lba_cli.search.index import Index
from lba_cli.vocabulary import Engine

ROWS_AT_ONCE = 4096
QUERIES_AT_ONCE = 256
LARGEST_SCORE = (1 + UNIT_TOLERANCE) ** 2
FAISS_CANDIDATES = 2  # candidates per requested hit


def search(index: Index, queries: NDArray[np.float32], top: int, engine: Engine = "exact") -> list[list[Hit]]:
    """Find the ``top`` gallery images for each query, best first; ties are in the index's order.

    Args:
        index, queries: the gallery, and (q, D) float32 vectors of unit length.
        top: the length of each list; lists are shorter if the gallery is smaller.
        engine: ``exact`` compares every query with every vector. ``faiss`` compares every query with a part of the
            vectors and may miss hits; the hits that it finds have the same scores.

    Raises:
        SearchError: the index has vectors that are not of unit length, or lacks the FAISS index that ``engine`` needs.
    """
    lists: list[list[Hit]] = []
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        piece = queries[start : start + QUERIES_AT_ONCE]
        found = _by_faiss(index, piece, top) if engine == "faiss" else exact_candidates(index, piece, top)
        lists += [_rank(index, query, rows, top) for query, rows in zip(piece, found, strict=True)]
    return lists


def exact_candidates(index: Index, queries: NDArray[np.float32], top: int) -> list[NDArray[np.int64]]:
    """Return ascending rows for each query: those with the ``top`` best float32 scores, and all within a margin of them."""
    # Float32 scores choose the candidates, and float64 scores rank them. The margin makes this exact.
    margin = rounding_margin(queries.shape[1])
    rows = [np.empty(0, np.int64) for _ in queries]
    kept = [np.empty(0, np.float32) for _ in queries]
    least = np.full(len(queries), -np.inf)
    for start in range(0, len(index.vectors), ROWS_AT_ONCE):
        scores = index.vectors[start : start + ROWS_AT_ONCE].astype(np.float32, copy=False) @ queries.T  # (rows, q)
        if not (np.abs(scores) <= LARGEST_SCORE).all():  # NaN included
            raise SearchError(f"{index.folder}: damaged: it holds vectors that are not of unit length; {AGAIN}")
        for query, column in enumerate(np.ascontiguousarray(scores.T)):
            better = np.flatnonzero(column >= least[query])
            if not len(better):
                continue
            rows[query] = np.concatenate([rows[query], start + better])
            kept[query] = np.concatenate([kept[query], column[better]])
            if (last := len(kept[query]) - top) > 0:
                least[query] = float(np.partition(kept[query], last)[last]) - margin
                chosen = kept[query] >= least[query]
                rows[query], kept[query] = rows[query][chosen], kept[query][chosen]
    return rows


def rounding_margin(dimension: int) -> float:
    """Return by how much two dot products of unit vectors in float32 may be in the wrong order.

    In whatever order a dot product of D numbers is summed in float32, its error is at most D · 2^-24.
    """
    return 2 * (dimension + 2) * 2.0**-24


def _by_faiss(index: Index, queries: NDArray[np.float32], top: int) -> list[NDArray[np.int64]]:
    part = index.manifest.faiss
    if part is None:
        raise SearchError(f"{index.folder}: was built without FAISS; rebuild it with --engine faiss")
    shape = (index.manifest.images, index.manifest.dimension)
    found = faiss_candidates(index.folder / part.name, queries, FAISS_CANDIDATES * top, shape)
    short = [number for number, rows in enumerate(found) if len(rows) < min(top, shape[0])]
    if short:  # the searched cells hold fewer vectors than requested
        for number, rows in zip(short, exact_candidates(index, queries[short], top), strict=True):
            found[number] = rows
    return found


def _rank(index: Index, query: NDArray[np.float32], rows: NDArray[np.int64], top: int) -> list[Hit]:
    """Rank the candidates in the ascending ``rows`` by float64 scores. A score doesn't depend on the position of its row."""
    wide, scores = query.astype(np.float64), np.empty(len(rows))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        piece = slice(start, start + ROWS_AT_ONCE)
        scores[piece] = (index.vectors[rows[piece]].astype(np.float64) * wide).sum(axis=1)
    order: Sequence[int] = np.argsort(-scores, kind="stable")[:top].tolist()
    return [Hit(int(rows[at]), index.paths[rows[at]], float(scores[at])) for at in order]

"""Rank a gallery for queries: exactly, or with candidates from FAISS.

A gallery may be larger than memory: its file is mapped and read a block at a time. A million vectors of 256 float32 numbers
(1 GB) are compared with four queries in 0.13 s on two cores (``tests/benchmarks/bench_search.py``).

Ten million vectors of 2,048 numbers, in half precision, on paper: 41 GB of file (82 GB in float32). A pass serves up to
``QUERIES_AT_ONCE`` queries and takes 14 s from a disk of 3 GB/s, or 0.3 s from memory of 150 GB/s. The products of 256 queries
are 10.5 TFLOP: a minute on two cores (170 GFLOP/s in float32, measured in training), a fraction of a second on a GPU, which the
blocks reach at 25 GB/s in 2 s. A float16 number is off by 2^-11 of itself at most, so a product of unit vectors by 2^-10: the margin
of candidates grows to that, and the exact order of those within it takes the float32 vectors, read for them alone. Neither is
built: the index keeps float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lba_cli.errors import SearchError
from lba_cli.reporting import Listener
from lba_cli.search.embed_paths import embedded_rows
from lba_cli.search.embedder import UNIT_TOLERANCE, Embedder
from lba_cli.search.faiss_index import faiss_candidates
from lba_cli.search.index import Index
from lba_cli.search.index_manifest import AGAIN
from lba_cli.vocabulary import Engine, Modality

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_AT_ONCE = 4096
QUERIES_AT_ONCE = 256
LARGEST_SCORE = (1 + UNIT_TOLERANCE) ** 2
FAISS_CANDIDATES = 2  # times as many as are asked for


class Hit(NamedTuple):
    """A gallery image in a ranked list: its row in the index, its path, and the dot product with the query."""

    row: int
    path: str
    score: float


def search(index: Index, queries: NDArray[np.float32], top: int, engine: Engine = "exact") -> list[list[Hit]]:
    """The ``top`` gallery images for each of (q, D) unit-length ``queries``, best first; ties in the index's order.

    ``exact`` compares every query with every vector, a block of the mapped file at a time. ``faiss`` looks at a share of
    them and may miss some; the scores of what it finds are the same.

    Raises:
        SearchError: the index has values that are no unit vectors', or no FAISS part where one is asked for.
    """
    lists: list[list[Hit]] = []
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        piece = queries[start : start + QUERIES_AT_ONCE]
        found = _by_faiss(index, piece, top) if engine == "faiss" else exact_candidates(index, piece, top)
        lists += [_rank(index, query, rows, top) for query, rows in zip(piece, found, strict=True)]
    return lists


def exact_candidates(index: Index, queries: NDArray[np.float32], top: int) -> list[NDArray[np.int64]]:
    """For each of (q, D) ``queries`` the ascending rows whose float32 scores are within a margin of the ``top`` best."""
    # Scores in float32 choose candidates, float64 ranks them: no float32 sum of D products of unit vectors is off by more
    # than D · 2^-24, whatever the order of its terms.
    margin = 2 * (queries.shape[1] + 2) * 2.0**-24
    kept = [_Best(top, margin) for _ in queries]
    for start in range(0, len(index.vectors), ROWS_AT_ONCE):
        scores = index.vectors[start : start + ROWS_AT_ONCE] @ queries.T  # (rows, q)
        if not (np.abs(scores) <= LARGEST_SCORE).all():  # NaN included
            raise SearchError(f"{index.folder}: damaged: it holds vectors that are not of unit length; {AGAIN}")
        for best, column in zip(kept, np.ascontiguousarray(scores.T), strict=True):
            best.add(start, column)
    return [best.rows for best in kept]


class _Best:
    """The rows so far whose scores may be among the ``top`` best."""

    def __init__(self, top: int, margin: float) -> None:
        self._top, self._margin = top, margin
        self._least = -np.inf
        self.rows = np.empty(0, np.int64)
        self._scores = np.empty(0, np.float32)

    def add(self, start: int, scores: NDArray[np.float32]) -> None:
        """Take in the scores of the rows from ``start`` on."""
        better = np.flatnonzero(scores >= self._least)
        if not len(better):
            return
        self.rows = np.concatenate([self.rows, start + better])
        self._scores = np.concatenate([self._scores, scores[better]])
        if len(self._scores) > self._top:
            last = len(self._scores) - self._top
            self._least = float(np.partition(self._scores, last)[last]) - self._margin
            chosen = self._scores >= self._least
            self.rows, self._scores = self.rows[chosen], self._scores[chosen]


def _by_faiss(index: Index, queries: NDArray[np.float32], top: int) -> list[NDArray[np.int64]]:
    part = index.manifest.faiss
    if part is None:
        raise SearchError(f"{index.folder}: was built without FAISS; build it anew with --engine faiss")
    shape = (index.manifest.images, index.manifest.dimension)
    found = faiss_candidates(index.folder / part.name, queries, FAISS_CANDIDATES * top, shape)
    short = [number for number, rows in enumerate(found) if len(rows) < min(top, shape[0])]
    if short:  # more are asked for than the cells hold that were looked through
        for number, rows in zip(short, exact_candidates(index, queries[short], top), strict=True):
            found[number] = rows
    return found


def _rank(index: Index, query: NDArray[np.float32], rows: NDArray[np.int64], top: int) -> list[Hit]:
    """The best of the candidates ``rows`` (ascending), by scores in float64, which don't depend on a row's place."""
    wide = query.astype(np.float64)
    scores = np.concatenate(
        [
            (index.vectors[rows[start : start + ROWS_AT_ONCE]].astype(np.float64) * wide).sum(axis=1)
            for start in range(0, max(len(rows), 1), ROWS_AT_ONCE)
        ]
    )
    order: Sequence[int] = np.argsort(-scores, kind="stable")[:top].tolist()
    return [Hit(int(rows[at]), index.paths[rows[at]], float(scores[at])) for at in order]


class Ranked(NamedTuple):
    """A query image and its ranked list."""

    query: str
    hits: list[Hit]


def rank_images(
    index: Index,
    embedder: Embedder,
    modality: Modality,
    paths: Sequence[str],
    top: int,
    engine: Engine,
    *,
    batch_size: int,
    listener: Listener,
    skip_broken: bool = False,
) -> tuple[list[Ranked], list[str]]:
    """Embed query images and rank the gallery for each; also a line for each broken one.

    Raises:
        SearchError: as :func:`search`. DataError: images are broken and ``skip_broken`` isn't given.
    """
    lists: list[Ranked] = []
    left_out: list[str] = []
    rows = embedded_rows(
        embedder, modality, paths, left_out, batch_size=batch_size, listener=listener, skip_broken=skip_broken
    )
    for names, vectors in rows:
        found = search(index, vectors, top, engine)
        lists += [Ranked(name, hits) for name, hits in zip(names, found, strict=True)]
    return lists, left_out

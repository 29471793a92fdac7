"""Several images as one: the mean of their vectors, at unit length, as is usual for several views of one person."""

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from lba_cli.errors import SearchError
from lba_cli.search.embedder import UNIT_TOLERANCE
from lba_cli.search.gallery import AGAIN, Hit
from lba_cli.search.index import Index
from lba_cli.search.query import ROWS_AT_ONCE


def mean_vector(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of (n, D) unit vectors as a (1, D) float32 vector of unit length.

    Raises:
        SearchError: the vectors cancel each other out.
    """
    total = vectors.astype(np.float64).mean(axis=0, keepdims=True)
    length = float(np.linalg.norm(total))
    if length < 1e-6:
        raise SearchError("the embeddings of the query images cancel each other out: search with them one by one")
    mean: NDArray[np.float32] = (total / length).astype(np.float32)
    return mean


def search_tracks(index: Index, queries: NDArray[np.float32], top: int) -> list[list[Hit]]:
    """Find the ``top`` tracks for each query, best first; ties are in the order of the tracks' names.

    A track is a folder with images of the gallery. Its vector is the mean of the images' vectors, at unit length. The paths of the hits are
    folders.

    Args:
        index, queries: the gallery, and (q, D) float32 vectors of unit length. The vectors of all tracks are held in memory, in
            float64.
        top: the length of each list.

    Raises:
        SearchError: the index has vectors that are not of unit length.
    """
    names, vectors = _track_vectors(index)
    scores = queries.astype(np.float64) @ vectors.T
    lists = []
    for row in scores:
        order = np.argsort(-row, kind="stable")[:top].tolist()
        lists.append([Hit(int(at), names[at], float(row[at])) for at in order])
    return lists


def _track_vectors(index: Index) -> tuple[Sequence[str], NDArray[np.float64]]:
    """Return the tracks' names, sorted, and their (T, D) float64 vectors of unit length."""
    folders = [str(PurePath(path).parent) for path in index.paths]
    names, track = np.unique(np.asarray(folders, object), return_inverse=True)
    sums = np.zeros((len(names), index.manifest.dimension))
    for start in range(0, len(folders), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        block = np.asarray(index.vectors[rows], np.float64)
        if not (np.abs(np.linalg.norm(block, axis=1) - 1) < UNIT_TOLERANCE).all():  # NaN included
            raise SearchError(f"{index.folder}: damaged: it holds vectors that are not of unit length; {AGAIN}")
        present, place = np.unique(track[rows], return_inverse=True)
        block_sums = np.zeros((len(present), block.shape[1]))
        np.add.at(block_sums, place, block)
        sums[present] += block_sums
    return names.tolist(), sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)

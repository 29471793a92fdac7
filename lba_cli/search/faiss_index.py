"""Approximate search with FAISS, for millions of images. Vectors are sorted into cells, and a query searches a few cells."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lba_cli.errors import MissingExtra, SearchError

LEAST_FOR_CELLS = 10_000  # smaller galleries have no cells: a query is compared with all of their vectors
TRAINING_ROWS_A_CELL = 40
# A query searches this many cells, or this share of all cells, whichever is more.
LEAST_PROBED_CELLS = 64
ONE_PROBED_CELL_IN = 16
ROWS_AT_ONCE = 16_384


def require_faiss() -> Any:
    """Return the module ``faiss``, or raise MissingExtra."""
    try:
        return import_module("faiss")
    except ImportError as problem:
        raise MissingExtra("faiss-cpu", "faiss") from problem


def write_faiss(vectors: NDArray[np.floating], path: Path) -> None:
    """Write a FAISS index of (n, D) ``vectors`` for inner products; if n ≥ ``LEAST_FOR_CELLS``, it has at most 4·√n cells.

    Raises:
        OSError: the file can't be written.
        MissingExtra: FAISS isn't installed.
    """
    faiss = require_faiss()
    count, dimension = vectors.shape
    index = faiss.IndexFlatIP(dimension)
    if count >= LEAST_FOR_CELLS:
        cells = int(min(4 * count**0.5, count / TRAINING_ROWS_A_CELL))
        index = faiss.IndexIVFFlat(index, dimension, cells, faiss.METRIC_INNER_PRODUCT)
        sample = np.linspace(0, count - 1, min(count, TRAINING_ROWS_A_CELL * cells)).astype(np.int64)
        index.train(np.ascontiguousarray(vectors[sample], np.float32))
    for start in range(0, count, ROWS_AT_ONCE):
        index.add(np.ascontiguousarray(vectors[start : start + ROWS_AT_ONCE], np.float32))
    with path.open("wb") as file:  # FAISS's own writer doesn't notice a disk that is full at the last bytes
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))


def faiss_candidates(
    path: Path, queries: NDArray[np.float32], count: int, shape: tuple[int, int]
) -> list[NDArray[np.int64]]:
    """Return for each query about ``count`` rows of the gallery, ascending, that are probably nearest to it.

    The queries are (q, D) float32 of unit length, and ``shape`` is the gallery's (n, D).

    Raises:
        SearchError: the file is missing or damaged, or belongs to another gallery.
        MissingExtra: FAISS isn't installed.
    """
    faiss = require_faiss()
    if not path.is_file():
        raise SearchError(
            f"{path}: missing; repeat the query if the index has just been changed, otherwise rebuild the index with lba search build"
        )
    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    except (
        RuntimeError,
        MemoryError,
    ) as problem:  # the file is memory-mapped, so only a wrong size in it needs much memory
        raise SearchError(f"{path}: damaged; rebuild the index with lba search build") from problem
    if (index.ntotal, index.d) != shape:
        raise SearchError(f"{path}: made from another gallery; rebuild the index with lba search build")
    if hasattr(index, "nprobe"):
        index.nprobe = max(LEAST_PROBED_CELLS, index.nlist // ONE_PROBED_CELL_IN)
    _, found = index.search(np.ascontiguousarray(queries), min(count, shape[0]))
    return [np.unique(rows[(rows >= 0) & (rows < shape[0])]) for rows in found]

"""Approximate search by FAISS, for galleries of millions: an inverted file of cells, a share of which is looked through."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lba_cli.errors import MissingExtra, SearchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_FOR_CELLS = 10_000  # fewer vectors are compared one by one
TRAINING_ROWS_A_CELL = 40
CELLS_LOOKED_THROUGH = 64  # at least; of many cells one in so many:
ONE_CELL_IN = 16
ROWS_AT_ONCE = 16_384


def require_faiss() -> Any:
    """The module ``faiss``.

    Raises:
        MissingExtra: it isn't installed.
    """
    try:
        return import_module("faiss")
    except ImportError as problem:
        raise MissingExtra("faiss-cpu", "faiss") from problem


def write_faiss(vectors: NDArray[np.float32], path: Path) -> None:
    """Write a FAISS index of (n, D) ``vectors`` by inner product: flat for few, with 4·√n cells at most for many.

    Raises:
        OSError: it can't be written. MissingExtra: FAISS isn't installed.
    """
    faiss = require_faiss()
    count, dimension = vectors.shape
    index = faiss.IndexFlatIP(dimension)
    if count >= LEAST_FOR_CELLS:
        cells = int(min(4 * count**0.5, count / TRAINING_ROWS_A_CELL))
        index = faiss.IndexIVFFlat(index, dimension, cells, faiss.METRIC_INNER_PRODUCT)
        sample = np.linspace(0, count - 1, min(count, TRAINING_ROWS_A_CELL * cells)).astype(np.int64)
        index.train(np.ascontiguousarray(vectors[sample]))
    for start in range(0, count, ROWS_AT_ONCE):
        index.add(np.ascontiguousarray(vectors[start : start + ROWS_AT_ONCE]))
    with path.open("wb") as file:  # FAISS itself would not tell that the last bytes found no room
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))


def faiss_candidates(
    path: Path, queries: NDArray[np.float32], count: int, shape: tuple[int, int]
) -> list[NDArray[np.int64]]:
    """For each of (q, D) ``queries`` about ``count`` rows of the (n, D) gallery, ascending, that may be the nearest.

    Raises:
        SearchError: the file is damaged, of another gallery, or gone. MissingExtra: FAISS isn't installed.
    """
    faiss = require_faiss()
    if not path.is_file():
        raise SearchError(f"{path}: gone; was the index changed meanwhile? Ask again")
    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    except (RuntimeError, MemoryError) as problem:  # the file is mapped: only a wrong size in it needs much memory
        raise SearchError(f"{path}: damaged; build the index anew with lba search build") from problem
    if (index.ntotal, index.d) != shape:
        raise SearchError(f"{path}: of another gallery; build the index anew with lba search build")
    if hasattr(index, "nprobe"):
        index.nprobe = max(CELLS_LOOKED_THROUGH, index.nlist // ONE_CELL_IN)
    _, found = index.search(np.ascontiguousarray(queries), min(count, shape[0]))
    return [np.unique(rows[(rows >= 0) & (rows < shape[0])]) for rows in found]

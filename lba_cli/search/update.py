"""Make an index, add images to it and remove images from it: as a whole or not at all.

An update writes a new generation of files and then replaces the manifest, which makes the new generation the index. Whoever
reads meanwhile has the old index or the new one, and so has everybody after a kill. Adding and removing images give the same
index as building it anew from the same images, to the bit.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lba_cli.errors import SearchError, quoted
from lba_cli.files import is_free, whole_folder
from lba_cli.locks import exclusive, lock_beside
from lba_cli.manifest import MANIFEST
from lba_cli.outputs import require_new_folder
from lba_cli.search.embedder import UNIT_TOLERANCE
from lba_cli.search.faiss_index import write_faiss
from lba_cli.search.image_paths import is_below, is_meant_by, require_name
from lba_cli.search.index import Index, IndexDescription, open_index
from lba_cli.search.index_manifest import AGAIN, OURS, Manifest, record, write_manifest
from lba_cli.search.vector_files import ROWS_AT_ONCE, write_npy

# Blocks of an index: n paths, and their (n, D) float32 vectors.
Rows = Iterable[tuple[Sequence[str], NDArray[np.float32]]]


def require_new_index(folder: Path, *, replace: bool) -> None:
    """Check the folder of a new index before any work is done.

    Args:
        folder: the index to make.
        replace: whether an existing index may be replaced. Anything else never is.

    Raises:
        LbaError: something is there already.
    """
    is_index = (folder / MANIFEST).is_file()
    if not (replace and is_index):
        remedy = (
            "add to it with lba search add, or replace it with --force"
            if is_index
            else "remove it first: it is not an index"
        )
        require_new_folder(folder, option="--index", remedy=remedy)


def build_index(folder: Path, description: IndexDescription, rows: Rows, *, replace: bool = False) -> Manifest:
    """Make an index at ``folder`` of ``rows``, which must be in the order of their absolute paths.

    Raises:
        SearchError: the folder exists (see :func:`require_new_index`), or there are no rows.
    """
    with exclusive(lock_beside(folder), f"changing {folder}"):
        require_new_index(folder, replace=replace)
        if is_free(folder):
            with whole_folder(folder) as partial:
                manifest = _write_generation(partial, 1, description, rows, folder)
                write_manifest(partial, manifest)
            return manifest
        return _replace(folder, description, rows)


def add_rows(folder: Path, description: IndexDescription, rows: Rows) -> tuple[Manifest, int]:
    """Add ``rows``, which must be in the order of their absolute paths, and replace the vectors of paths that are there already.

    Returns:
        The new manifest, and the number of vectors that were replaced.

    Raises:
        SearchError: the index is damaged, or has another model or modality.
    """
    with exclusive(lock_beside(folder), f"changing {folder}"):
        index = _open_to_change(folder, description)
        added = folder / f"added-{_next_generation(folder)}.npy"
        names: list[str] = []
        try:
            write_npy(added, description.dimension, _vectors_of(rows, names, description.dimension))
            fresh = set(names)
            entries = [(path, 0, row) for row, path in enumerate(index.paths) if path not in fresh]
            replaced = len(index.paths) - len(entries)
            entries = sorted(entries + [(path, 1, row) for row, path in enumerate(names)])
            sources = (index.vectors, np.load(added, mmap_mode="r", allow_pickle=False))
            return _replace(folder, index.description, _gather(entries, sources)), replaced
        finally:
            added.unlink(missing_ok=True)


def remove_rows(folder: Path, names: Sequence[str]) -> tuple[Manifest, int]:
    """Remove images by their paths, their folders, or globs; the files need not exist any more.

    Returns:
        The new manifest, and the number of images that were removed.

    Raises:
        SearchError: the index is damaged, a name matches no image of it, or no image would be left. Nothing is changed then.
    """
    with exclusive(lock_beside(folder), f"changing {folder}"):
        index = open_index(folder, fully=True)
        gone: set[str] = set()
        for name in names:
            require_name(name)
            matching = set(filter(is_below(name), index.paths)) or set(filter(is_meant_by(name), index.paths))
            if not matching:
                raise SearchError(f"{folder}: {quoted(name, 200)}: no image of the index; nothing was removed")
            gone |= matching
        entries = [(path, 0, row) for row, path in enumerate(index.paths) if path not in gone]
        if not entries:
            raise SearchError(f"{folder}: no image would be left; remove the folder instead")
        return _replace(folder, index.description, _gather(entries, (index.vectors,))), len(gone)


def _open_to_change(folder: Path, description: IndexDescription) -> Index:
    index = open_index(folder, fully=True)
    there = index.description
    if (there.model, there.modality, there.dimension) != (
        description.model,
        description.modality,
        description.dimension,
    ):
        raise SearchError(f"{folder}: was built with another model or modality than the images to add; {AGAIN}")
    return index


def _replace(folder: Path, description: IndexDescription, rows: Rows) -> Manifest:
    """Write a new generation into ``folder``, make it the index, and delete the files of all other generations."""
    generation = _next_generation(folder)
    try:
        manifest = _write_generation(folder, generation, description, rows, folder)
        write_manifest(folder, manifest)
    except BaseException:
        _delete_generations(folder, lambda number: number == generation)
        raise
    _delete_generations(folder, lambda number: number != generation)
    return manifest


def _next_generation(folder: Path) -> int:
    found = (OURS.fullmatch(path.name) for path in folder.iterdir())
    return 1 + max((int(match[2]) for match in found if match), default=0)


def _delete_generations(folder: Path, wanted: Callable[[int], bool]) -> None:
    for path in folder.iterdir():
        match = OURS.fullmatch(path.name)
        if match and wanted(int(match[2])):
            path.unlink(missing_ok=True)


def _write_generation(
    folder: Path, generation: int, description: IndexDescription, rows: Rows, shown: Path
) -> Manifest:
    """Write the files of a generation to the disk, and return their manifest, which isn't written yet.

    Messages call the index ``shown``, because ``folder`` may be a hidden one that is renamed later.
    """
    vectors, paths = folder / f"vectors-{generation}.npy", folder / f"paths-{generation}.csv"
    names: list[str] = []
    count = write_npy(vectors, description.dimension, _vectors_of(rows, names, description.dimension))
    if not count:
        raise SearchError(f"{shown}: there are no images to build an index of")
    with paths.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["path"], *([name] for name in names)])
    faiss = folder / f"faiss-{generation}.index"
    if description.faiss:
        write_faiss(np.load(vectors, mmap_mode="r", allow_pickle=False), faiss)
    for path in (vectors, paths, *([faiss] if description.faiss else [])):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return Manifest(
        model=description.model,
        origin=description.origin,
        height=description.height,
        width=description.width,
        modality=description.modality,
        dimension=description.dimension,
        images=count,
        vectors=record(vectors),
        paths=record(paths),
        faiss=record(faiss) if description.faiss else None,
    )


def _vectors_of(rows: Rows, names: list[str], dimension: int) -> Iterator[NDArray[np.float32]]:
    """Check ``rows``, yield their vectors, and append their paths to ``names``."""
    for paths, vectors in rows:
        if vectors.shape != (len(paths), dimension):
            raise SearchError(f"vectors of shape {vectors.shape} for {len(paths)} paths and {dimension} dimensions")
        if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT_TOLERANCE).all():
            raise SearchError("vectors that are not of unit length")
        if paths and (list(paths) != sorted(set(paths)) or (names and names[-1] >= paths[0])):
            raise SearchError("the paths are not in order, or not distinct")
        names += paths
        yield vectors


def _gather(entries: Sequence[tuple[str, int, int]], sources: Sequence[NDArray[np.float32]]) -> Rows:
    """Yield rows of several arrays in a new order.

    Args:
        entries: for each row its path, the number of its array, and its row in that array.
        sources: the arrays, (n, D) float32 each.
    """
    for start in range(0, len(entries), ROWS_AT_ONCE):
        piece = entries[start : start + ROWS_AT_ONCE]
        block = np.empty((len(piece), sources[0].shape[1]), np.float32)
        chosen = np.asarray([source for _, source, _ in piece])
        rows = np.asarray([row for _, _, row in piece])
        for number, source in enumerate(sources):
            block[chosen == number] = source[rows[chosen == number]]
        yield [path for path, _, _ in piece], block

"""An index is made, added to and removed from: whole or not at all.

An update writes a new generation of files, and the manifest, which is replaced last and at once, makes it the index:
whoever reads meanwhile has the old one or the new one, and so has everybody after a kill. Adding and removing give what
building anew gives: the same paths in the same order, and the same vectors but for the last bits (an image embedded beside
other images may differ there).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lba_cli.errors import SearchError, quoted
from lba_cli.files import is_free, whole_folder
from lba_cli.locks import exclusive, lock_beside
from lba_cli.manifest import MANIFEST
from lba_cli.outputs import require_new_folder
from lba_cli.search.embedder import UNIT_TOLERANCE
from lba_cli.search.faiss_index import write_faiss
from lba_cli.search.image_paths import meaning, require_name, under
from lba_cli.search.index import About, Index, open_index
from lba_cli.search.index_manifest import AGAIN, OURS, Manifest, record, write_manifest
from lba_cli.search.vector_files import ROWS_AT_ONCE, write_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # The paths of some vectors, and the vectors, (n, D) float32.
    Rows = Iterable[tuple[Sequence[str], NDArray[np.float32]]]


def require_new_index(folder: Path, *, replace: bool) -> None:
    """Refuse a folder for a new index before the work for it is done.

    Args:
        folder: the index to make.
        replace: whether an index that is there may be replaced; anything else never is.

    Raises:
        LbaError: something is there already.
    """
    is_index = (folder / MANIFEST).is_file()
    if not (replace and is_index):
        remedy = (
            "add to it with lba search add, or replace it with --force"
            if is_index
            else "remove it first: it is no index"
        )
        require_new_folder(folder, option="--index", remedy=remedy)


def build_index(folder: Path, about: About, rows: Rows, *, replace: bool = False) -> Manifest:
    """Make an index of ``rows``, which come in the order of their absolute paths, at ``folder``.

    Raises:
        LbaError: the folder exists already (see :func:`require_new_index`). SearchError: there are no rows.
    """
    with exclusive(lock_beside(folder), f"changing {folder}"):
        require_new_index(folder, replace=replace)
        if is_free(folder):
            with whole_folder(folder) as partial:
                manifest = _write_generation(partial, 1, about, rows, folder)
                write_manifest(partial, manifest)
            return manifest
        return _replace(folder, about, rows)


def add_rows(folder: Path, about: About, rows: Rows) -> tuple[Manifest, int]:
    """Add ``rows``, in the order of their absolute paths; those of paths that are there already take their place.

    Returns:
        The new manifest, and how many were there already.

    Raises:
        SearchError: the index is damaged, or of another model or modality.
    """
    with exclusive(lock_beside(folder), f"changing {folder}"):
        index = _open_to_change(folder, about)
        added = folder / f"added-{_next_generation(folder)}.npy"
        names: list[str] = []
        try:
            write_npy(added, about.dimension, _noting(rows, names, about.dimension))
            fresh = set(names)
            entries = [(path, 0, row) for row, path in enumerate(index.paths) if path not in fresh]
            replaced = len(index.paths) - len(entries)
            entries = sorted(entries + [(path, 1, row) for row, path in enumerate(names)])
            sources = (index.vectors, np.load(added, mmap_mode="r", allow_pickle=False))
            return _replace(folder, index.about, _gather(entries, sources)), replaced
        finally:
            added.unlink(missing_ok=True)


def remove_rows(folder: Path, names: Sequence[str]) -> tuple[Manifest, int]:
    """Remove the images that ``names`` mean: paths, folders of them, or globs; the files needn't exist any more.

    Returns:
        The new manifest, and how many were removed.

    Raises:
        SearchError: the index is damaged, a name means no image of it, or none would be left; nothing is changed.
    """
    with exclusive(lock_beside(folder), f"changing {folder}"):
        index = open_index(folder, fully=True)
        gone: set[str] = set()
        for name in names:
            require_name(name)
            matching = set(filter(under(name), index.paths)) or set(filter(meaning(name), index.paths))
            if not matching:
                raise SearchError(f"{folder}: {quoted(name, 200)}: no image of the index; nothing was removed")
            gone |= matching
        entries = [(path, 0, row) for row, path in enumerate(index.paths) if path not in gone]
        if not entries:
            raise SearchError(f"{folder}: no image would be left; remove the folder instead")
        return _replace(folder, index.about, _gather(entries, (index.vectors,))), len(gone)


def _open_to_change(folder: Path, about: About) -> Index:
    index = open_index(folder, fully=True)
    there = index.about
    if (there.model, there.modality, there.dimension) != (about.model, about.modality, about.dimension):
        raise SearchError(f"{folder}: of another model or modality than what is added; {AGAIN}")
    return index


def _replace(folder: Path, about: About, rows: Rows) -> Manifest:
    """Write a new generation into ``folder``, make it the index, and remove all others."""
    generation = _next_generation(folder)
    try:
        manifest = _write_generation(folder, generation, about, rows, folder)
        write_manifest(folder, manifest)
    except BaseException:
        _sweep(folder, lambda number: number == generation)
        raise
    _sweep(folder, lambda number: number != generation)
    return manifest


def _next_generation(folder: Path) -> int:
    found = (OURS.fullmatch(path.name) for path in folder.iterdir())
    return 1 + max((int(match[2]) for match in found if match), default=0)


def _sweep(folder: Path, wanted: Callable[[int], bool]) -> None:
    for path in folder.iterdir():
        match = OURS.fullmatch(path.name)
        if match and wanted(int(match[2])):
            path.unlink(missing_ok=True)


def _write_generation(folder: Path, generation: int, about: About, rows: Rows, named: Path) -> Manifest:
    """Write the files of a generation, and flush them; its manifest, which isn't written."""
    vectors, paths = folder / f"vectors-{generation}.npy", folder / f"paths-{generation}.csv"
    names: list[str] = []
    count = write_npy(vectors, about.dimension, _noting(rows, names, about.dimension))
    if not count:
        raise SearchError(f"{named}: there are no images to build an index of")
    with paths.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["path"], *([name] for name in names)])
    faiss = folder / f"faiss-{generation}.index"
    if about.faiss:
        write_faiss(np.load(vectors, mmap_mode="r", allow_pickle=False), faiss)
    for path in (vectors, paths, *([faiss] if about.faiss else [])):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return Manifest(
        model=about.model,
        origin=about.origin,
        height=about.height,
        width=about.width,
        modality=about.modality,
        dimension=about.dimension,
        images=count,
        vectors=record(vectors),
        paths=record(paths),
        faiss=record(faiss) if about.faiss else None,
    )


def _noting(rows: Rows, names: list[str], dimension: int) -> Iterator[NDArray[np.float32]]:
    """The vectors of ``rows``, while their paths are noted in ``names``."""
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
    """The rows of several arrays in another order: a (path, which array, which of its rows) each."""
    for start in range(0, len(entries), ROWS_AT_ONCE):
        piece = entries[start : start + ROWS_AT_ONCE]
        block = np.empty((len(piece), sources[0].shape[1]), np.float32)
        chosen = np.asarray([source for _, source, _ in piece])
        rows = np.asarray([row for _, _, row in piece])
        for number, source in enumerate(sources):
            block[chosen == number] = source[rows[chosen == number]]
        yield [path for path, _, _ in piece], block

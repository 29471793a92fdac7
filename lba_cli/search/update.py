"""Build an index, add images to it and remove images from it, all atomically.

An update writes a new generation of files and then replaces the manifest, which makes the new generation the index. Readers
always see either the old index or the new one, even if the update is killed. After adding or removing images, the index
equals one that is rebuilt from the same images, bit for bit.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lba_cli.errors import SearchError, quoted
from lba_cli.files import flush_to_disk, is_free, remove_file, whole_folder, write_text
from lba_cli.locks import exclusive, lock_beside
from lba_cli.manifest import MANIFEST
from lba_cli.outputs import require_new_folder
from lba_cli.search.faiss_index import write_faiss
from lba_cli.search.gallery import IndexDescription, Rows, checked_rows
from lba_cli.search.image_paths import find_stored
from lba_cli.search.index import OURS, IndexFile, Manifest, open_index
from lba_cli.search.vector_files import ROWS_AT_ONCE, write_npy
from lba_cli.vocabulary import VectorDtype


class Storage(NamedTuple):
    """How an index keeps its vectors: with a FAISS index, which every update rebuilds, or without; and their dtype."""

    faiss: bool = False
    dtype: VectorDtype = "float32"

    @classmethod
    def of(cls, manifest: Manifest) -> "Storage":
        """Return the storage of an index."""
        return cls(bool(manifest.faiss), manifest.dtype)


def require_new_index(folder: Path, *, replace: bool) -> None:
    """Raise an LbaError if ``folder`` exists, unless it is an index and ``replace`` is set."""
    remedy = "remove it first: it is not an index"
    if (folder / MANIFEST).is_file():
        if replace:
            return
        remedy = "add to it with lba search add, or replace it with --force"
    require_new_folder(folder, option="--index", remedy=remedy)


def build_index(
    folder: Path,
    description: IndexDescription,
    rows: Rows,
    *,
    storage: Storage = Storage(),
    replace: bool = False,
) -> Manifest:
    """Build an index at ``folder`` from ``rows``, which must be in the order of their absolute paths.

    Raises:
        SearchError: the folder exists (see :func:`require_new_index`), or there are no rows.
    """
    with exclusive(lock_beside(folder), f"changing {folder}"):
        require_new_index(folder, replace=replace)
        if is_free(folder):
            with whole_folder(folder) as partial:
                return _write_generation(partial, 1, description, rows, storage)
        return _replace(folder, description, rows, storage)


def add_rows(folder: Path, description: IndexDescription, rows: Rows) -> tuple[Manifest, int]:
    """Add ``rows``, which must be in the order of their absolute paths. Existing vectors of the same paths are replaced.

    Returns:
        The new manifest, and the number of vectors that were replaced.

    Raises:
        SearchError: the index is damaged, or has another model or modality.
    """
    with exclusive(lock_beside(folder), f"changing {folder}"):
        index = open_index(folder, fully=True)
        index.require_alike(description)
        added = folder / f"added-{_next_generation(folder)}.npy"
        names: list[str] = []
        try:
            write_npy(added, description.dimension, _vectors_of(rows, names, description.dimension))
            fresh = set(names)
            entries = [(path, 0, row) for row, path in enumerate(index.paths) if path not in fresh]
            replaced = len(index.paths) - len(entries)
            entries = sorted(entries + [(path, 1, row) for row, path in enumerate(names)])
            sources = (index.vectors, np.load(added, mmap_mode="r", allow_pickle=False))
            gathered = _gather(entries, sources)
            return _replace(folder, index.manifest, gathered, Storage.of(index.manifest)), replaced
        finally:
            remove_file(added)


def remove_rows(folder: Path, names: Sequence[str]) -> tuple[Manifest, int]:
    """Remove the images that ``names`` refer to: paths of images or folders, or globs. The files may already be deleted.

    Returns:
        The new manifest, and the number of images that were removed.

    Raises:
        SearchError: the index is damaged, a name matches no image of the index, or no image would be left; nothing is removed.
    """
    with exclusive(lock_beside(folder), f"changing {folder}"):
        index = open_index(folder, fully=True)
        gone: set[str] = set()
        for name in names:
            matching = find_stored(name, lambda *_: index.paths)
            if not matching:
                raise SearchError(f"{folder}: {quoted(name, 200)}: matches no image in the index; nothing was removed")
            gone |= matching
        entries = [(path, 0, row) for row, path in enumerate(index.paths) if path not in gone]
        if not entries:
            raise SearchError(f"{folder}: no image would be left; remove the folder instead")
        left = _gather(entries, (index.vectors,))
        return _replace(folder, index.manifest, left, Storage.of(index.manifest)), len(gone)


def _replace(folder: Path, description: IndexDescription, rows: Rows, storage: Storage) -> Manifest:
    """Write a new generation into ``folder``, make it the index, and delete the files of all other generations."""
    generation = _next_generation(folder)
    try:
        manifest = _write_generation(folder, generation, description, rows, storage)
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
            remove_file(path)


def _write_generation(
    folder: Path, generation: int, description: IndexDescription, rows: Rows, storage: Storage
) -> Manifest:
    """Write the files of a generation to the disk, and then the manifest that makes it the index."""
    files = {
        "vectors": folder / f"vectors-{generation}.npy",
        "paths": folder / f"paths-{generation}.csv",
        **({"faiss": folder / f"faiss-{generation}.index"} if storage.faiss else {}),
    }
    names: list[str] = []
    vectors = _vectors_of(rows, names, description.dimension)
    count = write_npy(files["vectors"], description.dimension, vectors, storage.dtype)
    if not count:
        raise SearchError("there are no images to build an index from")
    with files["paths"].open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["path"], *([name] for name in names)])
    if storage.faiss:
        write_faiss(np.load(files["vectors"], mmap_mode="r", allow_pickle=False), files["faiss"])
    for path in files.values():
        flush_to_disk(path)
    common = {name: getattr(description, name) for name in IndexDescription.model_fields}
    records: dict[str, Any] = {kind: IndexFile.of(path) for kind, path in files.items()}
    manifest = Manifest(**common, **records, images=count, dtype=storage.dtype)
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def _vectors_of(rows: Rows, names: list[str], dimension: int) -> Iterator[NDArray[np.float32]]:
    """Check ``rows``, yield their vectors, and append their paths to ``names``."""
    for paths, vectors in checked_rows(rows, dimension):
        names += paths
        yield vectors


def _gather(entries: Sequence[tuple[str, int, int]], sources: Sequence[NDArray[np.floating]]) -> Rows:
    """Yield rows of several (n, D) arrays in a new order: each entry has a path, the number of an array, and a row in it."""
    for start in range(0, len(entries), ROWS_AT_ONCE):
        piece = entries[start : start + ROWS_AT_ONCE]
        block = np.empty((len(piece), sources[0].shape[1]), np.float32)
        chosen, rows = (np.asarray(column) for column in list(zip(*piece, strict=True))[1:])
        for number, source in enumerate(sources):
            block[chosen == number] = source[rows[chosen == number]]
        yield [path for path, _, _ in piece], block

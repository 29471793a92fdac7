"""Prepare a data set: decode and resize every image once, on all cores and in constant memory, and write a store."""

import os
import shutil
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lba_cli.data.broken_images import BrokenImage
from lba_cli.data.image_files import decode_image
from lba_cli.data.parallel import map_chunks
from lba_cli.data.pixel_values import count_facts, warn_of_values
from lba_cli.data.samples import Listing, fingerprint, identity_classes, select
from lba_cli.data.store import StoredImages
from lba_cli.data.store_manifest import (
    IMAGES,
    PERMUTATIONS,
    Manifest,
    Skipped,
    StoredRow,
    write_manifest,
    write_samples,
)
from lba_cli.errors import DataError, one_line
from lba_cli.files import whole_folder
from lba_cli.locks import exclusive, lock_beside
from lba_cli.manifest import file_digest
from lba_cli.outputs import require_new_folder
from lba_cli.reporting import Listener
from lba_cli.value_range import ValueRange
from lba_cli.vocabulary import MODALITIES

ZEROS = bytes(2**20)
ARRAY_NAMES = {"visible": "rgb", "infrared": "ir"}


@dataclass(frozen=True)
class Prepared:
    """A new store: its folder, its number of images, and the (path, reason) of each image that was left out."""

    store: Path
    images: int
    skipped: tuple[tuple[str, str], ...]


def prepare(
    listing: Listing,
    output: Path,
    height: int,
    width: int,
    *,
    listener: Listener,
    workers: int | None = None,
    skip_broken: bool = False,
    shared_arrays: bool = False,
) -> Prepared:
    """Resize all images of a data set and write them as a store.

    Args:
        listing: the data set's images.
        output: the store's folder; it appears only when it is complete.
        height, width: the size of the resized images, in pixels.
        listener: receives the progress.
        workers: number of processes; one per core if None.
        skip_broken: whether images that can't be decoded are left out and recorded in the manifest.
        shared_arrays: whether to write the training images also as the four arrays that other code bases of the field read,
            ``train_{rgb,ir}_resized_{img,label}.npy``.

    Raises:
        LbaError: ``output`` exists and isn't an empty folder.
        DataError: some images can't be decoded; the message lists them all.
    """
    require_new_folder(output)
    # A data set of several trials has several samples per image.
    rows = {path: row for row, path in enumerate(dict.fromkeys(sample.path for sample in listing.samples))}
    with exclusive(lock_beside(output), f"preparing {output}"), whole_folder(output) as folder:
        written, broken, facts = _write_images(listing, list(rows), folder / IMAGES, (height, width), workers, listener)
        if broken and not skip_broken:
            lines = [f"  {one_line(listing.root / path)}: {reason}" for path, reason in sorted(broken.items())]
            raise DataError(
                f"{len(broken)} of {len(rows)} images can't be decoded; replace them, or leave them out with --skip-broken. "
                "Nothing was written.\n" + "\n".join(lines)
            )
        kept = [sample for sample in listing.samples if sample.path in written]
        write_samples(folder, [written[sample.path] for sample in kept], kept)
        if listing.permutations:
            shutil.copyfile(listing.permutations, folder / PERMUTATIONS)
        manifest = _manifest(listing, (height, width), len(written), broken, facts)
        write_manifest(folder, manifest)
        if shared_arrays:
            _write_shared_arrays(folder, listener)
            write_manifest(folder, manifest)  # again, because the manifest lists all files
    warn_of_values(listener, facts, len(written), listing.value_range)
    return Prepared(output, len(written), tuple(sorted(broken.items())))


def _manifest(
    listing: Listing, size: tuple[int, int], images: int, broken: Mapping[str, str], facts: Mapping[str, int]
) -> Manifest:
    return Manifest(
        name=listing.name,
        dataset=listing.dataset,
        height=size[0],
        width=size[1],
        images=images,
        # A folder's name may be any bytes, but the manifest is UTF-8.
        source=str(listing.root.resolve()).encode(errors="backslashreplace").decode(),
        fingerprint=fingerprint(listing),
        skipped=tuple(Skipped(path=path, reason=reason) for path, reason in sorted(broken.items())),
        value_range=listing.value_range,
        pixel_facts=dict(sorted(facts.items())),
    )


class _Outcome(NamedTuple):
    """The rows of written images and the reasons why other images can't be decoded, by path, and the counted facts."""

    written: dict[str, StoredRow]
    broken: dict[str, str]
    facts: Counter[str]


def _write_images(
    listing: Listing, paths: list[str], array: Path, size: tuple[int, int], workers: int | None, listener: Listener
) -> _Outcome:
    """Write the images at ``paths``, resized to ``size``, into the new file ``array``, one row per image."""
    rows = np.lib.format.open_memmap(array, "w+", np.uint8, (len(paths), *size, 3))
    rows.flush()
    _allocate(array, rows.offset)
    del rows
    outcome = _Outcome({}, {}, Counter())
    fill = partial(_fill_rows, listing.root, array, listing.value_range)
    with (
        listener.task(f"resizing to {size[0]}×{size[1]}", len(paths), "images") as progress,
        map_chunks(fill, list(enumerate(paths)), workers=workers) as chunks,
    ):
        for done, part in chunks:
            outcome.written.update(part.written)
            outcome.broken.update(part.broken)
            outcome.facts.update(part.facts)
            progress.advance(done)
    return outcome


def _allocate(array: Path, start: int) -> None:
    """Reserve disk space for a file whose bytes from ``start`` onwards haven't been written yet.

    Raises an OSError if the disk is full. Without this reservation, a later write to the memory-mapped file would kill the process.
    """
    size = array.stat().st_size
    with array.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        file.seek(start)
        for position in range(start, size, len(ZEROS)):
            file.write(ZEROS[: size - position])


def _fill_rows(root: Path, array: Path, value_range: ValueRange, jobs: Sequence[tuple[int, str]]) -> _Outcome:
    """Decode images into the rows of the memory-mapped file ``array``. ``jobs`` are pairs of a row and an image's path."""
    rows = np.load(array, mmap_mode="r+")
    height, width = rows.shape[1:3]
    outcome, facts = _Outcome({}, {}, Counter()), []
    for row, path in jobs:
        try:
            image, found = decode_image(root / path, height, width, value_range)
        except BrokenImage as problem:
            outcome.broken[path] = str(problem)
        else:
            rows[row] = image
            outcome.written[path] = StoredRow(row, zlib.crc32(image.data), file_digest(root / path))
            facts.append(found)
    outcome.facts.update(count_facts(facts))
    return outcome


def _write_shared_arrays(folder: Path, listener: Listener, chunk: int = 256) -> None:
    """Write the training images of a store as the four arrays that other code reads, ``chunk`` images at a time."""
    store = StoredImages(folder)
    classes = identity_classes(store.samples)
    for modality in MODALITIES:
        chosen = select(store.samples, "train", modality)
        stem = f"train_{ARRAY_NAMES[modality]}_resized"
        np.save(
            folder / f"{stem}_label.npy", np.asarray([classes[store.samples[i].identity] for i in chosen], np.int64)
        )
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(chosen), store.height, store.width, 3)}
        with (
            (folder / f"{stem}_img.npy").open("wb") as file,
            listener.task(f"writing {stem}_img.npy", len(chosen), "images") as progress,
        ):
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(chosen), chunk):
                piece = chosen[start : start + chunk]
                file.write(store.read(piece).tobytes())
                progress.advance(len(piece))

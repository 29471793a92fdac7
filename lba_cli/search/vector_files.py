"""Write vectors to files, one block at a time: ``.npy``, or ``.npz`` and ``.csv`` with the paths beside the vectors.

- A ``.npz`` has ``paths`` (n,) text, ``features`` (n, D) float32 of unit length, and the single values ``modality``,
  ``model`` (the fingerprint), ``height`` and ``width``. ``np.load`` opens it without pickles.
- A ``.csv`` has a row for each image: path, modality, and D numbers with enough digits to give the same float32 back.
"""

import csv
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lba_cli.vocabulary import Modality, VectorDtype

ROWS_AT_ONCE = 4096
FLOAT32 = np.dtype("<f4")


@dataclass(frozen=True)
class VectorTable:
    """Embedded images.

    Attributes:
        paths: n paths.
        blocks, dimension: a function that yields their (n, D) float32 vectors in the same order, in blocks of rows, and D.
        modality, model: the modality of the images, and the fingerprint of the model.
        height, width: the size of the model's input images, in pixels.
    """

    paths: Sequence[str]
    blocks: Callable[[], Iterator[NDArray[np.float32]]]
    dimension: int
    modality: Modality
    model: str
    height: int
    width: int


def write_npy(path: Path, dimension: int, blocks: Iterable[NDArray[np.float32]], dtype: VectorDtype = "float32") -> int:
    """Write (n, ``dimension``) float32 blocks as one ``.npy``, rounded to ``dtype``, and return the number of rows."""
    rows, kind = 0, np.dtype(dtype).newbyteorder("<")
    with path.open("wb") as file:
        _header(file, kind, (0, dimension))
        start = file.tell()
        for block in blocks:
            file.write(np.ascontiguousarray(block, kind).data)
            rows += len(block)
        file.seek(0)
        _header(file, kind, (rows, dimension))  # NumPy pads headers, so this one is as long as the first
        assert file.tell() == start
    return rows


def write_npz(path: Path, table: VectorTable) -> None:
    """Write ``table`` as a ``.npz``, in constant memory."""
    words = np.dtype(f"<U{max(map(len, table.paths), default=1)}")
    count = len(table.paths)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open(_entry("paths"), "w", force_zip64=True) as file:
            _header(file, words, (count,))
            for start in range(0, count, ROWS_AT_ONCE):
                file.write(np.asarray(table.paths[start : start + ROWS_AT_ONCE], words).tobytes())
        with archive.open(_entry("features"), "w", force_zip64=True) as file:
            _header(file, FLOAT32, (count, table.dimension))
            for block in table.blocks():
                file.write(block.data)
        single = {"modality": table.modality, "model": table.model, "height": table.height, "width": table.width}
        for name, value in single.items():
            with archive.open(_entry(name), "w") as file:
                np.lib.format.write_array(file, np.asarray(value), allow_pickle=False)


def write_csv(path: Path, table: VectorTable) -> None:
    """Write ``table`` as a ``.csv`` with a header line, in constant memory."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "modality", *(f"v{column}" for column in range(table.dimension))])
        names = iter(table.paths)
        for block in table.blocks():
            for row in block.tolist():
                writer.writerow([next(names), table.modality, *(f"{value:.9g}" for value in row)])


FORMATS: dict[str, Callable[[Path, VectorTable], None]] = {".npz": write_npz, ".csv": write_csv}


def _entry(name: str) -> zipfile.ZipInfo:
    """Return an archive entry without the time of writing, so that the same content has the same bytes."""
    return zipfile.ZipInfo(f"{name}.npy")


def _header(file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(
        file, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    )

"""Read a user's own images from a CSV file that lists their paths, identities, modalities, cameras and splits."""

import csv
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lba_cli.data.samples import NO_CAMERA
from lba_cli.datasets.layout import MODALITY_WORDS
from lba_cli.datasets.lists import inner_path, read_lines
from lba_cli.datasets.own_images import OwnImage, modality_named
from lba_cli.errors import DataError, quoted
from lba_cli.vocabulary import ALL_SPLITS

REQUIRED, OPTIONAL = ("path", "identity", "modality"), ("camera", "split")
COLUMNS = "path, identity, modality and, if they are known, camera and split"
MOST_BYTES = 2**28
_CAMERA = re.compile(r"([0-9]{1,9})(?:\.0)?")  # spreadsheets and pandas write 3.0 where other cells are empty


class _Row(NamedTuple):
    """One line of the list: ``place`` is its ``FILE:LINE``, for messages, and ``cells`` holds its text by column."""

    place: str
    cells: dict[str, str]

    def refuse(self, column: str, what: str) -> DataError:
        return DataError(f"{self.place}: {column} {quoted(self.cells[column])} {what}")


def read_csv(path: Path) -> tuple[list[OwnImage], list[str]]:
    """Return the images that a CSV file lists, and notes for the user.

    The first line names the columns, in any order and letter case; columns other than :data:`REQUIRED` and :data:`OPTIONAL`
    are ignored, with a note. Commas or semicolons separate cells. Image paths are relative to the file's folder.

    Raises:
        DataError: the file is missing or isn't a CSV file with these columns, a cell is empty or invalid, or an image is missing
            or listed twice.
    """
    lines = read_lines(path, f"a CSV file with the columns {COLUMNS} should be there", MOST_BYTES)
    if not lines:
        raise DataError(f"{path}:1: empty; the first line should name the columns {COLUMNS}")
    rows = list(_rows(path, lines))
    has_splits = any(row.cells.get("split") for row in rows)
    images: dict[str, OwnImage] = {}
    for row in rows:
        image = _image(row, has_splits)
        if images.setdefault(image.path, image) is not image:
            raise row.refuse("path", f"is already in {images[image.path].place}")
    _require_files(path.parent, list(images.values()))
    ignored = [
        name for name in _columns(path, lines[0], _delimiter(lines[0])) if name not in ("", *REQUIRED, *OPTIONAL)
    ]
    notes = [f"columns that are not read: {', '.join(map(quoted, ignored))}"] if ignored else []
    return list(images.values()), notes


def _rows(path: Path, lines: list[str]) -> Iterator[_Row]:
    delimiter = _delimiter(lines[0])
    columns = _columns(path, lines[0], delimiter)
    for number, line in enumerate(lines[1:], start=2):
        place = f"{path}:{number}"
        cells = _cells(place, line, delimiter)
        if len(cells) > len(columns):
            raise DataError(
                f"{place}: has {len(cells)} cells, but the first line names {len(columns)} columns; a cell that contains "
                f"{quoted(delimiter)} needs quotes"
            )
        if any(cells):
            cells += [""] * (len(columns) - len(cells))  # spreadsheets may leave out empty cells at the end
            yield _Row(place, dict(zip(columns, cells, strict=True)))


def _columns(path: Path, line: str, delimiter: str) -> list[str]:
    columns = [name.lower() for name in _cells(f"{path}:1", line, delimiter)]
    if lacking := [name for name in REQUIRED if name not in columns]:
        raise DataError(
            f"{path}:1: has no column '{lacking[0]}': the first line should name the columns {COLUMNS}, not {quoted(line)}"
        )
    if twice := [name for name in columns if name and columns.count(name) > 1]:
        raise DataError(f"{path}:1: names the column {quoted(twice[0])} twice")
    return columns


def _delimiter(line: str) -> str:
    return max(",;", key=line.count)


def _cells(place: str, line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True), [])]
    except csv.Error as problem:
        raise DataError(f"{place}: not a line of a CSV file: {problem}") from None


def _image(row: _Row, has_splits: bool) -> OwnImage:
    """Return the image that a row describes. Raises a DataError if a required cell is empty, or a cell is invalid."""
    cells = row.cells
    if empty := [name for name in (*REQUIRED, *(["split"] if has_splits else [])) if not cells[name]]:
        every = "; every row needs a split, because other rows have one" if empty[0] == "split" else ""
        raise DataError(f"{row.place}: {empty[0]} is empty{every}")
    modality = modality_named(cells["modality"])
    if not modality:
        words = "; ".join(", ".join(words) for words in MODALITY_WORDS.values())
        raise row.refuse("modality", f"is unknown; valid: {words}")
    split = cells.get("split", "").lower() or None
    if split not in (None, *ALL_SPLITS):
        raise row.refuse("split", f"is unknown; valid: {', '.join(ALL_SPLITS)}")
    camera = NO_CAMERA
    if cells.get("camera"):
        number = _CAMERA.fullmatch(cells["camera"])
        if not number:
            raise row.refuse("camera", "is not a whole number; leave the cell empty if the camera is unknown")
        camera = int(number[1])
    identity, path = unicodedata.normalize("NFC", cells["identity"]), inner_path(cells["path"], row.place)
    return OwnImage(path, identity, modality, camera, row.place, split)


def _require_files(root: Path, images: list[OwnImage]) -> None:
    missing = [image for image in images if not (root / image.path).is_file()]
    if missing:
        count = f" ({len(missing)} of {len(images)} listed images are missing)" if len(missing) > 1 else ""
        raise DataError(
            f"{missing[0].place}: no such file: {root / missing[0].path}{count}; paths are relative to the folder of the list"
        )

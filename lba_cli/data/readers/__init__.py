"""One reader a data set: a root folder -> a Listing. Nobody after them parses a file name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lba_cli.data.readers import folder, llcm, regdb, sysu
from lba_cli.data.readers.folder import FolderSplit, read_folder
from lba_cli.data.readers.layout import Layout, spelling_hint
from lba_cli.data.readers.llcm import read_llcm
from lba_cli.data.readers.regdb import read_regdb
from lba_cli.data.readers.sysu import read_sysu
from lba_cli.data.samples import Listing
from lba_cli.errors import DataError
from lba_cli.vocabulary import Dataset, DatasetChoice

READERS: dict[Dataset, Callable[[Path, FolderSplit], Listing]] = {
    "sysu": lambda root, _: read_sysu(root),
    "regdb": lambda root, _: read_regdb(root),
    "llcm": lambda root, _: read_llcm(root),
    "folder": read_folder,
}
LAYOUTS: dict[Dataset, Layout] = {room.LAYOUT.dataset: room.LAYOUT for room in (sysu, regdb, llcm, folder)}


def read_dataset(root: Path, dataset: DatasetChoice = "auto", split: FolderSplit | None = None) -> Listing:
    """List the images of the data set at ``root``.

    Args:
        root: its folder.
        dataset: whose layout it has; ``auto`` looks.
        split: of folders of one's own; the others come with theirs.

    Raises:
        DataError: there is no such data set, or it is malformed.
    """
    return READERS[dataset if dataset != "auto" else detect(root)](root, split or FolderSplit())


def detect(root: Path) -> Dataset:
    """Whose layout the folder ``root`` has.

    Raises:
        DataError: no data set's, or those of more than one.
    """
    found = [dataset for dataset, layout in LAYOUTS.items() if layout.looks_like(root)]
    if len(found) == 1:
        return found[0]
    known = "; ".join(f"{layout.title} ({layout.described})" for layout in LAYOUTS.values())
    if found:
        raise DataError(
            f"{root}: has the folders of more than one data set ({', '.join(found)}): say which it is with "
            f"--set data.dataset={found[0]}, or keep each in a folder of its own"
        )
    lacking = "no data set that is known" if root.is_dir() else "no such folder"
    raise DataError(
        f"{root}: {lacking}; looked for {known}. {spelling_hint(root)}To try without them: lba prepare synthetic --output {root}"
    )


__all__ = [
    "LAYOUTS",
    "READERS",
    "FolderSplit",
    "detect",
    "read_dataset",
    "read_folder",
    "read_llcm",
    "read_regdb",
    "read_sysu",
]

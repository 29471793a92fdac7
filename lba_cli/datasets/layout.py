"""The contents of a data set's folder: how the data set is recognised, what it needs, and how to get it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from lba_cli.datasets.misplaced import better_root, whereabouts
from lba_cli.errors import DataError
from lba_cli.files import read_text
from lba_cli.vocabulary import Modality

SYNTHETIC_MARK = "synthetic.json"
SIGNED_AGREEMENT = "Its authors give it out on a signed agreement (see docs/data.md)."  # a layout's source
# Usual words for the modalities, in lower case.
MODALITY_WORDS: dict[Modality, tuple[str, ...]] = {
    "visible": ("visible", "vis", "rgb"),
    "infrared": ("infrared", "thermal", "nir", "ir"),
}


@dataclass(frozen=True)
class Layout:
    """The folders and lists of a data set.

    Attributes:
        name, title: the data set's name on the command line, and in messages and reports.
        described: its folders and lists in a few words, for messages.
        signs: names of files or folders in the root that no other data set has; one of them identifies the data set.
        folders, lists: the folders and the files that the data set needs, relative to the root.
        list_suffix: the ending of a list of images that may be used instead of a folder; empty if this isn't possible.
        source: how to get the data set, as a sentence; empty for a user's own images.
    """

    name: str
    title: str
    described: str
    signs: tuple[str, ...]
    folders: tuple[str, ...]
    lists: tuple[str, ...] = ()
    list_suffix: str = ""
    source: str = ""

    def looks_like(self, root: Path) -> bool:
        """Return whether ``root`` contains one of the signs, spelled exactly, or is a list of images."""
        if root.is_file():
            return root.suffix.lower() == self.list_suffix
        return root.is_dir() and not {entry.name for entry in root.iterdir()}.isdisjoint(self.signs)

    @property
    def needed(self) -> tuple[str, ...]:
        """All folders and lists that the data set needs."""
        return (*self.folders, *self.lists)

    def missing(self, root: Path) -> list[str]:
        """Return the needed folders that ``root`` lacks, and the needed lists that existing folders lack."""
        folders = [name for name in self.folders if not (root / name).is_dir()]
        lists = [name for name in self.lists if not (root / name).is_file() and name.rpartition("/")[0] not in folders]
        return folders + lists

    def require(self, root: Path) -> None:
        """Raise a DataError if ``root`` lacks folders or lists. The message says where they are, or how to get the data set."""
        if root.exists() and not root.is_dir():
            raise DataError(
                f"{root}: not a folder: name the folder of {self.title} ({self.described}), and unpack an archive first"
            )
        if not root.is_dir():
            lost = f"{root}: no such folder; {self.title} should be there ({self.described}). "
            raise DataError(lost + (better_root(root, self.needed) or self._remedy(root)))
        if missing := self.missing(root):
            hint = better_root(root, self.needed) or whereabouts(root, missing)[0]
            raise DataError(
                f"{root}: not {self.title}, or an incomplete copy; missing: {', '.join(missing)}. {hint}{spelling_hint(root)}"
                f"{'' if hint else self._remedy('another folder')}".rstrip()
            )

    def _remedy(self, place: object) -> str:
        source = f"{self.source} " if self.source else ""
        return f"{source}To try lba without it: lba prepare synthetic --layout {self.name} --output {place}"


def spelling_hint(root: Path) -> str:
    """Return a hint if subfolders of ``root`` look like a user's own images, but are called ``RGB`` and ``IR`` or the like; else ""."""
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []
    similar = {modality: [n for n in names if n.lower() in words] for modality, words in MODALITY_WORDS.items()}
    if "idx" in names or not all(similar.values()) or all(modality in names for modality in similar):
        return ""
    found = " and ".join(f"{choice[0]}/" for choice in similar.values())
    wanted = " and ".join(f"{modality}/" for modality in similar)
    return f"If {found} hold your own images, rename them to {wanted} and run lba prepare folder --root {root}. "


def name_of(root: Path, title: str) -> str:
    """Return the data set's name in reports: ``title``, or ``synthetic-PRESET`` if the images at ``root`` are synthetic."""
    mark = root / SYNTHETIC_MARK
    if not mark.is_file():
        return title
    try:
        preset = json.loads(read_text(mark))["preset"]
        if not re.fullmatch("[a-z]{1,20}", preset):
            raise ValueError
        return f"synthetic-{preset}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError(
            f"{mark}: damaged; it should name the preset of the synthetic data: generate them again"
        ) from None

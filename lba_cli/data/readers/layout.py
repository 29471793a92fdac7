"""What a data set's folder must have, how it is told from others, and what it is called."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from lba_cli.errors import DataError
from lba_cli.files import read_text
from lba_cli.vocabulary import Dataset, Modality

_ALIKE: dict[Modality, tuple[str, ...]] = {
    "visible": ("visible", "vis", "rgb"),
    "infrared": ("infrared", "thermal", "nir", "ir"),
}
SYNTHETIC_MARK = "synthetic.json"


@dataclass(frozen=True)
class Layout:
    """How a data set lies on disk.

    Attributes:
        dataset: its reader.
        title: as reports and messages call it.
        described: what is in its root, in words.
        signs: names directly in the root, any of which other layouts don't have.
        folders: relative to the root; all are needed.
        lists: files relative to the root; all are needed.
    """

    dataset: Dataset
    title: str
    described: str
    signs: tuple[str, ...]
    folders: tuple[str, ...]
    lists: tuple[str, ...] = ()

    def looks_like(self, root: Path) -> bool:
        """Whether ``root`` has anything of this layout's own, in the exact spelling; the copy may be incomplete."""
        return root.is_dir() and not {entry.name for entry in root.iterdir()}.isdisjoint(self.signs)

    def require(self, root: Path) -> None:
        """Refuse a root that lacks something.

        Raises:
            DataError: naming all that is missing, and where to get it.
        """
        if not root.is_dir():
            raise DataError(f"{root}: no such folder; looked for {self._theirs} there. {self.remedy} {root}")
        missing = [name for name in self.folders if not (root / name).is_dir()]
        missing += [name for name in self.lists if not (root / name).is_file()]
        if missing:
            raise DataError(
                f"{root}: not {self.title}, or not all of it: it has no {', '.join(missing)}. {spelling_hint(root)}"
                f"{self.remedy} another folder"
            )

    @property
    def remedy(self) -> str:
        """How to get such a data set; a folder's name completes the command."""
        option = "" if self.dataset == "sysu" else f"--layout {self.dataset} "
        without = f"to try without it: lba prepare synthetic {option}--output"
        if self.dataset == "folder":
            return without[0].upper() + without[1:]
        return f"{self.title} is given out by its authors on a signed agreement (see the README); {without}"

    @property
    def _theirs(self) -> str:
        return self.described if self.dataset == "folder" else f"{self.title}'s {self.described}"


def spelling_hint(root: Path) -> str:
    """A sentence on folders in ``root`` that look like a user's own images but aren't spelled that way; or nothing."""
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []
    alike = {modality: [n for n in names if n.lower() in words] for modality, words in _ALIKE.items()}
    if "idx" in names or not all(alike.values()) or all(modality in names for modality in alike):
        return ""
    found = " and ".join(f"{choice[0]}/" for choice in alike.values())
    wanted = " and ".join(f"{modality}/" for modality in alike)
    return f"If {found} are folders of your own, spell them {wanted}: lba prepare folder --root {root}. "


def name_of(root: Path, real: str) -> str:
    """The name of the data set at ``root``: ``real``, or ``synthetic-PRESET`` so that every report says so.

    Raises:
        DataError: the mark of synthetic data is damaged.
    """
    mark = root / SYNTHETIC_MARK
    if not mark.is_file():
        return real
    try:
        preset = json.loads(read_text(mark))["preset"]
        if not re.fullmatch("[a-z]{1,20}", preset):
            raise ValueError
        return f"synthetic-{preset}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{mark}: damaged; it should say how the synthetic data were drawn") from None

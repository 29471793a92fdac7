"""A user's own images: ``visible`` and ``infrared`` / identity / images, split into train and test by the user's choice."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from lba_cli.data.images import formats
from lba_cli.data.readers.layout import Layout, name_of
from lba_cli.data.readers.lists import read_lines, shortened
from lba_cli.data.readers.scan import Scan, camera_in_name, require_text
from lba_cli.data.samples import Listing, Sample, in_order
from lba_cli.errors import ConfigError, DataError
from lba_cli.vocabulary import MODALITIES, Modality, Part

LAYOUT = Layout("folder", "folders of your own", "visible/IDENTITY and infrared/IDENTITY", MODALITIES, MODALITIES)

# {identity's name: {modality: paths}}
People = dict[str, dict[Modality, list[str]]]


@dataclass(frozen=True)
class FolderSplit:
    """Which identities are trained on and which are tested with.

    Attributes:
        seed: of the draw.
        test_share: of the identities that have both modalities, 0 to 1; strictly between, either part gets one at least.
        train_ids, test_ids: files with one identity's name a line, instead of the draw; relative to the data set's
            root, or absolute.

    Raises:
        ConfigError: one list is given without the other.
    """

    seed: int = 0
    test_share: float = 0.5
    train_ids: str | None = None
    test_ids: str | None = None

    def __post_init__(self) -> None:
        if (self.train_ids is None) != (self.test_ids is None):
            given, lacking = ("train", "test") if self.test_ids is None else ("test", "train")
            raise ConfigError(f"data.{given}_ids is given without data.{lacking}_ids: give both lists, or neither")


def read_folder(root: Path, split: FolderSplit) -> Listing:
    """List the images under ``visible`` and ``infrared``, in any format that Pillow decodes.

    Identities are numbered from 1 in the order of their names, whatever the split; cameras are told by ``_c<number>`` in
    the files' names. Identities with one modality aren't drawn for either part: they are tested with, as distractors.

    Raises:
        DataError: a folder is missing, there is nobody to train or test with, or an id list is malformed.
    """
    LAYOUT.require(root)
    scan = Scan(image_suffixes())
    people = _people(root, scan)
    both = [name for name, images in people.items() if all(images[modality] for modality in MODALITIES)]
    if not both:
        raise DataError(
            f"{root}: no identity has images in both visible/ and infrared/ ({len(people)} have them in one): its folder "
            "must have the same name in both"
        )
    if split.train_ids is not None and split.test_ids is not None:
        part_of, notes = _parts_by_lists(root, people, split.train_ids, split.test_ids)
    else:
        part_of, notes = _parts_by_draw(people, both, split)
    number = {name: place for place, name in enumerate(people, start=1)}
    samples = in_order(
        Sample(path, number[name], camera_in_name(path.rsplit("/", 1)[1]), modality, part)
        for name, part in part_of.items()
        for modality in MODALITIES
        for path in people[name][modality]
    )
    if not samples:
        raise DataError(f"{root}: the id lists leave nobody to train or test with")
    name = name_of(root, root.resolve().name or LAYOUT.title)
    return Listing(name, root, samples, None, (*scan.notes(), *notes), "folder")


@cache
def image_suffixes() -> frozenset[str]:
    """The endings, in lower case, of the formats that are read."""
    readable = formats()
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in readable)


def _people(root: Path, scan: Scan) -> People:
    """Everybody with an image, in the order of the names. Names are compared in Unicode's composed form."""
    people: People = {}
    for modality in MODALITIES:
        for folder in (root / modality).iterdir():
            images: list[str] = []
            if _is_identity(folder):
                require_text(folder)
                images = sorted(scan.images(folder))
            if not images:
                scan.strays += 1
                continue
            name = unicodedata.normalize("NFC", folder.name)
            person = people.setdefault(name, {each: [] for each in MODALITIES})
            person[modality] += (f"{modality}/{folder.name}/{image}" for image in images)
    return dict(sorted(people.items()))


def _is_identity(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".")


def _parts_by_draw(people: People, both: list[str], split: FolderSplit) -> tuple[dict[str, Part], list[str]]:
    """Who is tested with, by seed and share; and notes of who couldn't be drawn."""
    count = int(len(both) * split.test_share + 0.5)
    if 0 < split.test_share < 1 and len(both) > 1:
        count = min(max(count, 1), len(both) - 1)
    tested = set(random.Random(split.seed).sample(both, count))
    part_of: dict[str, Part] = {name: "test" if name in tested else "train" for name in both}
    lonely = [name for name in people if name not in part_of]
    if not lonely:
        return part_of, []
    if not tested:
        return part_of, [f"{len(lonely)} identities have one modality only: they are left out"]
    part_of |= dict.fromkeys(lonely, "test")
    return part_of, [f"{len(lonely)} identities have one modality only: they are distractors in galleries"]


def _parts_by_lists(root: Path, people: People, train: str, test: str) -> tuple[dict[str, Part], list[str]]:
    part_of: dict[str, Part] = {}
    place_of: dict[str, str] = {}
    unknown = []
    lists: tuple[tuple[Path, Part], ...] = ((root / train, "train"), (root / test, "test"))
    for path, part in lists:
        for line, name in _names(path, people):
            if name in place_of:
                raise DataError(f"{path}:{line}: identity '{name}' is already in {place_of[name]}")
            place_of[name] = f"{path.name}:{line}"
            part_of[name] = part
            if name not in people:
                unknown.append(f"'{name}' ({place_of[name]})")
    if unknown:
        raise DataError(
            f"{root}: the id lists name {len(unknown)} identities that have no images: {shortened(unknown)}"
        )
    left_out = len(people) - len(part_of)
    lonely = sum(not all(people[name].values()) for name in part_of)
    notes = [f"{left_out} identities are in neither id list and are left out"] if left_out else []
    if lonely:
        notes.append(f"{lonely} identities of the id lists have one modality only")
    return part_of, notes


def _names(path: Path, known: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield (line number, identity's name)."""
    lines = read_lines(path, "data.train_ids and data.test_ids name lists of identities, one name a line")
    for number, line in enumerate(lines, start=1):
        if line:
            yield number, unicodedata.normalize("NFC", line)

"""Read own images from their folders: ``visible`` and ``infrared`` / identity / images, or as a pattern says."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from lba_cli.data.image_listing import FoundImages
from lba_cli.datasets.folder_pattern import PathPattern, suggested_pattern
from lba_cli.datasets.own_images import OwnImage, names_in_words
from lba_cli.datasets.scan import camera_in_name
from lba_cli.errors import DataError, printable
from lba_cli.vocabulary import MODALITIES

# Names of folders that stand between the modality and the identities in other people's layouts.
_NO_PERSON = re.compile(r"train|val|test|query|gallery|(cam|camera|c)[ _-]?[0-9]+|visible|infrared", re.IGNORECASE)


def read_folders(root: Path) -> tuple[list[OwnImage], list[str]]:
    """List the images below ``visible/IDENTITY`` and ``infrared/IDENTITY``, and what the user should know about others.

    Raises:
        DataError: the folders between the modality and the images aren't those of people.
    """
    images, loose, deeper, empty = [], [], [], []
    found = FoundImages()
    for modality in MODALITIES:
        below = len(found.paths)
        found.take(found.files_below(root / modality))
        paths = _inside(root, found.paths[below:])
        for path in paths:
            _, name, *inner = path.split("/")
            if not inner:
                loose.append(path)
                continue
            if len(inner) > 1:
                deeper.append(path)
            identity = unicodedata.normalize("NFC", name)
            images.append(OwnImage(path, identity, modality, camera_in_name(inner[-1]), path))
        _require_people(root, paths)
        with_images = {path.split("/")[1] for path in paths}
        folders = [entry.name for entry in (root / modality).iterdir() if entry.is_dir()]
        empty += [f"{modality}/{name}" for name in folders if not name.startswith(".") and name not in with_images]
    return images, [*found.notes(), *_notes(loose, deeper, sorted(empty))]


def read_by_pattern(root: Path, pattern: PathPattern) -> tuple[list[OwnImage], list[str]]:
    """List the images below ``root`` whose paths match ``pattern``, and what the user should know about others.

    Raises:
        DataError: there is no such folder, or no image that matches.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; your own images should be there")
    found = FoundImages()
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    found.take(entry for entry in root.iterdir() if not entry.is_dir())
    for folder in folders:
        if pattern.may_begin_with(folder.name):
            found.take(found.files_below(folder))
    paths = _inside(root, found.paths)
    images = [image for path in paths if (image := pattern.image(path))]
    matched = {image.path for image in images}
    others = [path for path in paths if path not in matched]
    notes = found.notes()
    if outside := [folder.name for folder in folders if not pattern.may_begin_with(folder.name)]:
        notes.append(
            f"folders that data.pattern={pattern.text} doesn't begin with are not read: {names_in_words(outside)}"
        )
    if not images:
        example = f", such as {printable(others[0])}" if others else ""
        reason = f"none of the {len(others)} images matches data.pattern={pattern.text}{example}"
        raise DataError(f"{root}: {'; '.join([reason, *notes])}")
    if others:
        notes.append(
            f"{len(others)} of {len(paths)} images don't match data.pattern={pattern.text} (such as {printable(others[0])}) "
            "and are left out"
        )
    return images, notes


def _inside(root: Path, paths: Sequence[str]) -> list[str]:
    """Paths relative to ``root``, with forward slashes, sorted."""
    return sorted(Path(path).relative_to(root).as_posix() for path in paths)


def _require_people(root: Path, paths: Sequence[str]) -> None:
    """Refuse folders of splits, cameras and the like in the place of people, whose images lie one level deeper."""
    with_images = {path.rsplit("/", 1)[0] for path in paths}
    for path in paths:
        modality, name, *inner = path.split("/")
        if len(inner) > 1 and _NO_PERSON.fullmatch(name) and f"{modality}/{name}" not in with_images:
            raise DataError(
                f"{root}: {modality}/{name} should be the folder of a person, but has folders of its own "
                f"(such as {printable(path)}): say where the identity is, as with --set 'data.pattern={_pattern_for(name)}'"
            )


def _pattern_for(name: str) -> str:
    """A pattern for a folder that stands between the modality and the identities."""
    if re.fullmatch("train|val|test", name, re.IGNORECASE):
        return "<modality>/<split>/<identity>/*"
    numbered = re.fullmatch(r"(\D+)[0-9]+", name)
    return f"<modality>/{numbered[1]}<camera>/<identity>/*" if numbered else "<modality>/*/<identity>/*"


def _notes(loose: Sequence[str], deeper: Sequence[str], empty: Sequence[str]) -> list[str]:
    notes = []
    if loose:
        notes.append(
            f"{len(loose)} images lie directly in visible/ or infrared/ (such as {printable(loose[0])}), not in the folder of a "
            f"person, and are left out: if their names tell the identity, use --set 'data.pattern={suggested_pattern(loose[0])}'"
        )
    if deeper:
        person = printable(deeper[0].split("/")[1])
        notes.append(
            f"{len(deeper)} images lie deeper than the folder of a person (such as {printable(deeper[0])}) and count as that "
            f"person's, here {person}: if their folders tell a camera, use --set 'data.pattern=<modality>/<identity>/cam<camera>/*'"
        )
    if empty:
        notes.append(f"{len(empty)} folders of people have no images (such as {printable(empty[0])})")
    return notes

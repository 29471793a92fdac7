"""Read a user's own images from folders: ``visible/IDENTITY`` and ``infrared/IDENTITY``, or as a pattern describes."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from lba_cli.data.image_listing import FoundImages
from lba_cli.datasets.folder_pattern import PathPattern, suggested_pattern
from lba_cli.datasets.own_images import OwnImage, names_in_words
from lba_cli.datasets.scan import camera_in_name
from lba_cli.errors import DataError, printable
from lba_cli.vocabulary import MODALITIES, plural

# Names of the folders that other layouts have between the modality and the identities.
_NO_PERSON = re.compile(r"train|val|test|query|gallery|(cam|camera|c)[ _-]?[0-9]+|visible|infrared", re.IGNORECASE)


def read_folders(root: Path) -> tuple[list[OwnImage], list[str]]:
    """Return the images below ``visible/IDENTITY`` and ``infrared/IDENTITY``, and notes on misplaced images and empty folders.

    Raises:
        DataError: a folder such as ``train`` or ``cam1`` is where an identity's folder should be.
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
    """Return the images below ``root`` with paths that match ``pattern``, and notes for the user about other files.

    Raises:
        DataError: the folder doesn't exist, or no image in it matches.
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
            f"folders that don't match the beginning of data.pattern={pattern.text} are not read: {names_in_words(outside)}"
        )
    if not images:
        example = f" (such as {printable(others[0])})" if others else ""
        images_found = f"{len(others)} other {plural(len(others), 'image was', 'images were')} found"
        reason = f"no image matches data.pattern={pattern.text}; {images_found}{example}"
        raise DataError(f"{root}: {'; '.join([reason, *notes])}")
    if others:
        notes.append(
            f"data.pattern={pattern.text} doesn't match {len(others)} of {len(paths)} images (such as {printable(others[0])}), "
            f"so {plural(len(others), 'it is', 'they are')} left out"
        )
    return images, notes


def _inside(root: Path, paths: Sequence[str]) -> list[str]:
    """Return ``paths`` relative to ``root``, with forward slashes, sorted."""
    return sorted(Path(path).relative_to(root).as_posix() for path in paths)


def _require_people(root: Path, paths: Sequence[str]) -> None:
    """Raise a DataError if a folder of a split, camera or modality is where a person's folder should be."""
    with_images = {path.rsplit("/", 1)[0] for path in paths}
    for path in paths:
        modality, name, *inner = path.split("/")
        if len(inner) > 1 and _NO_PERSON.fullmatch(name) and f"{modality}/{name}" not in with_images:
            raise DataError(
                f"{root}: {modality}/{name} should be the folder of a person, but has folders of its own "
                f"(such as {printable(path)}): say where the identity is, as with --set 'data.pattern={_pattern_for(name)}'"
            )


def _pattern_for(name: str) -> str:
    """Return a pattern for images in ``MODALITY/name/IDENTITY``, where ``name`` is the folder of a split or camera."""
    if re.fullmatch("train|val|test", name, re.IGNORECASE):
        return "<modality>/<split>/<identity>/*"
    numbered = re.fullmatch(r"(\D+)[0-9]+", name)
    return f"<modality>/{numbered[1]}<camera>/<identity>/*" if numbered else "<modality>/*/<identity>/*"


def _notes(loose: Sequence[str], deeper: Sequence[str], empty: Sequence[str]) -> list[str]:
    notes = []
    if loose:
        notes.append(
            f"{len(loose)} {plural(len(loose), 'image lies', 'images lie')} directly in visible/ or infrared/ (such as "
            f"{printable(loose[0])}), not in the folder of a person, and {plural(len(loose), 'is', 'are')} left out: if file names "
            f"contain the identity, use --set 'data.pattern={suggested_pattern(loose[0])}'"
        )
    if deeper:
        person = printable(deeper[0].split("/")[1])
        notes.append(
            f"{len(deeper)} {plural(len(deeper), 'image lies', 'images lie')} in a subfolder of a person's folder (such as "
            f"{printable(deeper[0])}, read as an image of {person}): if such folders stand for cameras, use "
            "--set 'data.pattern=<modality>/<identity>/cam<camera>/*'"
        )
    if empty:
        folders = plural(len(empty), "folder of a person has", "folders of people have")
        notes.append(f"{len(empty)} {folders} no images (such as {printable(empty[0])})")
    return notes

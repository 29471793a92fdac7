"""A user's own images as records, whatever form they come in, and what is said about people who lack a modality."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from lba_cli.datasets.layout import MODALITY_WORDS
from lba_cli.errors import quoted
from lba_cli.vocabulary import MODALITIES, Modality, Split

MOST_NAMES = 3  # in one note


class OwnImage(NamedTuple):
    """An image as its path, or its row of a list, describes it.

    Attributes:
        path: relative to the root, with forward slashes.
        identity: the person's name, in Unicode's composed form (NFC).
        camera: the camera's number; ``NO_CAMERA`` if it is unknown.
        place: where it is described, for messages: its path, or the line of a list.
        split: the split that a list or a pattern names; None if the settings decide.
    """

    path: str
    identity: str
    modality: Modality
    camera: int
    place: str
    split: Split | None = None


# {name of a person: their images}, sorted by name
People = Mapping[str, Sequence[OwnImage]]


def modality_named(word: str) -> Modality | None:
    """The modality that a word names in any letter case, such as ``RGB`` or ``thermal``; None if it names none."""
    return next((modality for modality, words in MODALITY_WORDS.items() if word.lower() in words), None)


def people_of(images: Iterable[OwnImage]) -> People:
    """Sort images by their people."""
    people: dict[str, list[OwnImage]] = {}
    for image in images:
        people.setdefault(image.identity, []).append(image)
    return dict(sorted(people.items()))


def modalities_of(images: Iterable[OwnImage]) -> set[Modality]:
    """The modalities that a person has images of."""
    return {image.modality for image in images}


def has_both(images: Iterable[OwnImage]) -> bool:
    """Whether a person has images of both modalities."""
    return modalities_of(images) == set(MODALITIES)


def names_in_words(names: Sequence[str]) -> str:
    """The first few names, quoted, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(quoted(name, 40) for name in names[:MOST_NAMES]) + more


def one_modality_words(people: People) -> str:
    """Name those who have images of one modality only; empty if there are none."""
    alone = {m: [name for name, images in people.items() if modalities_of(images) == {m}] for m in MODALITIES}
    return ", ".join(
        f"{len(names)} have {modality} images only ({names_in_words(names)})"
        for modality, names in alone.items()
        if names
    )


def spelling_notes(people: People) -> list[str]:
    """A line about people who lack a modality that a person of almost the same name has; none if there are none."""
    alike: dict[str, list[str]] = {}
    for name in people:
        alike.setdefault(_without_spelling(name), []).append(name)
    pairs = []
    for names in alike.values():
        has = {name: modalities_of(people[name]) for name in names}
        pairs += [
            (name, other)
            for name, other in pairwise(names)
            if len(has[name] | has[other]) > min(len(has[name]), len(has[other]))
        ]
    if not pairs:
        return []
    shown = ", ".join(f"{quoted(first, 40)} and {quoted(second, 40)}" for first, second in pairs[:MOST_NAMES])
    more = f" and {len(pairs) - MOST_NAMES} more pairs" if len(pairs) > MOST_NAMES else ""
    return [f"{shown}{more} differ by zeros, letter case or spaces alone: if they are one person, give both one name"]


def nearest_name(name: str, people: People) -> str:
    """A person whose name differs from ``name`` by zeros, letter case or spaces alone; empty if there is none."""
    return next((known for known in people if _without_spelling(known) == _without_spelling(name)), "")


def _without_spelling(name: str) -> str:
    """What is left of a name without leading zeros, letter case and spaces."""
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", re.sub(r"\s", "", name).casefold())

"""Records of a user's own images, and notes about people who lack a modality."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from lba_cli.datasets.layout import MODALITY_WORDS
from lba_cli.errors import quoted
from lba_cli.vocabulary import MODALITIES, Modality, Split, plural

MOST_NAMES = 3  # in one note


class OwnImage(NamedTuple):
    """An image as its path, or its row in a list, describes it.

    Attributes:
        path: the image's path relative to the root, with forward slashes.
        identity: the person's name, in Unicode's composed form (NFC).
        modality: the image's modality.
        camera: the camera's number; ``NO_CAMERA`` if it is unknown.
        place: where the image is described, for messages: its path, or the line of a list.
        split: the split that a CSV file or a pattern names; None if the options decide.
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
    """Return the modality that ``word`` means, such as ``RGB`` or ``thermal``, in any letter case; None if it means none."""
    return next((modality for modality, words in MODALITY_WORDS.items() if word.lower() in words), None)


def people_of(images: Iterable[OwnImage]) -> People:
    """Return {name of a person: images}, sorted by name."""
    people: dict[str, list[OwnImage]] = {}
    for image in images:
        people.setdefault(image.identity, []).append(image)
    return dict(sorted(people.items()))


def modalities_of(images: Iterable[OwnImage]) -> set[Modality]:
    """Return the modalities of a person's images."""
    return {image.modality for image in images}


def has_both(images: Iterable[OwnImage]) -> bool:
    """Return whether a person's images include both modalities."""
    return modalities_of(images) == set(MODALITIES)


def names_in_words(names: Sequence[str]) -> str:
    """Return text with the first few names, quoted, and the number of further names."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(quoted(name, 40) for name in names[:MOST_NAMES]) + more


def one_modality_words(people: People) -> str:
    """Return text that counts and names the people with images of only one modality; empty if there are no such people."""
    alone = {m: [name for name, images in people.items() if modalities_of(images) == {m}] for m in MODALITIES}
    return ", ".join(
        f"{len(names)} {plural(len(names), 'has', 'have')} {modality} images only ({names_in_words(names)})"
        for modality, names in alone.items()
        if names
    )


def spelling_notes(people: People) -> list[str]:
    """Return a list with a note about pairs of people with almost the same name; an empty list if there are no such pairs.

    The names of a pair differ only in zeros, letter case or spaces, and one person lacks a modality that the other has.
    """
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
    rest = len(pairs) - MOST_NAMES
    more = f" and {rest} more {plural(rest, 'pair')}" if rest > 0 else ""
    return [
        f"{shown}{more} differ only in zeros, letter case or spaces: if both are the same person, use the same name"
    ]


def nearest_name(name: str, people: People) -> str:
    """Return a person's name that differs from ``name`` only in zeros, letter case or spaces; empty if there is none."""
    return next((known for known in people if _without_spelling(known) == _without_spelling(name)), "")


def _without_spelling(name: str) -> str:
    """Return a name in lower case, without spaces and leading zeros."""
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", re.sub(r"\s", "", name).casefold())

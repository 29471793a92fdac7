"""The choice of the people that a picture shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lba_cli.data.samples import Sample
from lba_cli.errors import DataError
from lba_cli.vocabulary import MODALITIES, Modality, PaperWidth

MOST_LISTED = 20  # identities in an error message


@dataclass(frozen=True)
class PictureOptions:
    """The options that all pictures of a data set share."""

    people: int = 4  # the number of test identities to show, which are chosen at random
    identities: Sequence[int] | None = None  # show these identities instead
    seed: int = 0  # the seed of the choice of people and of their images
    width: PaperWidth = "page"  # the printed width: one column or the full page of a two-column paper


@dataclass(frozen=True)
class Person:
    """A test identity, and the sample indices of one visible and one infrared image of it."""

    identity: int
    visible: int
    infrared: int


def choose_people(samples: Sequence[Sample], options: PictureOptions) -> list[Person]:
    """Choose test identities that have images of both modalities, and one image of each modality.

    Raises:
        DataError: fewer than two identities have images of both modalities, or one of ``options.identities`` lacks a modality.
    """
    images = _test_images(samples)
    random = np.random.default_rng(options.seed)
    unknown = [identity for identity in options.identities or () if identity not in images]
    if unknown or len(images) < 2:
        available = ", ".join(str(identity) for identity in list(images)[:MOST_LISTED])
        wrong = f"identity {unknown[0]} doesn't" if unknown else "fewer than two identities"
        raise DataError(f"{wrong} have test images of both modalities (available: {available or 'none'})")
    chosen = options.identities or sorted(random.permutation(list(images))[: options.people].tolist())
    return [Person(i, *(int(random.choice(images[i][m])) for m in MODALITIES)) for i in chosen]


def another_person(person: Person, people: Sequence[Person], samples: Sequence[Sample], seed: int) -> Person:
    """Choose a different person, for contrast: the next one after ``person`` in ``people``, or else any other test identity.

    People with a visible image from the camera of ``person``'s are preferred, and are shown by such an image.
    """
    everyone = choose_people(samples, PictureOptions(people=len(samples), seed=seed))
    later = [other for other in people if other.identity > person.identity]
    others = [other for other in (*later, *people, *everyone) if other.identity != person.identity]
    images, camera = _test_images(samples), samples[person.visible].camera
    for other in others:
        under = [index for index in images[other.identity]["visible"] if samples[index].camera == camera]
        if under:
            return replace(other, visible=under[seed % len(under)])
    return others[0]


def _test_images(samples: Sequence[Sample]) -> dict[int, dict[Modality, list[int]]]:
    """Return the sample indices of each test identity that has images of both modalities, by modality."""
    images: dict[int, dict[Modality, list[int]]] = {}
    for index, sample in enumerate(samples):
        if sample.split == "test":
            images.setdefault(sample.identity, {modality: [] for modality in MODALITIES})[sample.modality].append(index)
    return {identity: found for identity, found in sorted(images.items()) if all(found.values())}

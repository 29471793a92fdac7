"""Ways to draw queries and galleries that several data sets share."""

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.datasets.spec import Direction, Draw
from lba_cli.vocabulary import Modality, Shots

Image = TypeVar("Image")
# {(identity, camera): sorted images}
Directories = Mapping[tuple[int, int], Sequence[Image]]

NUM_DRAWS = 10
IMAGES_PER_CAMERA: dict[Shots, int] = {"single": 1, "multi": 10}


def community_gallery(
    directories: Directories[Image], cameras: Sequence[int], trial: int, shots: int = 1
) -> list[Image]:
    """Draw a gallery as the papers of the field do: with Python's own generator, seeded with the draw's number.

    Args:
        directories: the sorted images of every test identity under every camera.
        cameras, trial: the cameras of the gallery, and the number of the draw, from 0.
        shots: the number of images drawn from each directory; a directory with fewer images gives all of them.

    Returns:
        The drawn images in gallery order: identities ascending, then cameras ascending.
    """
    generator = random.Random(trial)
    gallery: list[Image] = []
    for identity in sorted({identity for identity, _ in directories}):
        for camera in sorted(cameras):
            images = directories.get((identity, camera))
            if not images:
                continue
            if shots == 1:
                gallery.append(generator.choice(images))
            else:
                gallery += generator.sample(images, min(shots, len(images)))
    return gallery


def community_galleries(directories: Directories[Image], shots: Shots) -> list[list[Image]]:
    """Draw the community protocol's ten galleries from all cameras in ``directories``."""
    cameras = sorted({camera for _, camera in directories})
    return [community_gallery(directories, cameras, draw, IMAGES_PER_CAMERA[shots]) for draw in range(NUM_DRAWS)]


def community_draws(samples: Sequence[Sample], direction: Direction, shots: Shots) -> tuple[Draw, ...]:
    """Return ten draws. In each draw, all images of one modality query a community gallery of the other modality."""
    queries = all_images(directories_of_test(samples, direction.query))
    galleries = community_galleries(directories_of_test(samples, direction.gallery), shots)
    return tuple(Draw(number, queries, gallery) for number, gallery in enumerate(galleries))


def whole_gallery(samples: Sequence[Sample], direction: Direction, number: int = 0) -> tuple[Draw, ...]:
    """Return one draw, called ``number``, in which all images of one modality query all images of the other modality."""
    queries, gallery = (all_images(directories_of_test(samples, modality)) for modality in direction)
    return (Draw(number, queries, gallery),)


def all_images(directories: Directories[Image]) -> list[Image]:
    """Return the images of all directories: identities ascending, then cameras ascending, then in the directory's order."""
    return [image for key in sorted(directories) for image in directories[key]]


def directories_of_test(samples: Sequence[Sample], modality: Modality) -> dict[tuple[int, int], list[int]]:
    """Return {(identity, camera): indices of the test samples} for one modality. The indices are sorted by path."""
    directories: dict[tuple[int, int], list[int]] = {}
    for index, sample in enumerate(samples):
        if sample.split == "test" and sample.modality == modality:
            directories.setdefault((sample.identity, sample.camera), []).append(index)
    return {key: sorted(images, key=lambda i: samples[i].path) for key, images in directories.items()}


def cameras_known(samples: Sequence[Sample]) -> bool:
    """Return whether the camera of every test image is known."""
    return all(sample.camera != NO_CAMERA for sample in samples if sample.split == "test")

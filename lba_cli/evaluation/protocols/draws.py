"""Draws that data sets share: the community's random galleries, and whole ones."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.vocabulary import Modality, Shots

Image = TypeVar("Image")

TRIALS = 10
SHOT_COUNT: dict[Shots, int] = {"single": 1, "multi": 10}

# {(identity, camera): its images, sorted}
Directories = Mapping[tuple[int, int], Sequence[Image]]


def community_gallery(
    directories: Directories[Image], cameras: Sequence[int], trial: int, shots: int = 1
) -> list[Image]:
    """The gallery that papers of the field draw: Python's own generator, seeded by the trial's number.

    Args:
        directories: the sorted images of every test identity under every camera.
        cameras: the gallery's.
        trial: from 0.
        shots: images drawn from each directory; all of it where it holds fewer.

    Returns:
        The drawn images in gallery order: identities ascending, cameras ascending.
    """
    generator = random.Random(trial)
    gallery: list[Image] = []
    for identity in sorted({identity for identity, _ in directories}):
        for camera in sorted(cameras):
            images = directories.get((identity, camera))
            if images:
                gallery += _community_draw(generator, images, shots)
    return gallery


def _community_draw(generator: random.Random, images: Sequence[Image], shots: int) -> list[Image]:
    if shots == 1:
        return [generator.choice(images)]
    return generator.sample(images, min(shots, len(images)))


def drawn(directories: Directories[Image], trial: int, shots: Shots) -> list[Image]:
    """The community's gallery from every camera that ``directories`` have."""
    cameras = sorted({camera for _, camera in directories})
    return community_gallery(directories, cameras, trial, SHOT_COUNT[shots])


def whole(directories: Directories[Image]) -> list[Image]:
    """Every image: identities ascending, cameras ascending, each directory in its order."""
    return [image for key in sorted(directories) for image in directories[key]]


def directories_of(samples: Sequence[Sample], modality: Modality) -> dict[tuple[int, int], list[int]]:
    """Indices of one modality's test samples by (identity, camera), each list in the order of the paths."""
    directories: dict[tuple[int, int], list[int]] = {}
    for index, sample in enumerate(samples):
        if sample.part == "test" and sample.modality == modality:
            directories.setdefault((sample.identity, sample.camera), []).append(index)
    return {key: sorted(images, key=lambda i: samples[i].path) for key, images in directories.items()}


def cameras_known(samples: Sequence[Sample]) -> bool:
    """Whether every test image's camera is known."""
    return all(sample.camera != NO_CAMERA for sample in samples if sample.part == "test")

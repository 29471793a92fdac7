"""Pairs of test images whose correspondences are measured."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lba_cli.data.samples import Sample
from lba_cli.errors import DataError
from lba_cli.reporting import Listener
from lba_cli.vocabulary import plural


class ImagePair(NamedTuple):
    """The sample indices of an infrared and a visible image of a person, and of an image of another person.

    The other person's image is from the same camera as the visible one.
    """

    infrared: int
    visible: int
    other: int


def choose_pairs(samples: Sequence[Sample], per_person: int, seed: int, listener: Listener) -> list[ImagePair]:
    """Choose ``per_person`` pairs of each test person at random.

    People with images of one modality only are left out, with a warning.

    Raises:
        DataError: fewer than two test people have images of both modalities, or no two people were seen by the same visible camera.
    """
    tested = [index for index, sample in enumerate(samples) if sample.split == "test"]
    visible, infrared = (
        [index for index in tested if samples[index].modality == modality] for modality in ("visible", "infrared")
    )
    both = sorted({samples[i].identity for i in visible} & {samples[i].identity for i in infrared})
    if len(both) < 2:
        raise DataError(
            f"correspondences need at least two test people with images of both modalities; there {plural(len(both), 'is', 'are')} "
            f"{len(both)}"
        )
    if left_out := len({samples[index].identity for index in tested}) - len(both):
        listener.warn(
            f"{left_out} test {plural(left_out, 'person has', 'people have')} images of one modality only, and "
            f"{plural(left_out, 'is', 'are')} left out of the correspondences"
        )
    random = np.random.default_rng(seed)
    pairs = []
    for identity in both:
        own = [[index for index in side if samples[index].identity == identity] for side in (infrared, visible)]
        for _ in range(per_person):
            query, key = (int(random.choice(side)) for side in own)
            others = [
                index
                for index in visible
                if samples[index].camera == samples[key].camera and samples[index].identity != identity
            ]
            if others:
                pairs.append(ImagePair(query, key, int(random.choice(others))))
    if not pairs:
        raise DataError("correspondences need two test people who were seen by the same visible camera; there are none")
    return pairs

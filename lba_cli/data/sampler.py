"""Which images a training step sees: identity-balanced batches (paper, section 4.1), a pure function of the seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lba_cli.data.samples import Sample, identity_classes
from lba_cli.errors import DataError
from lba_cli.randomness import Stream, numpy_generator
from lba_cli.vocabulary import MODALITIES, Modality

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class BatchPlan:
    """Sample indices of one step.

    Attributes:
        visible, infrared: (B·P,) indices of samples, grouped by identity, the same identities in the same order.
        labels: (B·P,) int64 class labels, shared by both.
    """

    visible: NDArray[np.int64]
    infrared: NDArray[np.int64]
    labels: NDArray[np.int64]


class IdentitySampler:
    """Draws, for every step, B identities without replacement and for each P images of either modality with it.

    Args:
        samples: of the whole data set; those of the part ``train`` are drawn from.
        identities: B.
        instances: P.
        seed: of the run.
        steps: of an epoch; None for the method's floor(max(visible, infrared images) / (B·P·size)) + 1.
        skip_incomplete: leave out identities that lack a modality, instead of refusing the data set.
        rank, size: which of how many processes these batches are for. Together they take one draw of B · size identities, so
            that none is in two batches of a step; where there are fewer, each process draws for itself.

    Attributes:
        classes: class label of every training identity.
        steps: of an epoch.
        apart: whether the processes' identities differ within a step.
        left_out: identities that lack a modality and are not drawn.

    Raises:
        DataError: fewer identities than B, or identities that lack a modality.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        identities: int,
        instances: int,
        seed: int,
        *,
        steps: int | None = None,
        skip_incomplete: bool = False,
        rank: int = 0,
        size: int = 1,
    ) -> None:
        self._identities, self._instances, self._seed = identities, instances, seed
        self._rank, self._size = rank, size
        images = _images_by_identity(samples)
        if not any(images.values()):
            raise DataError("the data set has no images to train on")
        self.left_out = tuple(sorted(i for i, of in images.items() if not all(of[m] for m in MODALITIES)))
        if self.left_out and not skip_incomplete:
            raise DataError(_incomplete_message(images, self.left_out))
        self.classes = identity_classes(samples)
        self._images = {i: of for i, of in sorted(images.items()) if i not in self.left_out}
        if len(self._images) < identities:
            raise DataError(
                f"the data set has {len(self._images)} identities to train on, a batch asks for {identities}: "
                f"lower it with --set train.identities={max(2, len(self._images))}"
            )
        largest = max(sum(len(of[modality]) for of in self._images.values()) for modality in MODALITIES)
        self.steps = steps or largest // (identities * instances * size) + 1
        self.apart = len(self._images) >= identities * size

    def address(self, epoch: int, step: int) -> tuple[int, ...]:
        """Where this process finds what is random in a step, beside the identities: several processes each have their own."""
        return (epoch, step) if self._size == 1 else (epoch, step, self._rank)

    def plan(self, epoch: int, step: int) -> BatchPlan:
        """The samples of one step; the same for the same seed, epoch, step and process, whatever was drawn before."""
        random = numpy_generator(self._seed, Stream.BATCHES, *self.address(epoch, step))
        chosen = self._identities_of(epoch, step, random)
        visible, infrared = (
            np.concatenate([random.choice(self._images[identity][modality], self._instances) for identity in chosen])
            for modality in MODALITIES
        )
        labels = np.repeat(np.asarray([self.classes[identity] for identity in chosen], np.int64), self._instances)
        return BatchPlan(visible, infrared, labels)

    def _identities_of(self, epoch: int, step: int, random: np.random.Generator) -> list[int]:
        """This process's share of the identities drawn for all; alone, or where they don't suffice, its own draw."""
        if self._size == 1 or not self.apart:
            return [int(i) for i in random.choice(list(self._images), self._identities, replace=False)]
        shared = numpy_generator(self._seed, Stream.BATCHES, epoch, step)
        drawn = shared.choice(list(self._images), self._identities * self._size, replace=False)
        return [int(i) for i in drawn[self._rank * self._identities :][: self._identities]]


def _images_by_identity(samples: Sequence[Sample]) -> dict[int, dict[Modality, list[int]]]:
    images: dict[int, dict[Modality, list[int]]] = {}
    for index, sample in enumerate(samples):
        if sample.split == "train":
            images.setdefault(sample.identity, {modality: [] for modality in MODALITIES})[sample.modality].append(index)
    return images


def _incomplete_message(images: dict[int, dict[Modality, list[int]]], incomplete: Sequence[int]) -> str:
    lacking = {m: [i for i in incomplete if not images[i][m]] for m in MODALITIES}
    parts = [
        f"{len(found)} without {modality} images ({', '.join(map(str, found[:10]))}{', …' if len(found) > 10 else ''})"
        for modality, found in lacking.items()
        if found
    ]
    return (
        f"{len(incomplete)} of {len(images)} training identities lack a modality: {'; '.join(parts)}. Complete the copy, "
        "or leave them out with --set data.skip_incomplete=true"
    )

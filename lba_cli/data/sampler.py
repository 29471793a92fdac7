"""Identity-balanced training batches (paper, section 4.1), as a pure function of seed, epoch and step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lba_cli.data.samples import Sample, identity_classes
from lba_cli.errors import DataError
from lba_cli.randomness import Stream, numpy_generator
from lba_cli.vocabulary import FEWEST_IDENTITIES, MODALITIES, Modality, plural


class TooFewIdentities(DataError):
    """No batch can be made of the training identities, whatever its size."""


@dataclass(frozen=True)
class BatchPlan:
    """The samples of one step.

    Attributes:
        visible, infrared: (B·P,) int64 sample indices, grouped by identity; both have the same identities in the same order.
        labels: (B·P,) int64 class labels, the same for the visible and the infrared samples.
    """

    visible: NDArray[np.int64]
    infrared: NDArray[np.int64]
    labels: NDArray[np.int64]


class IdentitySampler:
    """Samples B identities per step without replacement, and P images per identity and modality with replacement.

    In a job of several processes, the batches of a step have no identity in common if there are enough identities:
    all processes sample the same B · size identities, and each process uses its share. Otherwise each process samples
    identities independently.

    Args:
        samples: the samples of the data set; only the training split is used.
        identities, instances: B and P.
        seed: the run's seed.
        steps: steps per epoch; None for the paper's floor(images of the larger modality / (B·P·size)) + 1.
        skip_incomplete: whether training identities that lack a modality are left out; otherwise they are an error.
        rank, size: the number of this process, from 0, and the number of processes.

    Attributes:
        classes: the class label of every training identity.
        steps: steps per epoch.
        disjoint: whether the processes' batches of a step have no identity in common.
        incomplete: the training identities that lack a modality and are left out.

    Raises:
        TooFewIdentities: there are fewer than two identities.
        DataError: there are fewer than B identities, or some lack a modality.
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
        if not images:
            raise TooFewIdentities("there are no images to train on")
        self.incomplete = tuple(sorted(i for i, own in images.items() if not all(own[m] for m in MODALITIES)))
        if self.incomplete and not skip_incomplete:
            raise DataError(_incomplete_message(images, self.incomplete))
        self.classes = identity_classes(samples)
        self._images = {i: own for i, own in sorted(images.items()) if i not in self.incomplete}
        if len(self._images) < FEWEST_IDENTITIES:
            words = "is 1 identity" if self._images else "are no identities"
            raise TooFewIdentities(f"there {words} to train on, and at least {FEWEST_IDENTITIES} are needed")
        if len(self._images) < identities:
            raise DataError(
                f"the data set has {len(self._images)} identities to train on, but a batch needs {identities}: "
                f"lower this number with --set train.identities={len(self._images)}"
            )
        largest = max(sum(len(own[modality]) for own in self._images.values()) for modality in MODALITIES)
        self.steps = steps or largest // (identities * instances * size) + 1
        self.disjoint = len(self._images) >= identities * size

    def address(self, epoch: int, step: int) -> tuple[int, ...]:
        """Return the numbers that identify this process's random generators of a step, see :mod:`lba_cli.randomness`."""
        return (epoch, step) if self._size == 1 else (epoch, step, self._rank)

    def plan(self, epoch: int, step: int) -> BatchPlan:
        """Return the samples of one step. They depend only on seed, epoch, step and rank, not on earlier calls."""
        random = numpy_generator(self._seed, Stream.BATCHES, *self.address(epoch, step))
        chosen = self._identities_of(epoch, step, random)
        visible, infrared = (
            np.concatenate([random.choice(self._images[identity][modality], self._instances) for identity in chosen])
            for modality in MODALITIES
        )
        labels = np.repeat(np.asarray([self.classes[identity] for identity in chosen], np.int64), self._instances)
        return BatchPlan(visible, infrared, labels)

    def _identities_of(self, epoch: int, step: int, random: np.random.Generator) -> list[int]:
        """Sample the identities of one step for this process."""
        if self._size == 1 or not self.disjoint:
            return [int(i) for i in random.choice(list(self._images), self._identities, replace=False)]
        shared = numpy_generator(self._seed, Stream.BATCHES, epoch, step)
        sampled = shared.choice(list(self._images), self._identities * self._size, replace=False)
        return [int(i) for i in sampled[self._rank * self._identities :][: self._identities]]


def _images_by_identity(samples: Sequence[Sample]) -> dict[int, dict[Modality, list[int]]]:
    images: dict[int, dict[Modality, list[int]]] = {}
    for index, sample in enumerate(samples):
        if sample.split == "train":
            images.setdefault(sample.identity, {modality: [] for modality in MODALITIES})[sample.modality].append(index)
    return images


def _incomplete_message(images: dict[int, dict[Modality, list[int]]], incomplete: Sequence[int]) -> str:
    enough = len(images) - len(incomplete) >= FEWEST_IDENTITIES
    lacking = {m: [i for i in incomplete if not images[i][m]] for m in MODALITIES}
    parts = [
        f"{len(found)} without {modality} images ({', '.join(map(str, found[:10]))}{', …' if len(found) > 10 else ''})"
        for modality, found in lacking.items()
        if found
    ]
    return (
        f"{len(incomplete)} of {len(images)} training identities {plural(len(incomplete), 'lacks', 'lack')} a modality: "
        f"{'; '.join(parts)}. Add the missing images"
        f"{', or leave out such identities with --set data.skip_incomplete=true' if enough else ''}"
    )

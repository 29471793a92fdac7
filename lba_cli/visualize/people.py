"""Which people a picture shows, and what the network makes of their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lba_cli.data.loaders import to_images
from lba_cli.data.samples import Sample
from lba_cli.data.store import ImageSource
from lba_cli.errors import DataError
from lba_cli.evaluation.network_embedder import exact_inference
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.network import StageMaps
from lba_cli.reporting import Silent
from lba_cli.vocabulary import MODALITIES, Modality

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Person:
    """One test identity with a sample index of each modality."""

    identity: int
    visible: int
    infrared: int


def choose_people(
    samples: Sequence[Sample], count: int, seed: int, identities: Sequence[int] | None = None
) -> list[Person]:
    """Choose test identities that have both modalities, and an image of each; the named ones, or ``count`` at random.

    Raises:
        DataError: a named identity isn't among them, or there are fewer than two.
    """
    images = _test_images(samples)
    random = np.random.default_rng(seed)
    unknown = [identity for identity in identities or () if identity not in images]
    if unknown or len(images) < 2:
        shown = ", ".join(str(identity) for identity in list(images)[:20])
        wrong = f"identity {unknown[0]} is not" if unknown else "fewer than two identities are"
        raise DataError(f"{wrong} in the test part with both modalities (there: {shown or 'none'})")
    chosen = identities or sorted(random.permutation(list(images))[:count].tolist())
    return [Person(i, *(int(random.choice(images[i][m])) for m in MODALITIES)) for i in chosen]


def another_person(person: Person, people: Sequence[Person], samples: Sequence[Sample], seed: int) -> Person:
    """Somebody else, for contrast: the next of ``people``, or another test identity where there is no other."""
    others = [other for other in people if other.identity > person.identity] or list(people)
    if others[0].identity != person.identity:
        return others[0]
    everyone = choose_people(samples, len(samples), seed)
    return next(other for other in everyone if other.identity != person.identity)


def stage_maps(network: TwoStreamNetwork, source: ImageSource, index: int, modality: Modality) -> StageMaps:
    """Feature maps of one sample, (1, C, H, W) each, in float32."""
    source.check([index], Silent())
    return maps_of(network, source.read([index])[0], modality)


def maps_of(network: TwoStreamNetwork, image: NDArray[np.uint8], modality: Modality) -> StageMaps:
    """Feature maps, (1, C, h, w) each, in float32, of an (H, W, 3) uint8 image.

    Pictures show feature maps, not embeddings, so this is the one place that uses the network itself instead of
    :class:`~lba_cli.evaluation.network_embedder.NetworkEmbedder`: a difference in the last bits can't be seen.
    """
    with exact_inference(network) as device:
        return network.maps(to_images(image[None]).to(device), modality)


def heat(mask: Tensor) -> NDArray[np.float32]:
    """(1, 1, H, W) mask → (H, W) array."""
    array: NDArray[np.float32] = mask[0, 0].float().cpu().numpy()
    return array


def _test_images(samples: Sequence[Sample]) -> dict[int, dict[Modality, list[int]]]:
    images: dict[int, dict[Modality, list[int]]] = {}
    for index, sample in enumerate(samples):
        if sample.split == "test":
            images.setdefault(sample.identity, {modality: [] for modality in MODALITIES})[sample.modality].append(index)
    return {identity: of for identity, of in sorted(images.items()) if all(of.values())}

"""Embed images that belong to no data set, in one call."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lba_cli.data.image_files import any_image
from lba_cli.evaluation.network_embedder import PLAIN, NetworkEmbedder, require_finite
from lba_cli.model import TwoStreamNetwork
from lba_cli.vocabulary import MODALITIES, Modality

IMAGES_AT_ONCE = 64  # images that are decoded before they are embedded


def embed_images(
    network: TwoStreamNetwork, images: Sequence[str | Path | NDArray[np.uint8]], modality: Modality
) -> NDArray[np.float32]:
    """Embed pictures of one person each, in exact float32; the dot product of two embeddings is their score.

    The embedding of an image is bit-identical whether it is embedded alone or with others, and whether by this function, by
    ``lba embed`` or in an evaluation. Each call prepares a copy of the network, so pass many images at once.

    Args:
        network: the network, on its device. Images are resized to its ``image_size``. Its ``value_range`` sets how
            images of more than 8 bits are read.
        images: image files, or (H, W, 3) uint8 RGB arrays; infrared images have three equal channels.
        modality: ``"visible"`` or ``"infrared"``, the same for all the images.

    Returns:
        (N, D) float32 of unit length, in the order of ``images``.

    Raises:
        DataError: a file can't be read, or an array isn't an image.
        LbaError: the network gives values that are not finite.
        TypeError: ``images`` is a single path.
        ValueError: there is no such modality.

    Example:
        >>> network = load_network("runs/paper/checkpoints/last.pt")
        >>> (query,) = embed_images(network, ["night.png"], "infrared")
        >>> scores = embed_images(network, ["a.jpg", "b.jpg"], "visible") @ query
    """
    if isinstance(images, str | Path):
        raise TypeError("embed_images takes a list of images, not a single path: put the path into brackets")
    if modality not in MODALITIES:
        raise ValueError(f"modality must be one of {', '.join(MODALITIES)}, not {modality!r}")
    embedder = NetworkEmbedder(network)
    vectors = np.empty((len(images), embedder.dimension), np.float32)
    for start in range(0, len(images), IMAGES_AT_ONCE):
        batch = images[start : start + IMAGES_AT_ONCE]
        pixels = np.stack([any_image(image, *network.image_size, network.value_range) for image in batch])
        vectors[start : start + len(pixels)] = embedder.embed(torch.from_numpy(pixels), modality)[PLAIN]
    require_finite([vectors])
    return vectors

"""From pictures that belong to no data set to embeddings, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lba_cli.data.image_files import any_image
from lba_cli.data.loaders import to_images
from lba_cli.evaluation.embedding import exact, require_finite
from lba_cli.model import TwoStreamNetwork
from lba_cli.vocabulary import MODALITIES, Modality

if TYPE_CHECKING:
    from numpy.typing import NDArray


def embed_images(
    network: TwoStreamNetwork,
    images: Sequence[str | Path | NDArray[np.uint8]],
    modality: Modality,
    *,
    batch_size: int = 32,
) -> NDArray[np.float32]:
    """Embed pictures, each of one person, in exact float32; the dot product of two embeddings is their score.

    Args:
        network: on its device; images are resized to its ``image_size``.
        images: image files, or (H, W, 3) uint8 RGB arrays; infrared ones have three equal channels.
        modality: of all of them: ``"visible"`` or ``"infrared"``.
        batch_size: how many are embedded at a time.

    Returns:
        (N, D) float32 of unit length, in the order of ``images``.

    Raises:
        DataError: a file can't be read, or an array isn't an image.
        LbaError: the network gives values that aren't finite.
        TypeError: ``images`` is one path. ValueError: there is no such modality.
    """
    if isinstance(images, str | Path):
        raise TypeError("embed_images takes a list of images; put the one into brackets")
    if modality not in MODALITIES:
        raise ValueError(f"modality must be one of {', '.join(MODALITIES)}, not {modality!r}")
    vectors = np.empty((len(images), network.embedding_size), np.float32)
    with exact(network) as device:
        for start in range(0, len(images), batch_size):
            pixels = np.stack([any_image(image, *network.image_size) for image in images[start : start + batch_size]])
            found = network.embed(to_images(pixels).to(device), modality)
            vectors[start : start + len(pixels)] = found.float().cpu().numpy()
    require_finite([vectors])
    return vectors

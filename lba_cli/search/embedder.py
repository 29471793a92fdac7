"""A model that turns images into vectors: a network, or an exported ONNX file (:mod:`lba_cli.search.onnx_embedder`)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lba_cli.errors import CheckpointError, LbaError, NotFinite
from lba_cli.evaluation.network_embedder import PLAIN, NetworkEmbedder
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import fingerprint
from lba_cli.model.fingerprints import model_fingerprint
from lba_cli.value_range import FULL, ValueRange
from lba_cli.vocabulary import EmbeddingPrecision, Modality

# (n, H, W, 3) uint8 images of one modality → (n, D) float32
Function = Callable[[NDArray[np.uint8], Modality], NDArray[np.float32]]

UNIT_TOLERANCE = 1e-3  # the largest difference between a vector's length and 1


@dataclass(frozen=True)
class Embedder:
    """A model that embeds images.

    Attributes:
        origin: the file that the model was loaded from.
        fingerprint: identifies the model. Vectors of embedders with the same fingerprint can be compared.
        height, width, dimension: the size of input images, in pixels, and D, the dimension of vectors.
        stem: the only modality that the model can embed; None if it can embed both.
        value_range: how images of more than 8 bits are read from files, see :mod:`lba_cli.value_range`.
        precision: the arithmetic of a network; of an exported file always ``float32``, because the file itself decides.
    """

    origin: str
    fingerprint: str
    height: int
    width: int
    dimension: int
    function: Function
    stem: Modality | None = None
    value_range: ValueRange = FULL
    precision: EmbeddingPrecision = "float32"

    def require(self, modality: Modality) -> None:
        """Raise a CheckpointError if the file holds only the other modality's stem."""
        if self.stem not in (None, modality):
            raise CheckpointError(
                f"{self.origin}: embeds only {self.stem} images; name the file of the {modality} stem with --model"
            )

    def embed(self, images: NDArray[np.uint8], modality: Modality) -> NDArray[np.float32]:
        """Embed (n, H, W, 3) images as (n, D) float32 vectors of unit length; their dot products are the scores.

        Raises:
            CheckpointError: the model can't embed this modality.
            LbaError: the model gives values that are not finite, or vectors that are not of unit length.
        """
        self.require(modality)
        vectors = self.function(images, modality)
        if not np.isfinite(vectors).all():
            raise NotFinite(f"{self.origin}:")
        if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT_TOLERANCE).all():
            raise LbaError(f"{self.origin}: gives vectors that are not of unit length, which can't be compared")
        return vectors


def network_embedder(network: TwoStreamNetwork, origin: str, precision: EmbeddingPrecision = "float32") -> Embedder:
    """Return an embedder of a network that was loaded from the file ``origin``; it computes on the network's device.

    In bfloat16 it is a model of its own: its vectors aren't compared with those in float32.
    """
    embedder = NetworkEmbedder(network, precision)

    def function(images: NDArray[np.uint8], modality: Modality) -> NDArray[np.float32]:
        return embedder.embed(torch.from_numpy(images), modality)[PLAIN]

    name = model_fingerprint(fingerprint(network.state_dict()), embedder.precision)
    return Embedder(
        origin,
        name,
        *network.image_size,
        embedder.dimension,
        function,
        value_range=network.value_range,
        precision=embedder.precision,
    )

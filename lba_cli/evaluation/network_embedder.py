"""Compute embeddings from pixels. Evaluation, reports, search and the Python API all use this module.

Shapes: N images of H × W pixels, embeddings of D numbers.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lba_cli.compute import embedding_precision, exact_arithmetic, mixed_precision
from lba_cli.data.loaders import normalize
from lba_cli.errors import NotFinite
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.batchnorm_fusion import folded
from lba_cli.vocabulary import EmbeddingPrecision, FeaturePlace, Modality

# The number of images that a network computes at a time, see fixed_chunks. A single image costs as much as a chunk, so chunks
# should be small. On a CPU a ResNet-50 at 288 × 144 takes 181 ms of one core for each image in chunks of 1, 165 ms in chunks
# of 2, 153 ms in chunks of 4, 150 ms in chunks of 8 and 174 ms in chunks of 16. For GPUs nothing was measured.
CPU_CHUNK = 4
GPU_CHUNK = 64


class View(NamedTuple):
    """Options of computing an embedding from an image. The paper uses neither option.

    Attributes:
        flip: average the embeddings of the image and of its mirror image, and normalise the mean.
        place: where the feature is taken from; None for the network's retrieval feature.
    """

    flip: bool = False
    place: FeaturePlace | None = None


PLAIN = View()


class NetworkEmbedder:
    """Embeds images with a network, in exact float32 or with convolutions in bfloat16.

    The embedding of an image is bit-identical whatever other images are embedded with it, see :func:`fixed_chunks`.
    (The device, the number of threads and the version of PyTorch may change the last bits.)

    Args:
        network: the network, on its device. The embedder keeps a copy with batch normalisation layers folded into
            convolutions. Later changes of the network's weights don't affect it, and the network's mode doesn't change.
        precision: the arithmetic of the convolutions. ``auto`` takes bfloat16 where the device has instructions for it.

    Attributes:
        device, dimension: the device that computes the embeddings, and D.
        precision: ``float32`` or ``bfloat16``.
        chunk: the number of images that are embedded at a time.

    Example:
        >>> embedder = NetworkEmbedder(load_network("last.pt"))
        >>> vectors = embedder.embed(torch.from_numpy(images), "infrared")[PLAIN]  # (N, D)
    """

    def __init__(self, network: TwoStreamNetwork, precision: EmbeddingPrecision = "float32") -> None:
        self.device = next(network.parameters()).device
        self.precision = embedding_precision(precision, self.device)
        self.dimension = network.embedding_size
        self.chunk = CPU_CHUNK if self.device.type == "cpu" else GPU_CHUNK
        self._network = folded(network)

    def embed(
        self, images: Tensor, modality: Modality, views: Sequence[View] = (PLAIN,)
    ) -> dict[View, NDArray[np.float32]]:
        """Embed (N, H, W, 3) uint8 RGB images of one modality; infrared images have three equal channels.

        Returns:
            A dictionary that has (N, D) float32 embeddings of unit length for each view. They may be infinite or NaN, see :func:`require_finite`.
        """
        images = images.to(self.device, non_blocking=True)
        with exact_arithmetic(self.device):
            chunks = [
                [each[:count] for each in self._embed_chunk(normalize(chunk), modality, views)]
                for chunk, count in fixed_chunks(images, self.chunk)
            ]
        empty = [torch.empty(0, self.dimension) for _ in views]
        joined = [torch.cat(parts) for parts in zip(*chunks, strict=True)] if chunks else empty
        return {view: vectors.float().cpu().numpy() for view, vectors in zip(views, joined, strict=True)}

    def _embed_chunk(self, inputs: Tensor, modality: Modality, views: Sequence[View]) -> list[Tensor]:
        """Return the embeddings of (chunk, 3, H, W) normalised images in each view. Mirror images need a second pass."""
        seen = [inputs, inputs.flip(3)] if any(view.flip for view in views) else [inputs]
        with mixed_precision(self.precision, self.device):
            pooled = [self._network.pooled(each, modality) for each in seen]
        return [self._view(pooled, view) for view in views]

    def _view(self, pooled: Sequence[Tensor], view: View) -> Tensor:
        chosen = pooled if view.flip else pooled[:1]
        unit = [self._network.unit_feature(each, view.place) for each in chosen]
        return F.normalize(unit[0] + unit[1], dim=1) if view.flip else unit[0]


def fixed_chunks(images: Tensor, size: int) -> Iterator[tuple[Tensor, int]]:
    """Split (N, …) images into chunks of exactly ``size`` images. The last chunk is filled up with copies of its last image.

    Libraries choose their kernels by the shape of a batch, and different kernels give different last bits. If the
    shape is always the same, the result for an image doesn't depend on the other images.

    Yields:
        A chunk (size, …), and the number of its images that are not copies.
    """
    for chunk in torch.split(images, size):
        count = len(chunk)
        if 0 < count < size:
            chunk = torch.cat([chunk, chunk[-1:].expand(size - count, *chunk.shape[1:])])
        if count:
            yield chunk, count


@contextmanager
def exact_inference(network: TwoStreamNetwork) -> Iterator[torch.device]:
    """Put ``network`` into eval mode, exact float32 and inference mode within the block, and yield its device."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    try:
        with exact_arithmetic(device):
            yield device
    finally:
        network.train(was_training)


def require_finite(vectors: Iterable[NDArray[np.float32]]) -> None:
    """Raise NotFinite if an embedding has a value that isn't finite, as those of a damaged network do."""
    if not all(np.isfinite(each).all() for each in vectors):
        raise NotFinite("the network")

"""Embed images once; every setting and trial is scored from these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch

from lba_cli.compute import arithmetic
from lba_cli.data.loaders import images_in_order, normalize
from lba_cli.data.store import ImageSource
from lba_cli.errors import LbaError
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener
from lba_cli.vocabulary import MODALITIES, Modality

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Embeddings:
    """Unit-length embeddings of some samples of a data set, found by the samples' indices."""

    def __init__(self, indices: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self._row = {int(index): row for row, index in enumerate(indices)}
        self._vectors = vectors

    def of(self, indices: Iterable[int]) -> NDArray[np.float32]:
        """(n, D) float32 embeddings of the samples at ``indices``."""
        return self._vectors[[self._row[index] for index in indices]]


@torch.inference_mode()
def embed_samples(
    network: TwoStreamNetwork,
    source: ImageSource,
    indices: Iterable[int],
    *,
    listener: Listener,
    batch_size: int = 128,
    workers: int | None = None,
) -> Embeddings:
    """Embed the samples at ``indices``, each through the stem of its modality, in exact float32.

    Args:
        network: on its device; it is put in eval mode, and left in the mode it came in.
        source: the data set at the network's image size.
        indices: of samples; each is embedded once, however often it is named.
        listener: told of the progress.
        batch_size, workers: how images are loaded.

    Raises:
        DataError: a stored image changed since it was prepared.
        LbaError: the network gives values that aren't finite.
    """
    device = next(network.parameters()).device
    wanted = np.unique(np.fromiter(indices, np.int64))
    source.check(wanted.tolist(), listener)
    vectors = np.full((len(wanted), network.embedding_size), np.nan, np.float32)
    was_training = network.training
    network.eval()
    try:
        with arithmetic("float32", device), listener.task("embedding", len(wanted), "images") as progress:
            for modality in MODALITIES:
                rows = np.flatnonzero([source.samples[index].modality == modality for index in wanted])
                done = 0
                for images in images_in_order(
                    source, wanted[rows].tolist(), batch_size, workers=workers, pin=device.type == "cuda"
                ):
                    vectors[rows[done : done + len(images)]] = _embed(network, images, modality, device)
                    done += len(images)
                    progress.advance(len(images))
    finally:
        network.train(was_training)
    if not np.isfinite(vectors).all():
        raise LbaError("the network gives embeddings that are not finite; its weights or its normalisation are damaged")
    return Embeddings(wanted, vectors)


def _embed(
    network: TwoStreamNetwork, images: torch.Tensor, modality: Modality, device: torch.device
) -> NDArray[np.float32]:
    inputs = normalize(images.to(device, non_blocking=True))
    result: NDArray[np.float32] = network.embed(inputs, modality).float().cpu().numpy()
    return result

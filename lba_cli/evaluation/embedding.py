"""Embed the samples of a data set once; every setting, variant and draw is scored from these embeddings."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lba_cli import processes
from lba_cli.data.loaders import images_in_order, normalize
from lba_cli.data.store import ImageSource
from lba_cli.evaluation.network_embedder import PLAIN, NetworkEmbedder, View, require_finite
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener
from lba_cli.vocabulary import MODALITIES, EmbeddingPrecision, Modality


class Embeddings:
    """Unit-length embeddings of some samples of a data set.

    Args:
        indices: (n,) indices of the samples.
        vectors: (n, D) float32, or float64 from a file of features, in the same order.
    """

    def __init__(self, indices: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        self._row = {int(index): row for row, index in enumerate(indices)}
        self._vectors = vectors

    def of(self, indices: Iterable[int]) -> NDArray[np.floating]:
        """Return the (n, D) embeddings of the samples at ``indices``."""
        return self._vectors[[self._row[index] for index in indices]]


def embed_views(
    network: TwoStreamNetwork,
    source: ImageSource,
    indices: Iterable[int],
    views: Sequence[View] = (PLAIN,),
    *,
    listener: Listener,
    batch_size: int = 128,
    workers: int | None = None,
    precision: EmbeddingPrecision = "float32",
) -> dict[View, Embeddings]:
    """Embed the samples at ``indices``, each with the stem of its modality, and return the embeddings of each view.

    Args:
        network, source: the network, on its device, and the data set, at the network's image size.
        indices: the samples; each is embedded once, even if its index is repeated.
        views: the ways in which each image is embedded.
        listener: receives the progress.
        batch_size: the number of images that are loaded at a time, rounded up to whole chunks of :class:`NetworkEmbedder`.
        workers: the number of processes that load images. Neither number changes the embeddings.
        precision: the arithmetic of the network, see :class:`NetworkEmbedder`.

    Raises:
        DataError: a stored image has changed since it was prepared.
        LbaError: the network gives values that are not finite.
    """
    embedder = NetworkEmbedder(network, precision)
    sizes = dict.fromkeys(views, embedder.dimension)
    whole_chunks = -(-batch_size // embedder.chunk) * embedder.chunk

    def embed(images: Tensor, modality: Modality) -> dict[View, NDArray[np.float32]]:
        return embedder.embed(images, modality, views)

    pin = embedder.device.type == "cuda"
    return _embed_batches(embed, sizes, source, indices, listener, whole_chunks, workers, pin=pin)


def embed_through(
    embed: Callable[[Tensor, Modality], Tensor],
    size: int,
    source: ImageSource,
    indices: Iterable[int],
    *,
    listener: Listener,
    batch_size: int = 128,
    workers: int | None = None,
) -> Embeddings:
    """Embed the samples at ``indices`` with any function, such as an exported network.

    Args:
        embed: a function of (N, 3, H, W) normalised float32 images of one modality, on the CPU, to (N, D) embeddings of
            unit length. It is called with a whole batch.
        size: D.
        source, indices, listener, batch_size, workers: see :func:`embed_views`, which raises the same errors.
    """

    @torch.inference_mode()
    def embed_pixels(images: Tensor, modality: Modality) -> dict[View, NDArray[np.float32]]:
        return {PLAIN: embed(normalize(images), modality).float().cpu().numpy()}

    return _embed_batches(embed_pixels, {PLAIN: size}, source, indices, listener, batch_size, workers)[PLAIN]


def _embed_batches(
    embed: Callable[[Tensor, Modality], Mapping[View, NDArray[np.float32]]],
    sizes: Mapping[View, int],
    source: ImageSource,
    indices: Iterable[int],
    listener: Listener,
    batch_size: int,
    workers: int | None,
    pin: bool = False,
) -> dict[View, Embeddings]:
    """Embed the samples with a function of (n, H, W, 3) uint8 images, a batch of one modality at a time.

    In a job of several processes, each embeds a share of the batches. All processes return all embeddings.
    """
    wanted = np.unique(np.fromiter(indices, np.int64))
    source.check(wanted.tolist(), listener)
    vectors = {view: np.full((len(wanted), size), np.nan, np.float32) for view, size in sizes.items()}
    shares = {modality: _shares(source, wanted, modality, batch_size) for modality in MODALITIES}
    own = {modality: each[processes.current().rank] for modality, each in shares.items()}
    with listener.task("embedding", sum(map(len, own.values())), "images") as progress:
        for modality, rows in own.items():
            done = 0
            for images in images_in_order(source, wanted[rows].tolist(), batch_size, workers=workers, pin=pin):
                for view, found in embed(images, modality).items():
                    vectors[view][rows[done : done + len(images)]] = found
                done += len(images)
                progress.advance(len(images))
    for each in vectors.values():
        for share in shares.values():
            processes.share_rows(each, share)
    require_finite(vectors.values())
    return {view: Embeddings(wanted, each) for view, each in vectors.items()}


def _shares(
    source: ImageSource, indices: NDArray[np.int64], modality: Modality, batch_size: int
) -> list[NDArray[np.int64]]:
    """Return a list with each process's rows of ``indices`` of this modality: whole batches, assigned in rotation."""
    rows = np.flatnonzero([source.samples[index].modality == modality for index in indices])
    processes_here = processes.current().size
    batch = np.arange(len(rows)) // batch_size
    return [rows[batch % processes_here == rank] for rank in range(processes_here)]

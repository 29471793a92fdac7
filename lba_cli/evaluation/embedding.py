"""Embed images once; every setting, variant and trial is scored from these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lba_cli import processes
from lba_cli.compute import arithmetic
from lba_cli.data.loaders import images_in_order, normalize
from lba_cli.data.store import ImageSource
from lba_cli.errors import LbaError
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.batchnorm_fusion import folded, pooled
from lba_cli.reporting import Listener
from lba_cli.vocabulary import MODALITIES, Modality

if TYPE_CHECKING:
    from numpy.typing import NDArray


class View(NamedTuple):
    """How an image becomes an embedding; the paper's way is neither.

    Attributes:
        flip: the normalised mean of the image's and its mirror image's embedding.
        neck: the features after the neck, instead of the pooled ones before it.
    """

    flip: bool = False
    neck: bool = False


PLAIN = View()


class Embeddings:
    """Unit-length embeddings of some samples of a data set, found by the samples' indices."""

    def __init__(self, indices: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self._row = {int(index): row for row, index in enumerate(indices)}
        self._vectors = vectors

    def of(self, indices: Iterable[int]) -> NDArray[np.float32]:
        """(n, D) float32 embeddings of the samples at ``indices``."""
        return self._vectors[[self._row[index] for index in indices]]


def embed_samples(
    network: TwoStreamNetwork,
    source: ImageSource,
    indices: Iterable[int],
    *,
    listener: Listener,
    batch_size: int = 128,
    workers: int | None = None,
) -> Embeddings:
    """The plain embeddings of the samples at ``indices``; arguments and errors as :func:`embed_views`."""
    views = embed_views(network, source, indices, [PLAIN], listener=listener, batch_size=batch_size, workers=workers)
    return views[PLAIN]


def embed_views(
    network: TwoStreamNetwork,
    source: ImageSource,
    indices: Iterable[int],
    views: Sequence[View],
    *,
    listener: Listener,
    batch_size: int = 128,
    workers: int | None = None,
) -> dict[View, Embeddings]:
    """Embed the samples at ``indices``, each through the stem of its modality, in exact float32.

    Normalisations are merged into the convolutions before them, see :func:`lba_cli.model.batchnorm_fusion.folded`.

    Args:
        network: on its device; it is put in eval mode, and left in the mode it came in.
        source: the data set at the network's image size.
        indices: of samples; each is embedded once, however often it is named.
        views: the ways in which each is embedded.
        listener: told of the progress.
        batch_size, workers: how images are loaded.

    Raises:
        DataError: a stored image changed since it was prepared.
        LbaError: the network gives values that aren't finite.
    """
    with exact(network) as device:
        fast = folded(network)
        return _collect(
            lambda images, modality: _embed(fast, images, modality, views),
            source,
            indices,
            dict.fromkeys(views, network.embedding_size),
            images_to=device,
            listener=listener,
            batch_size=batch_size,
            workers=workers,
        )


@torch.inference_mode()
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
    """The embeddings of the samples at ``indices`` by any function, such as an exported network's.

    Args:
        embed: (N, 3, H, W) normalised float32 images of one modality, on the CPU → (N, D) of unit length.
        size: D.
        source, indices, listener, batch_size, workers: and what is raised: as in :func:`embed_views`.
    """
    return _collect(
        lambda images, modality: {PLAIN: embed(images, modality)},
        source,
        indices,
        {PLAIN: size},
        images_to=torch.device("cpu"),
        listener=listener,
        batch_size=batch_size,
        workers=workers,
    )[PLAIN]


@contextmanager
def exact(network: TwoStreamNetwork) -> Iterator[torch.device]:
    """The network's device, for a block in which it embeds: in eval mode, exact float32 and without gradients."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode(), arithmetic("float32", device):
            yield device
    finally:
        network.train(was_training)


def _collect(
    embed: Callable[[Tensor, Modality], Mapping[View, Tensor]],
    source: ImageSource,
    indices: Iterable[int],
    sizes: Mapping[View, int],
    *,
    images_to: torch.device,
    listener: Listener,
    batch_size: int,
    workers: int | None,
) -> dict[View, Embeddings]:
    """Feed the images to ``embed``, a modality after the other, and make sure that every row is filled.

    Of several processes each takes whole batches in turn, the same batches that one process would make: the result is the same.
    """
    wanted = np.unique(np.fromiter(indices, np.int64))
    source.check(wanted.tolist(), listener)
    vectors = {view: np.full((len(wanted), size), np.nan, np.float32) for view, size in sizes.items()}
    rows_of = {m: np.flatnonzero([source.samples[index].modality == m for index in wanted]) for m in MODALITIES}
    shares = {modality: _shares(rows, batch_size) for modality, rows in rows_of.items()}
    mine = {modality: each[processes.current().rank] for modality, each in shares.items()}
    with listener.task("embedding", sum(len(rows) for rows in mine.values()), "images") as progress:
        for modality, rows in mine.items():
            done = 0
            for images in images_in_order(
                source, wanted[rows].tolist(), batch_size, workers=workers, pin=images_to.type == "cuda"
            ):
                inputs = normalize(images.to(images_to, non_blocking=True))
                for view, features in embed(inputs, modality).items():
                    vectors[view][rows[done : done + len(images)]] = features.float().cpu().numpy()
                done += len(images)
                progress.advance(len(images))
    for each in vectors.values():
        for share in shares.values():
            processes.share_rows(each, share)
    require_finite(vectors.values())
    return {view: Embeddings(wanted, each) for view, each in vectors.items()}


def _shares(rows: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Of each process the rows it embeds: every so manieth batch."""
    size = processes.current().size
    batch = np.arange(len(rows)) // batch_size
    return [rows[batch % size == rank] for rank in range(size)]


def require_finite(vectors: Iterable[NDArray[np.float32]]) -> None:
    """Refuse embeddings that a damaged network gave.

    Raises:
        LbaError: a value isn't finite.
    """
    if not all(np.isfinite(each).all() for each in vectors):
        raise LbaError("the network gives embeddings that are not finite; its weights or its normalisation are damaged")


def _embed(network: TwoStreamNetwork, inputs: Tensor, modality: Modality, views: Sequence[View]) -> dict[View, Tensor]:
    """(N, 3, H, W) images → (N, D) unit-length features in every view; the trunk runs once, or twice to mirror."""
    features = [pooled(network, inputs, modality)]
    if any(view.flip for view in views):
        features.append(pooled(network, inputs.flip(3), modality))
    return {view: _view(network, features, view) for view in views}


def _view(network: TwoStreamNetwork, features: Sequence[Tensor], view: View) -> Tensor:
    chosen = features if view.flip else features[:1]
    unit = [F.normalize(network.neck(each) if view.neck else each, dim=1) for each in chosen]
    return F.normalize(unit[0] + unit[1], dim=1) if view.flip else unit[0]

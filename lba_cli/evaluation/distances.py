"""Scores and distances between queries and gallery images, in float64, in blocks of bounded size."""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from lba_cli.datasets import Draw
from lba_cli.evaluation.embedding import Embeddings

Block = tuple[slice, NDArray[np.floating]]  # some queries of a draw, and their (rows, G) distances
CPU = torch.device("cpu")
MAX_SHARED_ELEMENTS = 2**27  # 1 GiB
BLOCK_ELEMENTS = 2**24


def dot_products(
    queries: NDArray[np.floating], gallery: NDArray[np.floating], device: torch.device = CPU
) -> NDArray[np.float64]:
    """Return the (Q, G) dot products of (Q, D) and (G, D) vectors, computed in float64 on ``device``.

    Other programs of the field also use float64. In float32, rounding changes the order of scores that nearly tie.

    Equal gallery vectors get equal scores, so copies of an image keep the gallery's order. A matrix product alone does not
    ensure this, because it adds up the last columns in another order than the other columns.
    """
    bytes_of_rows = np.ascontiguousarray(gallery).view(f"V{gallery.shape[1] * gallery.itemsize}").ravel()
    _, first, copy = np.unique(bytes_of_rows, return_index=True, return_inverse=True)
    if device.type == "mps":  # MPS has no float64
        device = CPU
    has_copies = len(first) < len(gallery)
    with torch.inference_mode():
        left = torch.from_numpy(queries).to(device, torch.float64)
        right = torch.from_numpy(gallery[first] if has_copies else gallery).to(device, torch.float64)
        products: NDArray[np.float64] = (left @ right.T).cpu().numpy()
    return products[:, copy] if has_copies else products


class Distances:
    """Negative dot products of unit-length embeddings. The smaller the distance, the more similar are two images.

    The draws of a protocol share most of their images. The distances between all queries and all gallery images are therefore
    computed once, if they fit in ``MAX_SHARED_ELEMENTS``; otherwise :meth:`blocks` computes the distances of each draw.
    """

    def __init__(self, embeddings: Embeddings, draws: Sequence[Draw], device: torch.device) -> None:
        self._embeddings, self._device = embeddings, device
        self._queries = np.unique(np.fromiter(chain.from_iterable(draw.queries for draw in draws), np.int64))
        self._gallery = np.unique(np.fromiter(chain.from_iterable(draw.gallery for draw in draws), np.int64))
        self._shared: NDArray[np.float64] | None = None
        separate = sum(len(draw.queries) * len(draw.gallery) for draw in draws)
        if len(self._queries) * len(self._gallery) <= min(separate, MAX_SHARED_ELEMENTS):
            self._shared = self._distances(embeddings.of(self._queries), embeddings.of(self._gallery))

    def blocks(self, draw: Draw) -> Iterator[Block]:
        """Yield the distances of a draw in blocks of at most ``BLOCK_ELEMENTS`` elements, or of a single query."""
        gallery = self._embeddings.of(draw.gallery) if self._shared is None else None
        columns = np.searchsorted(self._gallery, draw.gallery)
        step = max(1, BLOCK_ELEMENTS // len(draw.gallery))
        for start in range(0, len(draw.queries), step):
            rows = slice(start, start + step)
            queries = draw.queries[rows]
            if self._shared is not None:
                yield rows, self._shared[np.searchsorted(self._queries, queries)[:, None], columns]
            elif gallery is not None:
                yield rows, self._distances(self._embeddings.of(queries), gallery)

    def _distances(self, queries: NDArray[np.floating], gallery: NDArray[np.floating]) -> NDArray[np.float64]:
        products = dot_products(queries, gallery, self._device)
        return np.negative(products, out=products)

"""Distances between queries and gallery images, computed on the device of the network, a bounded block at a time."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from lba_cli.compute import arithmetic
from lba_cli.datasets import Draw
from lba_cli.evaluation.embedding import Embeddings

Block = tuple[slice, NDArray[np.float32]]  # which queries of a draw, and their (rows, G) distances
MAX_SHARED_ELEMENTS = 2**28  # 1 GiB
BLOCK_ELEMENTS = 2**25


class Distances:
    """Negative dot products of unit-length embeddings: smaller is more alike.

    The draws of a protocol share most of their images. The distances between all queries and all gallery images are therefore
    computed once, if they fit in ``MAX_SHARED_ELEMENTS``; otherwise :meth:`blocks` computes the distances of each draw.
    """

    def __init__(self, embeddings: Embeddings, draws: Sequence[Draw], device: torch.device) -> None:
        self._embeddings, self._device = embeddings, device
        self._queries = np.unique(np.fromiter(chain.from_iterable(draw.queries for draw in draws), np.int64))
        self._gallery = np.unique(np.fromiter(chain.from_iterable(draw.gallery for draw in draws), np.int64))
        self._shared: NDArray[np.float32] | None = None
        separate = sum(len(draw.queries) * len(draw.gallery) for draw in draws)
        if len(self._queries) * len(self._gallery) <= min(separate, MAX_SHARED_ELEMENTS):
            self._shared = self._distances(self._vectors(self._queries), self._vectors(self._gallery))

    def blocks(self, draw: Draw) -> Iterator[Block]:
        """Yield the distances of a draw, of as many queries at a time as fit in ``BLOCK_ELEMENTS``."""
        gallery = self._vectors(draw.gallery) if self._shared is None else None
        columns = np.searchsorted(self._gallery, draw.gallery)
        step = max(1, BLOCK_ELEMENTS // len(draw.gallery))
        for start in range(0, len(draw.queries), step):
            rows = slice(start, start + step)
            queries = draw.queries[rows]
            if self._shared is not None:
                yield rows, self._shared[np.searchsorted(self._queries, queries)[:, None], columns]
            elif gallery is not None:
                yield rows, self._distances(self._vectors(queries), gallery)

    def _vectors(self, indices: Iterable[int]) -> torch.Tensor:
        return torch.from_numpy(self._embeddings.of(indices)).to(self._device)

    def _distances(self, queries: torch.Tensor, gallery: torch.Tensor) -> NDArray[np.float32]:
        with torch.inference_mode(), arithmetic("float32", self._device):
            distances: NDArray[np.float32] = (queries @ gallery.T).neg_().cpu().numpy()
        return distances

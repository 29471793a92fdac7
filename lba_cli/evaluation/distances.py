"""Distances of queries to gallery images, a bounded piece at a time, on the device that will rank them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from lba_cli.compute import arithmetic
from lba_cli.datasets import Draw
from lba_cli.evaluation.embedding import Embeddings

Block = tuple[slice, Any]  # which queries of a trial, and their (rows, G) distances
LARGEST_KEPT = 2**28  # elements: 1 GiB
BLOCK_ELEMENTS = 2**25


class Distances:
    """Distances within trials that share embeddings; smaller is more alike.

    DrawsOfSetting draw again and again from the same images, so that the distances of everybody who is compared are taken in one
    product where they fit in ``LARGEST_KEPT``, and for each trial anew where they don't.

    Args:
        embeddings: of everybody.
        trials: all that will be asked for.
        device: where distances are computed and returned: tensors on a GPU, NumPy arrays otherwise.
    """

    def __init__(self, embeddings: Embeddings, trials: Sequence[Draw], device: torch.device) -> None:
        self._embeddings, self._device = embeddings, device
        self._row = _places(trial.queries for trial in trials)
        self._column = _places(trial.gallery for trial in trials)
        self._kept: Any = None
        drawn = sum(len(trial.queries) * len(trial.gallery) for trial in trials)
        everybody = len(self._row) * len(self._column)
        if everybody <= min(drawn, LARGEST_KEPT):
            self._kept = self._product(self._vectors(self._row), self._vectors(self._column))

    def blocks(self, trial: Draw) -> Iterator[Block]:
        """Yield the float32 distances of a trial, as many queries at a time as fit in ``BLOCK_ELEMENTS``."""
        step = max(1, BLOCK_ELEMENTS // len(trial.gallery))
        gallery = self._vectors(trial.gallery) if self._kept is None else None
        for start in range(0, len(trial.queries), step):
            rows = slice(start, start + step)
            queries = trial.queries[rows]
            if gallery is None:
                yield rows, self._of(queries, trial.gallery)
            else:
                yield rows, self._product(self._vectors(queries), gallery)

    def _of(self, queries: Sequence[int], gallery: Sequence[int]) -> Any:
        """From those that are kept."""
        row, column = ([places[i] for i in side] for places, side in ((self._row, queries), (self._column, gallery)))
        if isinstance(self._kept, torch.Tensor):
            return self._kept[torch.tensor(row)[:, None], torch.tensor(column)]
        return self._kept[np.asarray(row)[:, None], column]

    def _vectors(self, indices: Iterable[int]) -> Any:
        """Embeddings: an array, or a tensor on a GPU."""
        vectors = self._embeddings.of(indices)
        return vectors if self._device.type == "cpu" else torch.from_numpy(vectors).to(self._device)

    def _product(self, queries: Any, gallery: Any) -> Any:
        if isinstance(queries, torch.Tensor):
            with torch.inference_mode(), arithmetic("float32", self._device):
                return (queries @ gallery.T).neg_()
        result = queries @ gallery.T
        return np.negative(result, out=result)


def _places(lists: Iterable[Sequence[int]]) -> dict[int, int]:
    """A place for every index that occurs, in the order of the first time."""
    return {index: place for place, index in enumerate(dict.fromkeys(itertools.chain.from_iterable(lists)))}

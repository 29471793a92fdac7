"""The layout of the method's released checkpoint (``.t``), so that other people's code can load our weights."""

from __future__ import annotations

import io
import math
from collections import OrderedDict
from pathlib import Path

import torch

from lba_cli.export.embedding_model import PLAIN, Embed, EmbeddingModel, Flavour
from lba_cli.model import TwoStreamNetwork, load_network
from lba_cli.model.checkpoint import Description
from lba_cli.model.official_layout import to_released
from lba_cli.signals import signals_deferred

RANKS = 20


def write_official(network: TwoStreamNetwork, description: Description, path: Path, flavour: Flavour = PLAIN) -> None:
    """Write a pickle of ``{'net', 'cmc', 'mAP', 'mINP', 'epoch'}`` that ``torch.load(weights_only=True)`` reads.

    ``net`` has all 71 million parameters (see :func:`lba_cli.model.official_layout.to_released`). The figures, NumPy objects in
    the released file, are plain floats here, as fractions: ``cmc`` is a list of 20. Those that aren't known (a
    checkpoint keeps the ranks 1, 5, 10 and 20) are not a number. The epoch counts from 0; -1 where it isn't known.
    """
    figures = description.figures
    content = {
        "net": OrderedDict(to_released({name: value.contiguous() for name, value in network.state_dict().items()})),
        "cmc": [figures.get(f"rank{rank}", math.nan) for rank in range(1, RANKS + 1)],
        "mAP": figures.get("mAP", math.nan),
        "mINP": figures.get("mINP", math.nan),
        "epoch": description.epoch,
    }
    buffer = io.BytesIO()
    with signals_deferred():  # PyTorch's writer ends the process when an exception, or a full disk, comes in between
        torch.save(content, buffer)
    path.write_bytes(buffer.getbuffer())


def load_official(path: Path) -> Embed:
    """The network rebuilt from the file alone, as a function of (images, infrared)."""
    return EmbeddingModel(load_network(path))

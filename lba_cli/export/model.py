"""What is exported: both stems and the trunk behind one input of images and one that chooses the stem."""

from __future__ import annotations

import json
from dataclasses import asdict

import torch
from torch import Tensor, nn

from lba_cli.data.images import MEAN, STANDARD_DEVIATION
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description

INPUTS = ("images", "infrared")
OUTPUT = "embeddings"


class EmbeddingModel(nn.Module):
    """The retrieval network for images of either modality, also mixed in a batch."""

    def __init__(self, network: TwoStreamNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, infrared: Tensor) -> Tensor:
        """Embed ``images``: (N, 3, H, W) normalised float32, through the stem that ``infrared``, (N,) bool, chooses.

        Returns:
            (N, D) float32 of unit length.
        """
        return self.network.embed_mixed(images, infrared)


def metadata(description: Description) -> str:
    """JSON with all that is needed to rebuild the network and to feed it."""
    recipe = {
        "colour": "RGB",
        "height": description.height,
        "width": description.width,
        "resize": "lanczos",
        "scale": 1 / 255,
        "mean": MEAN,
        "standard_deviation": STANDARD_DEVIATION,
        "layout": "NCHW",
        "inputs": {"images": "float32 (N, 3, height, width)", "infrared": "bool (N,): true for infrared images"},
        "output": "float32 (N, D), unit length; compare by dot product",
    }
    return json.dumps({"lba": asdict(description), "preprocessing": recipe})


def example(description: Description, batch: int, *, infrared: bool) -> tuple[Tensor, Tensor]:
    """Inputs for tracing and for comparison: noise in the range of normalised images, all of one modality."""
    generator = torch.Generator().manual_seed(batch)
    images = torch.randn(batch, 3, description.height, description.width, generator=generator)
    return images, torch.full((batch,), infrared)

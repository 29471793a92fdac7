"""What is exported: the stems and the trunk behind an input of images, and what the file says of how to feed them."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lba_cli.data.image_files import MEAN, STANDARD_DEVIATION
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description, fingerprint
from lba_cli.vocabulary import ExportPrecision, Modality

INPUTS = ("images", "infrared")
OUTPUT = "embeddings"
LARGEST_BATCH = 65_536
BOTH: Literal["visible and infrared"] = "visible and infrared"
# (N, 3, H, W) normalised float32 images and (N,) bool, true for infrared ones, to (N, D) float32 embeddings.
Embed = Callable[[Tensor, Tensor], Tensor]
# The same for images of one modality, named.
EmbedOne = Callable[[Tensor, Modality], Tensor]


@dataclass(frozen=True)
class Flavour:
    """How a file holds the network.

    Attributes:
        precision: of the weights, and of the computation where the format has one; inputs and outputs are float32.
        stem: the one modality that the file embeds; None: both, chosen by the input ``infrared``.
    """

    precision: ExportPrecision = "float32"
    stem: Modality | None = None

    @property
    def dtype(self) -> torch.dtype:
        """PyTorch's name of the precision."""
        dtype: torch.dtype = getattr(torch, self.precision)
        return dtype

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the file's inputs."""
        return INPUTS[:1] if self.stem else INPUTS

    def cast(self, network: TwoStreamNetwork) -> TwoStreamNetwork:
        """``network``, or a copy of it in half precision."""
        return network if self.precision == "float32" else deepcopy(network).to(self.dtype)


PLAIN = Flavour()


class EmbeddingModel(nn.Module):
    """The retrieval network for images of either modality, also mixed in a batch."""

    def __init__(self, network: TwoStreamNetwork, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network, self.dtype = network, dtype

    def forward(self, images: Tensor, infrared: Tensor) -> Tensor:
        """Embed ``images``: (N, 3, H, W) normalised float32, through the stem that ``infrared``, (N,) bool, chooses.

        Returns:
            (N, D) float32 of unit length.
        """
        return self.network.embed_mixed(_cast(images, self.dtype), infrared)


class OneStemModel(nn.Module):
    """The retrieval network for images of one modality."""

    def __init__(self, network: TwoStreamNetwork, stem: Modality, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network, self.stem, self.dtype = network, stem, dtype

    def forward(self, images: Tensor) -> Tensor:
        """Embed ``images``: (N, 3, H, W) normalised float32 → (N, D) float32 of unit length."""
        return self.network.embed(_cast(images, self.dtype), self.stem)


def _cast(images: Tensor, dtype: torch.dtype) -> Tensor:
    return images if dtype == torch.float32 else images.to(dtype)


def traceable(
    network: TwoStreamNetwork, description: Description, flavour: Flavour
) -> tuple[nn.Module, tuple[Tensor, ...], tuple[dict[int, Any], ...]]:
    """The module that a flavour's file is traced from, example inputs, and which of their axes vary."""
    cast = flavour.cast(network)
    module = OneStemModel(cast, flavour.stem, flavour.dtype) if flavour.stem else EmbeddingModel(cast, flavour.dtype)
    inputs = example(description, 2, infrared=True)[: len(flavour.inputs)]
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    return module.eval(), inputs, ({0: batch},) * len(inputs)


def metadata(network: TwoStreamNetwork, description: Description, flavour: Flavour = PLAIN, **facts: Any) -> str:
    """JSON with all that is needed to rebuild ``network``, to feed it and to recognise it; ``facts`` are of the format."""
    inputs = {"images": "float32 (N, 3, height, width)", "infrared": "bool (N,): true for infrared images"}
    recipe = {
        "colour": "RGB",
        "height": description.height,
        "width": description.width,
        "resize": "lanczos",
        "scale": 1 / 255,
        "mean": MEAN,
        "standard_deviation": STANDARD_DEVIATION,
        "layout": "NCHW",
        "inputs": {name: inputs[name] for name in flavour.inputs},
        "output": "float32 (N, D), unit length; compare by dot product",
    }
    export = {
        "precision": flavour.precision,
        "modalities": flavour.stem or BOTH,
        "network": fingerprint(network.state_dict()),
        **facts,
    }
    return json.dumps({"lba": asdict(description), "preprocessing": recipe, "export": export})


def example(description: Description, batch: int, *, infrared: bool) -> tuple[Tensor, Tensor]:
    """Inputs for tracing and for comparison: noise in the range of normalised images, all of one modality."""
    generator = torch.Generator().manual_seed(batch)
    images = torch.randn(batch, 3, description.height, description.width, generator=generator)
    return images, torch.full((batch,), infrared)

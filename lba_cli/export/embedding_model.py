"""The network as it is exported, and the metadata that say how to feed it."""

import hashlib
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
# A function of (N, 3, H, W) normalised float32 images and (N,) bool, true for infrared images, to (N, D) float32 embeddings.
Embed = Callable[[Tensor, Tensor], Tensor]
# The same for images that are all of one modality.
EmbedOne = Callable[[Tensor, Modality], Tensor]


@dataclass(frozen=True)
class FileContents:
    """Which part of the network a file holds, and how precisely.

    Attributes:
        precision: that of the weights, and of the computation if the format has one. Inputs and outputs are float32.
        stem: the only modality that the file embeds; None if it embeds both, chosen by the input ``infrared``.
    """

    precision: ExportPrecision = "float32"
    stem: Modality | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The precision as a type of PyTorch."""
        dtype: torch.dtype = getattr(torch, self.precision)
        return dtype

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the file's inputs."""
        return INPUTS[:1] if self.stem else INPUTS

    def cast(self, network: TwoStreamNetwork) -> TwoStreamNetwork:
        """Return ``network`` itself, or a copy of it in half precision."""
        return network if self.precision == "float32" else deepcopy(network).to(self.dtype)


WHOLE_NETWORK = FileContents()


class EmbeddingModel(nn.Module):
    """The retrieval network as a file holds it: for both modalities, which may be mixed in a batch, or for one."""

    def __init__(self, network: TwoStreamNetwork, contents: FileContents = WHOLE_NETWORK) -> None:
        super().__init__()
        self.network, self.contents = network, contents

    def forward(self, images: Tensor, infrared: Tensor | None = None) -> Tensor:
        """Embed (N, 3, H, W) normalised float32 images as (N, D) float32 of unit length.

        ``infrared``, (N,) bool, is true for images that go through the infrared stem; without it all images go through
        the file's only stem.
        """
        if self.contents.dtype != torch.float32:
            images = images.to(self.contents.dtype)
        if infrared is None:
            assert self.contents.stem
            return self.network.embed(images, self.contents.stem)
        return self.network.embed_mixed(images, infrared)


def traceable(
    network: TwoStreamNetwork, description: Description, contents: FileContents
) -> tuple[nn.Module, tuple[Tensor, ...], tuple[dict[int, Any], ...]]:
    """Return the module that a file is traced from, example inputs, and for each input the axes whose size may vary."""
    module = EmbeddingModel(contents.cast(network), contents)
    inputs = example(description, 2, infrared=True)[: len(contents.inputs)]
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    return module.eval(), inputs, ({0: batch},) * len(inputs)


def exported_fingerprint(network: str, precision: ExportPrecision) -> str:
    """Return the identity of an exported file's vectors; those of files with the same one can be compared.

    In float32 it is the network's own fingerprint. Each half precision has another, as its vectors differ slightly.
    """
    return network if precision == "float32" else hashlib.sha256(f"{network} {precision}".encode()).hexdigest()


def metadata(
    network: TwoStreamNetwork, description: Description, contents: FileContents = WHOLE_NETWORK, **facts: Any
) -> str:
    """Return JSON with all that is needed to rebuild ``network``, which is in float32, to feed it and to recognise it.

    ``facts`` are what only this format has.
    """
    inputs = {"images": "float32 (N, 3, height, width)", "infrared": "bool (N,): true for infrared images"}
    recipe = {
        "colour": "RGB",
        "height": description.height,
        "width": description.width,
        "resize": "lanczos",
        "value_range": description.value_range,
        "scale": 1 / 255,
        "mean": MEAN,
        "standard_deviation": STANDARD_DEVIATION,
        "layout": "NCHW",
        "inputs": {name: inputs[name] for name in contents.inputs},
        "output": "float32 (N, D), unit length; compare by dot product",
    }
    export = {
        "precision": contents.precision,
        "modalities": contents.stem or BOTH,
        "network": fingerprint(network.state_dict()),
        **facts,
    }
    return json.dumps({"lba": asdict(description), "preprocessing": recipe, "export": export})


def example(description: Description, batch: int, *, infrared: bool) -> tuple[Tensor, Tensor]:
    """Return inputs for tracing and comparing: noise in the range of normalised images, all of one modality."""
    generator = torch.Generator().manual_seed(batch)
    images = torch.randn(batch, 3, description.height, description.width, generator=generator)
    return images, torch.full((batch,), infrared)

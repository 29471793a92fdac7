"""The module that is exported, and the metadata that describe its inputs and output."""

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
# Maps (N, 3, H, W) normalised float32 images, and an (N,) bool tensor that is true for infrared images, to (N, D) float32.
Embed = Callable[[Tensor, Tensor], Tensor]
# The same for images of one modality, which is given by name.
EmbedOne = Callable[[Tensor, Modality], Tensor]


@dataclass(frozen=True)
class FileContents:
    """The part of the network that an exported file holds, and its precision.

    Attributes:
        precision: the precision of the weights and, in programs, of the computation. Inputs and outputs are float32.
        stem: the only modality that the file embeds; None if its input ``infrared`` chooses between both.
        calibration: the digest of the images that a file in int8 is calibrated on; otherwise empty.
    """

    precision: ExportPrecision = "float32"
    stem: Modality | None = None
    calibration: str = ""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the module that the file is made from. An int8 file is quantised from a float32 module."""
        dtype: torch.dtype = torch.float32 if self.precision == "int8" else getattr(torch, self.precision)
        return dtype

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the file's inputs."""
        return INPUTS[:1] if self.stem else INPUTS

    def cast(self, network: TwoStreamNetwork) -> TwoStreamNetwork:
        """Return ``network`` itself, or a copy of it in half precision."""
        return network if self.dtype == torch.float32 else deepcopy(network).to(self.dtype)


WHOLE_NETWORK = FileContents()


class EmbeddingModel(nn.Module):
    """The network as it is exported. It embeds images of one modality, or batches in which both are mixed."""

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


def metadata(
    network: TwoStreamNetwork, description: Description, contents: FileContents = WHOLE_NETWORK, **facts: Any
) -> str:
    """Return JSON metadata from which the float32 ``network`` can be rebuilt and recognised, and its inputs prepared.

    ``facts`` are entries that only this format has.
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
        **({"calibration": contents.calibration} if contents.calibration else {}),
        **facts,
    }
    return json.dumps({"lba": asdict(description), "preprocessing": recipe, "export": export})


def example(description: Description, batch: int, *, infrared: bool) -> tuple[Tensor, Tensor]:
    """Return random ``images`` and ``infrared`` for tracing and comparing; all images have the same modality."""
    generator = torch.Generator().manual_seed(batch)
    images = torch.randn(batch, 3, description.height, description.width, generator=generator)
    return images, torch.full((batch,), infrared)

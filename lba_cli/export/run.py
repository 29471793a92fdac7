"""Write a format, run what was written against the trained network, and only then let the file appear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lba_cli.errors import ExportError
from lba_cli.export.model import example
from lba_cli.export.onnx import load_onnx, write_onnx
from lba_cli.export.safetensors import load_safetensors_model, write_safetensors
from lba_cli.export.torch_export import load_torch_export, write_torch_export
from lba_cli.files import whole_file
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description
from lba_cli.vocabulary import MODALITIES

TOLERANCE = 1e-4
BATCHES = (1, 7)
Embed = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Format:
    """How a format is written, how what was written is loaded as a function, and its files' ending."""

    write: Callable[[TwoStreamNetwork, Description, Path], None]
    load: Callable[[Path], Embed]
    suffix: str


FORMATS = {
    "onnx": Format(write_onnx, load_onnx, ".onnx"),
    "pt2": Format(write_torch_export, load_torch_export, ".pt2"),
    "safetensors": Format(write_safetensors, load_safetensors_model, ".safetensors"),
}


def export(
    network: TwoStreamNetwork, description: Description, format_name: str, path: Path, *, force: bool = False
) -> float:
    """Write ``network``, in eval mode and on the CPU, to ``path``, and check what was written.

    Returns:
        The largest deviation of its embeddings from the network's, over batches of 1 and 7 of either modality.

    Raises:
        ExportError: the file exists and ``force`` isn't given, its ending isn't the format's, or what was written
            deviates by more than 1e-4 (then no file is left).
        MissingExtra: a package that the format needs isn't installed.
    """
    form = FORMATS[format_name]
    if path.suffix != form.suffix:
        raise ExportError(f"{path}: a file of the format {format_name} ends in {form.suffix}")
    if path.exists() and not force:
        raise ExportError(f"{path}: exists already; name another --output, or replace it with --force")
    with whole_file(path, replace=force) as partial:
        form.write(network, description, partial)
        deviation = largest_deviation(network, description, form.load(partial))
        if not deviation <= TOLERANCE:
            raise ExportError(
                f"{path}: the exported network's embeddings deviate by {deviation:.2e} from the trained network's, more "
                f"than {TOLERANCE:g}; no file was written"
            )
    return deviation


@torch.inference_mode()
def largest_deviation(network: TwoStreamNetwork, description: Description, embed: Embed) -> float:
    """The largest absolute difference between ``embed``'s embeddings and the network's."""
    worst = 0.0
    for batch in BATCHES:
        for modality in MODALITIES:
            images, infrared = example(description, batch, infrared=modality == "infrared")
            difference = embed(images, infrared) - network.embed(images, modality)
            worst = max(worst, float(difference.abs().nan_to_num(torch.inf).max()))
    return worst

"""PyTorch's own exported program, ``.pt2``: loaded by torch.export without this package."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor

from lba_cli.export.embedding_model import PLAIN, Embed, Flavour, metadata, traceable
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description
from lba_cli.signals import signals_deferred

METADATA_FILE = "lba.json"


def write_torch_export(
    network: TwoStreamNetwork, description: Description, path: Path, flavour: Flavour = PLAIN
) -> None:
    """Write ``network`` as an exported program with a dynamic batch; the extra file ``lba.json`` says how to feed it."""
    module, inputs, shapes = traceable(network, description, flavour)
    program = torch.export.export(module, inputs, dynamic_shapes=shapes)
    extra = {METADATA_FILE: metadata(network, description, flavour, format="pt2", torch=torch.__version__)}
    buffer = io.BytesIO()
    with signals_deferred():  # PyTorch's writer ends the process when an exception, or a full disk, comes in between
        torch.export.save(program, buffer, extra_files=extra)
    path.write_bytes(buffer.getbuffer())


def load_torch_export(path: Path) -> Embed:
    """The program of the file, as a function of (images, infrared); one of a single modality goes by its own stem."""
    with path.open("rb") as file:
        program = torch.export.load(file)
    module, taken = program.module(), len(program.graph_signature.user_inputs)

    def run(images: Tensor, infrared: Tensor) -> Tensor:
        result: Tensor = module(*(images, infrared)[:taken])
        return result

    return run

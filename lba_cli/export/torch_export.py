"""PyTorch's exported programs, ``.pt2``, which torch.export loads without this package."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor

from lba_cli.export.embedding_model import WHOLE_NETWORK, Embed, FileContents, metadata, traceable
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description
from lba_cli.signals import signals_deferred

METADATA_FILE = "lba.json"


def write_torch_export(
    network: TwoStreamNetwork, description: Description, path: Path, contents: FileContents = WHOLE_NETWORK
) -> None:
    """Write ``network`` as an exported program with a dynamic batch size; its extra file ``lba.json`` says how to feed it."""
    module, inputs, shapes = traceable(network, description, contents)
    program = torch.export.export(module, inputs, dynamic_shapes=shapes)
    extra = {METADATA_FILE: metadata(network, description, contents, format="pt2", torch=torch.__version__)}
    buffer = io.BytesIO()
    with signals_deferred():  # PyTorch's writer ends the process if an exception interrupts it
        torch.export.save(program, buffer, extra_files=extra)
    path.write_bytes(buffer.getbuffer())


def load_torch_export(path: Path) -> Embed:
    """Return the file's program as a function of (images, infrared); with one stem it ignores ``infrared``."""
    with path.open("rb") as file:
        program = torch.export.load(file)
    module, taken = program.module(), len(program.graph_signature.user_inputs)

    def run(images: Tensor, infrared: Tensor) -> Tensor:
        result: Tensor = module(*(images, infrared)[:taken])
        return result

    return run

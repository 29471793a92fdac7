"""PyTorch's own exported program, ``.pt2``: loaded by torch.export without this package."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from lba_cli.export.model import EmbeddingModel, example, metadata
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description
from lba_cli.signals import held

METADATA_FILE = "lba.json"


def write_torch_export(network: TwoStreamNetwork, description: Description, path: Path) -> None:
    """Write ``network`` as an exported program with a dynamic batch; the extra file ``lba.json`` says how to feed it."""
    batch = torch.export.Dim("batch", min=1, max=65_536)
    program = torch.export.export(
        EmbeddingModel(network).eval(),
        example(description, 2, infrared=True),
        dynamic_shapes=({0: batch}, {0: batch}),
    )
    buffer = io.BytesIO()
    with held():  # PyTorch's writer ends the process when an exception, or a full disk, comes in between
        torch.export.save(program, buffer, extra_files={METADATA_FILE: metadata(description)})
    path.write_bytes(buffer.getbuffer())


def load_torch_export(path: Path) -> Any:
    """The program of the file, as a function of (images, infrared)."""
    with path.open("rb") as file:
        return torch.export.load(file).module()

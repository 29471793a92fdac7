"""safetensors: the bare weights, with the metadata to rebuild the network (``lba_cli.model.load_network`` does)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save

from lba_cli.export.model import EmbeddingModel, metadata
from lba_cli.model import TwoStreamNetwork, load_network
from lba_cli.model.checkpoint import Description


def write_safetensors(network: TwoStreamNetwork, description: Description, path: Path) -> None:
    """Write the state dict of ``network``, with the description as metadata."""
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    path.write_bytes(save(state, metadata={"lba": metadata(description), "format": "pt"}))


def load_safetensors_model(path: Path) -> Any:
    """The network rebuilt from the file alone, as a function of (images, infrared)."""
    return EmbeddingModel(load_network(path))

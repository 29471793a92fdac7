"""safetensors: the bare weights, with the metadata to rebuild the network (``lba_cli.model.load_network`` does)."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save

from lba_cli.export.embedding_model import PLAIN, Embed, EmbeddingModel, Flavour, metadata
from lba_cli.model import TwoStreamNetwork, load_network
from lba_cli.model.checkpoint import Description


def write_safetensors(
    network: TwoStreamNetwork, description: Description, path: Path, flavour: Flavour = PLAIN
) -> None:
    """Write the state dict of ``network``, with the description as metadata.

    In half precision the weights alone are rounded: what loads them computes in float32.
    """
    state = {name: tensor.contiguous() for name, tensor in flavour.cast(network).state_dict().items()}
    told = metadata(network, description, flavour, format="safetensors")
    path.write_bytes(save(state, metadata={"lba": told, "format": "pt"}))


def load_safetensors_model(path: Path) -> Embed:
    """The network rebuilt from the file alone, as a function of (images, infrared)."""
    return EmbeddingModel(load_network(path))

"""safetensors files: the weights, with the metadata from which ``lba_cli.model.load_network`` rebuilds the network."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save

from lba_cli.export.embedding_model import WHOLE_NETWORK, Embed, EmbeddingModel, FileContents, metadata
from lba_cli.model import TwoStreamNetwork, load_network
from lba_cli.model.checkpoint import Description


def write_safetensors(
    network: TwoStreamNetwork, description: Description, path: Path, contents: FileContents = WHOLE_NETWORK
) -> None:
    """Write the state dict of ``network``, with its description as metadata.

    Half precision affects only the stored weights; a program that loads them computes in float32.
    """
    state = {name: tensor.contiguous() for name, tensor in contents.cast(network).state_dict().items()}
    text = metadata(network, description, contents, format="safetensors")
    path.write_bytes(save(state, metadata={"lba": text, "format": "pt"}))


def load_safetensors_model(path: Path) -> Embed:
    """Rebuild the network from the file alone, and return it as a function of (images, infrared)."""
    return EmbeddingModel(load_network(path))

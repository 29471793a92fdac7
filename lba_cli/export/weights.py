"""Export of weights: to safetensors, or in the layout of the method's released checkpoint, for other implementations."""

import io
import math
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save

from lba_cli.export.embedding_model import WHOLE_NETWORK, Embed, EmbeddingModel, FileContents, metadata
from lba_cli.model import TwoStreamNetwork, load_network
from lba_cli.model.checkpoint import Description, fingerprint
from lba_cli.model.official_layout import to_released
from lba_cli.signals import signals_deferred


def write_safetensors(
    network: TwoStreamNetwork, description: Description, path: Path, contents: FileContents = WHOLE_NETWORK
) -> None:
    """Write the state dict of ``network``, with the metadata from which ``lba_cli.model.load_network`` rebuilds it.

    Half precision affects only the stored weights; a program that loads them computes in float32.
    """
    state = {name: tensor.contiguous() for name, tensor in contents.cast(network).state_dict().items()}
    text = metadata(network, description, contents, format="safetensors")
    path.write_bytes(save(state, metadata={"lba": text, "format": "pt"}))


def write_official(
    network: TwoStreamNetwork, description: Description, path: Path, contents: FileContents = WHOLE_NETWORK
) -> None:
    """Write a pickle of ``{'net', 'cmc', 'mAP', 'mINP', 'epoch'}`` that ``torch.load(weights_only=True)`` reads.

    ``net`` has all 71 million parameters, and non-local blocks (see :func:`lba_cli.model.official_layout.to_released`). The figures are fractions
    as plain floats, where the released file has NumPy objects; ``cmc`` is a list of 20. Unknown figures are NaN: a
    checkpoint keeps only the ranks 1, 5, 10 and 20. The epoch counts from 0, and is -1 if it isn't known.
    """
    figures = description.figures
    content = {
        "net": OrderedDict(to_released({name: value.contiguous() for name, value in network.state_dict().items()})),
        "cmc": [figures.get(f"rank{rank}", math.nan) for rank in range(1, 21)],
        "mAP": figures.get("mAP", math.nan),
        "mINP": figures.get("mINP", math.nan),
        "epoch": description.epoch,
    }
    buffer = io.BytesIO()
    with signals_deferred():  # PyTorch's writer ends the process if an exception interrupts it
        torch.save(content, buffer)
    path.write_bytes(buffer.getbuffer())


def weights_fingerprint(network: TwoStreamNetwork, contents: FileContents) -> str:
    """Return the fingerprint of the stored weights, which programs that load them convert to float32."""
    stored = contents.cast(network).state_dict()
    return fingerprint({name: value.float() if value.is_floating_point() else value for name, value in stored.items()})


def load_weights(path: Path) -> Embed:
    """Rebuild the network from the file alone, and return it as a function of (images, infrared)."""
    return EmbeddingModel(load_network(path))

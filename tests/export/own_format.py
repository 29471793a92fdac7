"""An export format of one's own: NumPy's .npz, with an array for every tensor of the network."""

import json

import numpy as np
import torch

from lba_cli.export.embedding_model import EmbeddingModel, metadata
from lba_cli.export.export import FORMATS, Format
from lba_cli.model.initial_weights import build_network


def write_npz(network, description, path, contents):
    """Write the weights, in the precision that was chosen, and what rebuilds and feeds the network."""
    weights = contents.cast(network).state_dict()
    arrays = {name: tensor.numpy() for name, tensor in weights.items()}
    with path.open("wb") as file:
        np.savez(file, lba=np.array(metadata(network, description, contents, format="npz")), **arrays)


def load_npz(path):
    """Rebuild the network from the file alone: what was written is compared with the trained network before it appears."""
    with np.load(path) as arrays:
        description = json.loads(str(arrays["lba"]))["lba"]
        weights = {name: torch.from_numpy(arrays[name]) for name in arrays.files if name != "lba"}
    parts = {name: description[name] for name in ("non_local", "retrieval")}
    network = build_network(description["backbone"], description["num_classes"], "none", seed=0, **parts)
    network.load_state_dict(weights)
    return EmbeddingModel(network.eval())


NPZ = Format(write_npz, load_npz, suffix=".npz", precisions=("float32", "float16"), stems=("one",))

if __name__ == "__main__":  # python own_format.py export --format npz --output person.npz
    from lba_cli.__main__ import main

    FORMATS["npz"] = NPZ
    main()

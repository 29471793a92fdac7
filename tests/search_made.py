"""Made images, and an embedder that needs no network: what lies at a random direction is seen at once."""

import hashlib

import numpy as np
from cases import HEIGHT, WIDTH
from PIL import Image

from lba_cli.search.embedder import Embedder

DIMENSION = 16


def made_embedder(seed=0, origin="made.pt"):
    """Projects images on random directions; another ``seed`` is another model. ``calls`` has the sizes of its batches."""
    calls = []
    matrix = np.random.default_rng(seed).standard_normal((HEIGHT * WIDTH * 3, DIMENSION)).astype(np.float32)

    def function(images, modality):
        calls.append(len(images))
        flat = images.reshape(len(images), -1).astype(np.float32) / 255
        vectors = flat @ matrix * (1 if modality == "visible" else -1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    embedder = Embedder(origin, hashlib.sha256(matrix.tobytes()).hexdigest(), HEIGHT, WIDTH, DIMENSION, function)
    return embedder, calls


def write_image(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)

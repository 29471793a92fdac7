"""SYSU-MM01's protocol: each setting embeds the queries once, and the gallery again for every draw."""

import numpy as np
import torch

from .loading import PlainImages, batches
from .ranking import rank


def evaluate(network, images, samples, draws, *, batch_size=64, device="cpu"):
    """Mean CMC, mAP and mINP over the draws of one setting; ``images`` is (n, H, W, 3) uint8 with one row per sample."""
    network.eval()
    queries = draws[0].queries
    ids, cameras = (np.array([getattr(sample, name) for sample in samples]) for name in ("identity", "camera"))
    query_features = embed(network, images, queries, "infrared", batch_size, device)
    found = []
    for draw in draws:
        gallery_features = embed(network, images, draw.gallery, "visible", batch_size, device)
        distance = -np.matmul(query_features, gallery_features.T)
        found.append(rank(distance, ids[queries], ids[draw.gallery], cameras[queries], cameras[draw.gallery]))
    return [np.mean(np.array(figures, float), axis=0) for figures in zip(*found, strict=True)]


def embed(network, images, indices, modality, batch_size, device):
    """(n, D) float32."""
    features = []
    with torch.no_grad():
        for batch in batches(PlainImages(images, indices), batch_size):
            features.append(network.embed(batch.to(device), modality).cpu().numpy())
    return np.concatenate(features)

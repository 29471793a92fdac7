"""SYSU-MM01's protocol: for every setting the queries are embedded, and for every trial its gallery."""

import numpy as np
import torch

from .loading import PlainImages, batches
from .ranking import rank


def evaluate(network, images, samples, trials, *, batch_size=64, device="cpu"):
    """(mean cmc, mAP, mINP) over the trials of one setting; ``images`` (n, H, W, 3) uint8, a row a sample."""
    network.eval()
    queries = trials[0].queries
    ids, cameras = (np.array([getattr(sample, name) for sample in samples]) for name in ("identity", "camera"))
    query_features = embed(network, images, queries, "infrared", batch_size, device)
    found = []
    for trial in trials:
        gallery_features = embed(network, images, trial.gallery, "visible", batch_size, device)
        distance = -np.matmul(query_features, gallery_features.T)
        found.append(rank(distance, ids[queries], ids[trial.gallery], cameras[queries], cameras[trial.gallery]))
    return [np.mean(np.array(figures, float), axis=0) for figures in zip(*found, strict=True)]


def embed(network, images, indices, modality, batch_size, device):
    """(n, D) float32."""
    features = []
    with torch.no_grad():
        for batch in batches(PlainImages(images, indices), batch_size):
            features.append(network.embed(batch.to(device), modality).cpu().numpy())
    return np.concatenate(features)

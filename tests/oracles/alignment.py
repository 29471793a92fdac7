"""The dense triplet loss (paper, section 3.2) in plain loops, one image and one position at a time."""

import numpy as np


def unit_scaled(values):
    shifted = values - values.min()
    return shifted / (shifted.max() + 1e-12)


def dense_triplet(features, positive, negative, temperature, margin, weighting, use_masks=True):
    """Return the reconstructions from the positives, and the loss, for features of shape (N, C, H, W) in float64."""
    count, channels, height, width = features.shape
    flat = features.reshape(count, channels, -1)
    size = height * width
    masks = [unit_scaled(np.linalg.norm(image, axis=0)) for image in flat]

    def match(query, key):
        rows = np.empty((size, size))
        for place in range(size):
            cosines = []
            for other in range(size):
                a, b = flat[query][:, place], flat[key][:, other]
                cosines.append(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
            weights = np.exp(temperature * (np.array(cosines) - max(cosines)))
            rows[place] = weights / weights.sum()
        return rows

    reconstructed = np.empty_like(flat)
    losses, attentions = np.empty((count, size)), np.empty((count, size))
    for n in range(count):
        rebuilt = []
        for partner in (positive[n], negative[n]):
            probability = match(n, partner)
            warped = np.stack([flat[partner] @ probability[place] for place in range(size)], axis=1)
            mask = masks[n] if use_masks else 1.0
            rebuilt.append(mask * warped + (1 - mask) * flat[n])
            if partner == positive[n]:
                attentions[n] = unit_scaled(masks[n] * (probability @ masks[partner]))
        reconstructed[n] = rebuilt[0]
        for place in range(size):
            near, far = (np.linalg.norm(flat[n][:, place] - r[:, place] + 1e-6) for r in rebuilt)
            losses[n, place] = max(0.0, near - far + margin)
    if weighting == "per_position":
        loss = (attentions * losses).mean()
    elif weighting == "uniform":
        loss = losses.mean()
    else:
        loss = np.mean([attentions[:, place].mean() * losses[:, place].mean() for place in range(size)])
    return reconstructed.reshape(features.shape), loss

"""Data sets in memory for tests of evaluation, and a network whose two stems read images in opposite ways."""

from pathlib import Path

import numpy as np
import torch
from small_setup import HEIGHT, WIDTH
from torch import nn

from lba_cli.data.samples import Sample

STEP = 12  # difference of the gray levels of neighbouring identities


class MadeImages:
    """Flat images whose gray level encodes the identity: brighter for higher ones if visible, darker if infrared."""

    height, width, permutations, root = HEIGHT, WIDTH, None, Path("nowhere")

    def __init__(self, samples, dataset, split=0, name=None):
        self.samples, self.dataset, self.trial = tuple(samples), dataset, split
        self.name = name or f"made-{dataset}"
        self.fingerprint, self.content = f"{self.name}", ""

    def read(self, indices):
        levels = [self._level(self.samples[i]) for i in indices]
        return np.stack([np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in levels])

    def check(self, indices, listener):
        """Images in memory can't be damaged."""

    @staticmethod
    def _level(sample):
        level = STEP * sample.identity
        return level if sample.modality == "visible" else 255 - level


class OppositeStems(nn.Module):
    """Recognises everyone who comes through the right stem, and mistakes them for others through the wrong one."""

    embedding_size = 256 // STEP + 2
    retrieval = "pooled"

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seen = {"visible": 0, "infrared": 0}

    def __deepcopy__(self, memo):
        return self  # images that a copy sees are counted too

    def pooled(self, images, modality):
        self.seen[modality] += len(images)
        gray = images[:, 0].mean(dim=(1, 2)) * 0.229 * 255 + 0.485 * 255
        level = gray if modality == "visible" else 255 - gray
        identity = (level / STEP).round().long().clamp(0, self.embedding_size - 1)
        return nn.functional.one_hot(identity, self.embedding_size).float() * self.weight

    def unit_feature(self, pooled, place):
        return nn.functional.normalize(pooled, dim=1)


def tree(dataset, identities=range(1, 7), images=3, cameras=None, split="test"):
    """Make samples of ``identities`` under the data set's cameras, ``images`` each, in the order that readers use."""
    usual = {
        "sysu": {"visible": (1, 2, 4, 5), "infrared": (3, 6)},
        "regdb": {"visible": (1,), "infrared": (2,)},
        "llcm": {"visible": range(1, 10), "infrared": (1, 2, 4, 5, 6, 7, 8, 9)},
        "folder": {"visible": (1, 2), "infrared": (3, 4)},
    }
    chosen = cameras or usual[dataset]
    samples = [
        Sample(f"{modality}/cam{camera}/{identity:04d}/{image:04d}.jpg", identity, camera, modality, split)
        for modality in ("visible", "infrared")
        for identity in identities
        for camera in chosen[modality]
        for image in range(images)
    ]
    return sorted(samples, key=lambda s: (s.identity, s.camera, s.path))

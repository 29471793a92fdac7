"""A scaled-down SYSU-MM01: few identities, but as many images of each as the real data set has on average."""

from __future__ import annotations

import numpy as np

from lba_cli.data.samples import Sample
from lba_cli.datasets import Setting
from lba_cli.evaluation.scoring import draw_setting

GALLERY_IMAGES, QUERY_IMAGES = 18, 20  # per identity and camera: 6,775 / 96 / 4 and 3,803 / 96 / 2
SETTINGS = [
    Setting(mode, shots, "community") for mode in ("all-search", "indoor-search") for shots in ("single", "multi")
]


class ScaledDown:
    """Prepared images in memory: noise around one colour per identity."""

    name, dataset, trial, permutations, fingerprint, content = "scaled-down", "sysu", 0, None, "scaled-down", ""

    def __init__(self, identities, height=288, width=144):
        self.height, self.width = height, width
        self.samples = tuple(
            Sample(f"cam{camera}/{identity:04d}/{image:04d}.jpg", identity, camera, modality, "test")
            for modality, cameras, images in (
                ("visible", (1, 2, 4, 5), GALLERY_IMAGES),
                ("infrared", (3, 6), QUERY_IMAGES),
            )
            for camera in cameras
            for identity in range(1, identities + 1)
            for image in range(images)
        )
        random = np.random.default_rng(0)
        colours = random.integers(60, 196, (identities + 1, 1, 1, 3))
        self.pixels = np.empty((len(self.samples), height, width, 3), np.uint8)
        for row, sample in enumerate(self.samples):
            noise = random.integers(-60, 60, (height, width, 3))
            self.pixels[row] = np.clip(colours[sample.identity] + noise, 0, 255)

    def read(self, indices):
        return self.pixels[list(indices)]

    def check(self, indices, listener):
        """Images in memory can't change."""

    def draws(self, setting):
        return draw_setting(self, setting).draws

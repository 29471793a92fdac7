"""What happens to a training image on its way to the network: pad, crop, flip, erase. Each image is drawn on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lba_cli.data.images import MEAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

ERASED_AREA = (0.02, 0.4)
ERASED_ASPECT = (0.3, 1 / 0.3)
ERASING_TRIES = 10


@dataclass(frozen=True)
class Augmentation:
    """The recipe's random changes.

    Attributes:
        pad: black pixels added on every side before the random crop back to the size (0: the crop changes nothing).
        flip: probability of a horizontal flip.
        erase: probability that a random rectangle (2–40 % of the area) is replaced by ImageNet's mean.
    """

    pad: int = 0
    flip: float = 0.5
    erase: float = 0.0

    def __call__(self, images: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """Change (n, H, W, 3) uint8 images; the result is new and of the same shape."""
        result = np.empty_like(images)
        for row, image in enumerate(images):
            if self.pad:
                image = _random_crop(image, self.pad, random)
            result[row] = image[:, ::-1] if random.random() < self.flip else image
            if self.erase and random.random() < self.erase:
                _erase_rectangle(result[row], random)
        return result


def _random_crop(image: NDArray[np.uint8], pad: int, random: np.random.Generator) -> NDArray[np.uint8]:
    top, left = random.integers(0, 2 * pad + 1, size=2)
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    return padded[top : top + image.shape[0], left : left + image.shape[1]]


def _erase_rectangle(image: NDArray[np.uint8], random: np.random.Generator) -> None:
    """Random erasing (Zhong et al., 2020), in place; nothing where no rectangle fits in ten tries."""
    height, width = image.shape[:2]
    for _ in range(ERASING_TRIES):
        area = random.uniform(*ERASED_AREA) * height * width
        aspect = np.exp(random.uniform(*np.log(ERASED_ASPECT)))
        tall, wide = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < tall < height and 0 < wide < width:
            top, left = random.integers(0, height - tall + 1), random.integers(0, width - wide + 1)
            image[top : top + tall, left : left + wide] = [round(255 * channel) for channel in MEAN]
            return

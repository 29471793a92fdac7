"""What happens to a training image on its way to the network: pad, crop, flip, erase. Each image is drawn on its own.

What is drawn and how it is done are apart: the draws are the same wherever the images are changed, one after the other in
an array here, or all at once where they lie (:mod:`lba_cli.data.device_cache`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lba_cli.data.image_files import MEAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

ERASED_AREA = (0.02, 0.4)
ERASED_ASPECT = (0.3, 1 / 0.3)
ERASING_TRIES = 10
ERASED_COLOUR = tuple(round(255 * channel) for channel in MEAN)


class Changes(NamedTuple):
    """What is drawn for one image, or the same as arrays for many.

    Attributes:
        top, left: of the crop, in pixels of the padded image.
        flipped: whether it is mirrored, after the crop.
        hole_top, hole_left, hole_bottom, hole_right: what is erased after that, the last two exclusive; nothing if empty.
    """

    top: int
    left: int
    flipped: bool
    hole_top: int = 0
    hole_left: int = 0
    hole_bottom: int = 0
    hole_right: int = 0


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

    def draw(self, count: int, height: int, width: int, random: np.random.Generator) -> list[Changes]:
        """Draw for ``count`` images of ``height`` × ``width``."""
        return [self._draw(height, width, random) for _ in range(count)]

    def _draw(self, height: int, width: int, random: np.random.Generator) -> Changes:
        top, left = random.integers(0, 2 * self.pad + 1, size=2).tolist() if self.pad else (0, 0)
        flipped = bool(random.random() < self.flip)
        erased = bool(self.erase) and random.random() < self.erase
        return Changes(top, left, flipped, *(_hole(height, width, random) if erased else ()))

    def __call__(self, images: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """Change (n, H, W, 3) uint8 images; the result is new and of the same shape."""
        result = np.empty_like(images)
        count, height, width, _ = images.shape
        for row, changes in enumerate(self.draw(count, height, width, random)):
            image = images[row]
            if self.pad:
                padded = np.pad(image, ((self.pad, self.pad), (self.pad, self.pad), (0, 0)))
                image = padded[changes.top : changes.top + height, changes.left : changes.left + width]
            result[row] = image[:, ::-1] if changes.flipped else image
            hole = result[row, changes.hole_top : changes.hole_bottom, changes.hole_left : changes.hole_right]
            hole[:] = ERASED_COLOUR
        return result


def _hole(height: int, width: int, random: np.random.Generator) -> tuple[int, ...]:
    """Random erasing's rectangle (Zhong et al., 2020): top, left, bottom, right; none fits in ten tries: empty."""
    for _ in range(ERASING_TRIES):
        area = random.uniform(*ERASED_AREA) * height * width
        aspect = np.exp(random.uniform(*np.log(ERASED_ASPECT)))
        tall, wide = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < tall < height and 0 < wide < width:
            top, left = int(random.integers(0, height - tall + 1)), int(random.integers(0, width - wide + 1))
            return top, left, top + tall, left + wide
    return ()

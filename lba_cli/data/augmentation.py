"""Random augmentation of training images: pad and crop, flip, and erase. Each image gets random parameters of its own.

Sampling the parameters and applying them are separate steps, so that the same seed gives the same pixels whether images are
augmented one by one in an array (here) or all at once on a device (:mod:`lba_cli.data.device_cache`).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lba_cli.data.image_files import MEAN

ERASED_AREA = (0.02, 0.4)
ERASED_ASPECT = (0.3, 1 / 0.3)
ERASING_TRIES = 10
ERASED_COLOUR = tuple(round(255 * channel) for channel in MEAN)


class AugmentationParameters(NamedTuple):
    """The random parameters of one image's augmentation, or those of many images as arrays.

    Attributes:
        top, left: corner of the crop, in pixels of the padded image.
        flipped: whether the image is mirrored after the crop.
        hole_top, hole_left, hole_bottom, hole_right: the rectangle that is erased at the end; bottom and right are exclusive,
            and an empty rectangle erases nothing.
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
    """The augmentation of the training recipe.

    Attributes:
        pad: black pixels added on every side before a random crop back to the original size; 0 for no crop.
        flip: probability of a horizontal flip.
        erase: probability that a random rectangle, 2–40 % of the area, is replaced by ImageNet's mean colour.
    """

    pad: int = 0
    flip: float = 0.5
    erase: float = 0.0

    def sample(self, count: int, height: int, width: int, random: np.random.Generator) -> list[AugmentationParameters]:
        """Sample the parameters for ``count`` images of ``height`` × ``width`` pixels."""
        found = []
        for _ in range(count):
            top, left = random.integers(0, 2 * self.pad + 1, size=2).tolist() if self.pad else (0, 0)
            flipped = bool(random.random() < self.flip)
            hole = _sample_hole(height, width, random) if self.erase and random.random() < self.erase else ()
            found.append(AugmentationParameters(top, left, flipped, *hole))
        return found

    def __call__(self, images: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """Augment (n, H, W, 3) uint8 images; returns a new array of the same shape."""
        result = np.empty_like(images)
        count, height, width, _ = images.shape
        for row, parameters in enumerate(self.sample(count, height, width, random)):
            top, left, flipped, hole_top, hole_left, hole_bottom, hole_right = parameters
            image = images[row]
            if self.pad:
                padded = np.pad(image, ((self.pad, self.pad), (self.pad, self.pad), (0, 0)))
                image = padded[top : top + height, left : left + width]
            result[row] = image[:, ::-1] if flipped else image
            result[row, hole_top:hole_bottom, hole_left:hole_right] = ERASED_COLOUR
        return result


def _sample_hole(height: int, width: int, random: np.random.Generator) -> tuple[int, ...]:
    """Sample the rectangle of random erasing (Zhong et al., AAAI 2020): top, left, bottom, right.

    Returns an empty tuple if none of ten tries fits into the image.
    """
    for _ in range(ERASING_TRIES):
        area = random.uniform(*ERASED_AREA) * height * width
        aspect = np.exp(random.uniform(*np.log(ERASED_ASPECT)))
        tall, wide = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < tall < height and 0 < wide < width:
            top, left = int(random.integers(0, height - tall + 1)), int(random.integers(0, width - wide + 1))
            return top, left, top + tall, left + wide
    return ()

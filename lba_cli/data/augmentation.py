"""Random augmentation of training images: pad and crop, flip, exchange channels, and erase, with parameters of each image's own.

Sampling the parameters and applying them are separate steps, so that the same seed gives the same pixels whether images are
augmented one by one in an array (here) or all at once on a device (:mod:`lba_cli.data.device_cache`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lba_cli.data.image_files import MEAN, STANDARD_DEVIATION
from lba_cli.vocabulary import Modality

ERASED_AREA = (0.02, 0.4)
ERASED_ASPECT = (0.3, 1 / 0.3)
ERASING_TRIES = 10
ERASED_VALUES = (0.4914, 0.4822, 0.4465)  # of red, green and blue after normalisation, as in the published recipes
NO_HOLE = (0, 0, 0, 0)
# What an image can become three copies of. Gray is a weighted sum of the channels, here in thousandths.
RED, GREEN, BLUE, GRAY, UNCHANGED = range(5)
GRAY_WEIGHTS = (299, 587, 114)
# How often an image whose channels are exchanged becomes red, green, blue, gray, or stays unchanged (CAJ, section 3.2). Infrared
# images have three equal channels, so that only the colour of what is erased changes.
EXCHANGES: dict[Modality, tuple[float, ...]] = {
    "visible": (1 / 3, 1 / 3, 1 / 3, 0, 0),
    "infrared": (1 / 4, 1 / 4, 1 / 4, 1 / 8, 1 / 8),
}


def _erased_colours() -> NDArray[np.uint8]:
    """Return the (5, 3) colours of erased rectangles, by what the image becomes copies of, rounded to bytes."""
    gray = np.dot(GRAY_WEIGHTS, ERASED_VALUES) / sum(GRAY_WEIGHTS)
    normalized = np.array([*([value] * 3 for value in (*ERASED_VALUES, gray)), ERASED_VALUES])
    return (255 * (normalized * STANDARD_DEVIATION + MEAN)).round().astype(np.uint8)


ERASED_COLOURS = _erased_colours()


class AugmentationParameters(NamedTuple):
    """The random parameters of one image's augmentation, or those of many images as arrays.

    Attributes:
        top, left: corner of the crop, in pixels of the padded image.
        flipped: whether the image is mirrored after the crop.
        hole_top, hole_left, hole_bottom, hole_right: the rectangle that is erased at the end; bottom and right are exclusive,
            and an empty rectangle erases nothing.
        channel: what the image becomes three copies of: RED, GREEN, BLUE, GRAY, or UNCHANGED.
    """

    top: int
    left: int
    flipped: bool
    hole_top: int = 0
    hole_left: int = 0
    hole_bottom: int = 0
    hole_right: int = 0
    channel: int = UNCHANGED


@dataclass(frozen=True)
class Augmentation:
    """The augmentation of the training recipe.

    Attributes:
        pad: black pixels added on every side before a random crop back to the original size; 0 for no crop.
        flip: probability of a horizontal flip.
        erase: probability that a random rectangle, 2–40 % of the area, is replaced by a fixed colour.
        channel_exchange: probability that an image becomes three copies of one of its channels. If visible images are seen in
            two views, the first one keeps its colours.
        visible_views: how often a step sees each visible image, with other random parameters each time.
    """

    pad: int = 0
    flip: float = 0.5
    erase: float = 0.0
    channel_exchange: float = 0.0
    visible_views: int = 1

    def sample_step(
        self, count: int, height: int, width: int, random: np.random.Generator
    ) -> list[list[AugmentationParameters]]:
        """Sample the parameters of a step: for each view of its ``count`` visible images, then for as many infrared images."""
        size = count, height, width, random
        plain = [self.sample(*size) for _ in range(self.visible_views - 1)]
        return [*plain, self.sample(*size, exchange="visible"), self.sample(*size, exchange="infrared")]

    def sample(
        self, count: int, height: int, width: int, random: np.random.Generator, *, exchange: Modality | None = None
    ) -> list[AugmentationParameters]:
        """Sample the parameters for ``count`` images of ``height`` × ``width`` pixels.

        Their channels may be exchanged as those of images of the modality ``exchange`` are; never if it is None.
        """
        found = []
        for _ in range(count):
            top, left = random.integers(0, 2 * self.pad + 1, size=2).tolist() if self.pad else (0, 0)
            flipped = bool(random.random() < self.flip)
            hole = _sample_hole(height, width, random) if self.erase and random.random() < self.erase else NO_HOLE
            channel = UNCHANGED
            if exchange and self.channel_exchange and random.random() < self.channel_exchange:
                channel = int(random.choice(len(EXCHANGES[exchange]), p=EXCHANGES[exchange]))
            found.append(AugmentationParameters(top, left, flipped, *hole, channel))
        return found

    def apply(self, images: NDArray[np.uint8], parameters: Sequence[AugmentationParameters]) -> NDArray[np.uint8]:
        """Augment (n, H, W, 3) uint8 images with the parameters of each; returns a new array of the same shape."""
        result = np.empty_like(images)
        _, height, width, _ = images.shape
        for row, (image, each) in enumerate(zip(images, parameters, strict=True)):
            if self.pad:
                padded = np.pad(image, ((self.pad, self.pad), (self.pad, self.pad), (0, 0)))
                image = padded[each.top : each.top + height, each.left : each.left + width]
            result[row] = _exchanged(image[:, ::-1] if each.flipped else image, each.channel)
            hole = slice(each.hole_top, each.hole_bottom), slice(each.hole_left, each.hole_right)
            result[row][hole] = ERASED_COLOURS[each.channel]
        return result


def _exchanged(image: NDArray[np.uint8], channel: int) -> NDArray[np.uint8]:
    if channel == UNCHANGED:
        return image
    if channel == GRAY:
        total = sum(GRAY_WEIGHTS)
        return ((image @ np.array([GRAY_WEIGHTS]).T + total // 2) // total).astype(np.uint8)  # type: ignore[no-any-return]
    return image[:, :, channel : channel + 1]


def _sample_hole(height: int, width: int, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Sample the rectangle of random erasing (Zhong et al., AAAI 2020): top, left, bottom, right.

    Returns an empty rectangle if none of ten tries fits into the image.
    """
    for _ in range(ERASING_TRIES):
        area = random.uniform(*ERASED_AREA) * height * width
        aspect = np.exp(random.uniform(*np.log(ERASED_ASPECT)))
        tall, wide = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < tall < height and 0 < wide < width:
            top, left = int(random.integers(0, height - tall + 1)), int(random.integers(0, width - wide + 1))
            return top, left, top + tall, left + wide
    return NO_HOLE

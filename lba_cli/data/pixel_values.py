"""Convert pixels of more than 8 bits to 8 bits, and count images that become nearly flat or have channels that aren't used.

The setting ``data.value_range`` (:mod:`lba_cli.value_range`) says which values become black and white.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lba_cli.reporting import Listener
from lba_cli.value_range import FULL, KEY, ValueRange, limits, shown
from lba_cli.vocabulary import plural

FEWEST_LEVELS = 32  # of 256 levels; an image that uses fewer levels is nearly flat
SIGNED = 2  # the value of TIFF's tag SampleFormat for signed integers
_BITS, _SAMPLES, _SAMPLE_FORMAT = 258, 277, 339  # tags of TIFF

# The facts that are counted about images. DEEP images have gray values of more than 8 bits.
DEEP, FLAT, FLAT_COLOURS, EXTRA_CHANNEL = "deep", "flat", "flat colours", "extra channel"
# The warnings about the other facts. {n} stands for the number of images, and {have} for "has" or "have".
_WARNINGS = {
    FLAT: "{n} {have} more than 8 bits a pixel, but fewer than {levels} of 256 gray levels with {key}={range}, so that people "
    "look alike: stretch the values with --set {key}=percentiles, =image or =[low, high] (see docs/data.md)",
    FLAT_COLOURS: "{n} {have} 16-bit colours, but fewer than {levels} of 256 levels, because only the upper 8 bits are read: "
    "convert such images to 16-bit gray or to 8 bits",
    EXTRA_CHANNEL: "{n} {have} transparency or a fourth channel, which is not used",
}


class DecodedImage(NamedTuple):
    """An image as an (H, W, 3) uint8 RGB array, and the facts that are counted about it."""

    pixels: NDArray[np.uint8]
    facts: frozenset[str]


class _Storage(NamedTuple):
    """How a file stores its pixels. Pillow provides these facts only before it decodes the image."""

    bits: int = 8  # of a channel
    signed: bool = False
    channels: int = 0  # 0 if the format doesn't say


def storage_of(image: Image.Image) -> _Storage:
    """Return how the pixels of an image are stored. The image must be open, but not yet decoded."""
    tags: Any = getattr(image, "tag_v2", None) if image.format == "TIFF" else None
    if tags is not None:
        formats = tags.get(_SAMPLE_FORMAT, (1,))
        return _Storage(max(tags.get(_BITS, (1,))), SIGNED in formats, tags.get(_SAMPLES, 1))
    coders = [(str(tile[0]), str(tile[3]), tile[3]) for tile in getattr(image, "tile", ())]
    is_16 = any("16" in codec or ";16" in words for codec, words, _ in coders)
    # PPM names the largest value after the raw mode.
    is_16 = is_16 or any(codec.startswith("ppm") and coder[1] > 255 for codec, _, coder in coders)
    return _Storage(16 if is_16 else 8)


def gray_values(image: Image.Image, storage: _Storage) -> NDArray[Any] | None:
    """Return an image with a single channel of more than 8 bits as an (H, W) array of integers or floats, otherwise None."""
    if image.mode == "F":
        return np.asarray(image)
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode != "I":
        return None
    values = np.asarray(image)
    if image.format in ("PNG", "PPM"):  # PNG in older Pillows only
        return values.clip(0, 65535).astype(np.uint16)
    if storage.bits == 16:
        return values.astype(np.int16 if storage.signed else np.uint16)
    return values if storage.signed else values.view(np.uint32)


def to_8_bits(values: NDArray[Any], value_range: ValueRange) -> NDArray[np.uint8]:
    """Convert (H, W) values to 8 bits.

    Values within ``value_range`` are scaled linearly to 0…255, values outside it are clipped, and NaN becomes 0. With ``full``,
    16-bit integers keep their upper 8 bits.

    Raises:
        ValueError: ``value_range`` is ``full``, but the values aren't 16-bit integers; or percentiles are needed, but no value
            is finite.
    """
    if value_range == FULL:
        if values.dtype not in (np.uint16, np.int16):
            raise ValueError(
                f"{values.dtype} pixels, whose range isn't known: set it with --set {KEY}=percentiles, =image or =[low, high]"
            )
        least = np.iinfo(values.dtype).min
        return ((values.astype(np.int32) - least) >> 8).astype(np.uint8)
    low, high = limits(value_range, values)
    if high <= low:  # a constant image
        return np.zeros(values.shape, np.uint8)
    scaled: NDArray[Any] = values.astype(np.float32 if values.dtype.itemsize == 2 else np.float64)
    scaled = ((scaled - low) * (255 / (high - low))).clip(0, 255)
    result: NDArray[np.uint8] = np.rint(np.nan_to_num(scaled, nan=0.0)).astype(np.uint8)
    return result


def facts_of(image: Image.Image, storage: _Storage, gray: NDArray[np.uint8] | None) -> frozenset[str]:
    """Return the facts that are counted about a decoded image.

    ``storage`` is how the file stores it. ``gray`` is its 8-bit version if it has a single channel of more than 8 bits.
    """
    found = set()
    if gray is not None:
        found.add(DEEP)
        if np.count_nonzero(np.bincount(gray.ravel(), minlength=256)) < FEWEST_LEVELS:
            found.add(FLAT)
    elif storage.bits > 8 and sum(map(bool, image.convert("L").histogram())) < FEWEST_LEVELS:
        found.add(FLAT_COLOURS)
    if _has_extra_channel(image, storage):
        found.add(EXTRA_CHANNEL)
    return frozenset(found)


def _has_extra_channel(image: Image.Image, storage: _Storage) -> bool:
    """Return whether an image has more channels than its colours need, or pixels that aren't opaque."""
    if storage.channels > len(image.getbands()):
        return True
    try:
        if image.mode not in ("RGBA", "RGBa", "LA", "La", "PA") and "transparency" not in image.info:
            return False
        least: Any = image.convert("RGBA").getchannel("A").getextrema()[0]
        return bool(least < 255)
    except Exception:  # damaged transparency data raise errors of many types, although the pixels are readable
        return False


def count_facts(facts: Iterable[Iterable[str]]) -> Counter[str]:
    """Return the number of images with each fact, from the facts of several images."""
    return Counter(fact for each in facts for fact in each)


def warn_of_values(
    listener: Listener, counts: Mapping[str, int], total: int, value_range: ValueRange, where: str = ""
) -> None:
    """Warn about images that use few gray or colour levels, or have a channel that isn't used.

    ``counts`` holds the number of images with each fact, ``total`` the number of all images, and ``value_range`` the setting
    that they were converted with. ``where`` is put before each warning.
    """
    for fact, words in _WARNINGS.items():
        if number := counts.get(fact, 0):
            images = f"{number:,} of {total:,} images"
            have = plural(number, "has", "have")
            text = words.format(n=images, have=have, levels=FEWEST_LEVELS, key=KEY, range=shown(value_range))
            listener.warn(f"{where}{text}")

"""What an image holds beyond three channels of 8 bits: how it becomes 8 bits, and what of it is not used.

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

FEWEST_LEVELS = 32  # of 256; an image with fewer is nearly flat
SIGNED = 2  # the value of TIFF's tag SampleFormat for signed integers
_BITS, _SAMPLES, _SAMPLE_FORMAT = 258, 277, 339  # tags of TIFF

# What is counted about images. DEEP ones have gray values of more than 8 bits.
DEEP, FLAT, FLAT_COLOURS, EXTRA_CHANNEL = "deep", "flat", "flat colours", "extra channel"
# The warnings about the others; {n} stands for the number of images.
_WARNINGS = {
    FLAT: "{n} have more than 8 bits a pixel, but use fewer than {levels} of 256 gray levels with {key}={range}, so that "
    "people look alike: stretch the values with --set {key}=percentiles, =image or =[low, high] (see docs/data.md)",
    FLAT_COLOURS: "{n} have 16-bit colours, but use fewer than {levels} of 256 levels, because only the upper 8 bits are read: "
    "convert them to 16-bit gray or to 8 bits",
    EXTRA_CHANNEL: "{n} have a transparency or a fourth channel, which is not used",
}


class DecodedImage(NamedTuple):
    """An image, (H, W, 3) uint8 RGB, and what is counted about it."""

    pixels: NDArray[np.uint8]
    facts: frozenset[str]


class _Storage(NamedTuple):
    """What a file says about its pixels before they are decoded, after which Pillow forgets it."""

    bits: int = 8  # of a channel
    signed: bool = False
    channels: int = 0  # 0 if the format doesn't say


def storage_of(image: Image.Image) -> _Storage:
    """Return how the pixels of an opened but not yet decoded image are stored."""
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
    """Decode an image of one channel with more than 8 bits: (H, W) integers or floats; None for any other image."""
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
    """Turn (H, W) values into 8 bits: values between those of ``value_range`` evenly, others black or white, NaN black.

    Raises:
        ValueError: ``full`` is asked for, but the values aren't 16-bit integers; or no value is finite.
    """
    if value_range == FULL:
        if values.dtype not in (np.uint16, np.int16):
            raise ValueError(
                f"{values.dtype} pixels, whose range isn't known: name it, with --set {KEY}=percentiles, =image or =[low, high]"
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
    """Return what is counted about a decoded image; ``gray`` is its 8-bit version if it had more bits and one channel."""
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
    """Whether an image has more channels than colours, or pixels that aren't opaque."""
    if storage.channels > len(image.getbands()):
        return True
    try:
        if image.mode not in ("RGBA", "RGBa", "LA", "La", "PA") and "transparency" not in image.info:
            return False
        least: Any = image.convert("RGBA").getchannel("A").getextrema()[0]
        return bool(least < 255)
    except Exception:  # damaged transparency data raise errors of many types, and their pixels are readable
        return False


def count_facts(facts: Iterable[Iterable[str]]) -> Counter[str]:
    """Count the facts of several images."""
    return Counter(fact for each in facts for fact in each)


def warn_of_values(
    listener: Listener, counts: Mapping[str, int], total: int, value_range: ValueRange, where: str = ""
) -> None:
    """Warn of what isn't used in ``total`` images, or is nearly flat; ``where`` is put before each warning."""
    for fact, words in _WARNINGS.items():
        if number := counts.get(fact, 0):
            images = f"{number:,} of {total:,} images"
            text = words.format(n=images, levels=FEWEST_LEVELS, key=KEY, range=shown(value_range))
            listener.warn(f"{where}{text}")

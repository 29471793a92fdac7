"""From an image file to an array, and from arrays to what the network takes.

What is decided for images that aren't plain 8-bit photographs:

- The content decides, not the file's ending: a PNG named ``.jpg`` is read as the PNG it is.
- Only formats that Pillow decodes itself are read; EPS and WMF, which it hands to other programs, are refused.
- More than 64 megapixels are refused before anything is decoded (a decompression bomb, or not a photo of a person).
- EXIF's orientation is applied, as every viewer does; unreadable EXIF counts as none.
- Gray, CMYK and palette images become RGB; transparency is dropped, the colours below it stay.
- 16-bit images keep their upper 8 bits; floating-point and 32-bit integer pixels have no agreed range and are refused.
- Of animations and files of several pages the first frame is taken.
- Truncated images are refused, never filled with gray.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from lba_cli.errors import DataError, is_resource_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEAN = (0.485, 0.456, 0.406)
STANDARD_DEVIATION = (0.229, 0.224, 0.225)
MOST_PIXELS = 64 * 2**20
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "JPEG2000", "AVIF", "PPM", "TGA", "PCX", "SGI")


class BrokenImage(Exception):
    """A file that can't be decoded as an image; the message says why."""


def any_image(image: str | Path | NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """An image file, or an (H, W, 3) uint8 RGB array, resized as :func:`read_image` does: (height, width, 3) uint8.

    Raises:
        DataError: the file can't be read, or the array is of another kind.
    """
    if not isinstance(image, np.ndarray):
        try:
            return read_image(image, height, width)
        except BrokenImage as problem:
            raise DataError(f"{image}: {problem}") from problem
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(f"an image should be an (H, W, 3) array of uint8, not {image.dtype} of shape {image.shape}")
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def read_image(path: str | Path, height: int, width: int) -> NDArray[np.uint8]:
    """Decode an image, make it RGB, and resize it with Pillow's LANCZOS filter (the recipe's).

    Returns:
        (height, width, 3) uint8.

    Raises:
        BrokenImage: the file is absent, truncated, not an image, or one of those that aren't read (see above).
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise BrokenImage("no such file" if not path.exists() else "not a regular file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata; what matters is refused below
            with Image.open(path, formats=formats()) as image:
                resized = _upright(_rgb(image)).resize((width, height), Image.Resampling.LANCZOS)
    except BrokenImage:
        raise
    except Exception as problem:  # Pillow's decoders raise many kinds for broken files
        if is_resource_error(problem):
            raise
        reason = str(problem).replace(str(path), "it")
        raise BrokenImage(reason or type(problem).__name__) from problem
    return np.array(resized)  # a copy, so that tensors may share its memory


@cache
def formats() -> tuple[str, ...]:
    """Those of FORMATS, by Pillow's names, that this Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _rgb(image: Image.Image) -> Image.Image:
    """The first frame in 8-bit RGB, with its metadata."""
    if image.width * image.height > MOST_PIXELS:
        raise BrokenImage(f"{image.width} × {image.height} pixels, more than {MOST_PIXELS:,}")
    if image.mode.startswith("I;16"):
        high = (np.asarray(image) >> 8).astype(np.uint8)
        return _with_exif(Image.fromarray(high).convert("RGB"), image)
    if image.mode == "I" and image.format in ("PNG", "PPM"):  # as 16-bit gray opens, PNG's in older Pillows
        high = (np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8)
        return _with_exif(Image.fromarray(high).convert("RGB"), image)
    if image.mode in ("I", "F"):
        raise BrokenImage(f"pixels of mode {image.mode}, whose range isn't known; convert the image to 8 or 16 bits")
    return _with_exif(image.convert("RGB"), image)


def _with_exif(converted: Image.Image, original: Image.Image) -> Image.Image:
    if "exif" in original.info:
        converted.info["exif"] = original.info["exif"]
    return converted


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF raises many kinds
        return image

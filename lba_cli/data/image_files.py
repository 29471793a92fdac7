"""Read image files as RGB arrays of one size.

Images that aren't plain 8-bit photographs are treated like this:

- A file's content decides its format, not its name: a PNG called ``.jpg`` is read as PNG.
- Only formats that Pillow decodes itself are read. EPS and WMF, which it hands to other programs, are refused.
- Images of more than 64 megapixels are refused before they are decoded; such a file is a decompression bomb, or at least no
  photograph of a person.
- The orientation in the EXIF data is applied, as every viewer does. Unreadable EXIF data are ignored.
- Gray, CMYK and palette images become RGB. Transparency is dropped; the colours below it stay.
- 16-bit images keep their upper 8 bits. Floating-point and 32-bit integer images are refused, because the range of their
  values is unknown.
- The first frame of an animation, or the first page of a document, is read.
- Truncated images are refused, never filled up with gray.
"""

import warnings
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lba_cli.errors import DataError, is_resource_error

MEAN = (0.485, 0.456, 0.406)
STANDARD_DEVIATION = (0.229, 0.224, 0.225)
MOST_PIXELS = 64 * 2**20
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "JPEG2000", "AVIF", "PPM", "TGA", "PCX", "SGI")


class BrokenImage(Exception):
    """An image file can't be decoded; the message says why."""


def any_image(image: str | Path | NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize an image file, or an (H, W, 3) uint8 RGB array, to (height, width, 3) as :func:`read_image` does.

    Raises:
        DataError: the file can't be read, or the array has another shape or type.
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
    """Decode an image, convert it to RGB, and resize it with Pillow's LANCZOS filter, as the paper's code does.

    The result is (height, width, 3) uint8.

    Raises:
        BrokenImage: the file is missing, truncated, not an image, or of a kind that is refused (see the module's docstring).
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise BrokenImage("no such file" if not path.exists() else "not a regular file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd metadata, which doesn't matter here
            with Image.open(path, formats=readable_formats()) as image:
                resized = _upright(_rgb(image)).resize((width, height), Image.Resampling.LANCZOS)
    except BrokenImage:
        raise
    except Exception as problem:  # Pillow's decoders raise errors of many types for broken files
        if is_resource_error(problem):
            raise
        reason = str(problem).replace(str(path), "it")
        raise BrokenImage(reason or type(problem).__name__) from problem
    return np.array(resized)  # a copy, so that tensors may share its memory


@cache
def readable_formats() -> tuple[str, ...]:
    """Return the formats that are read, by Pillow's names; those that the installed Pillow lacks are left out."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def image_suffixes() -> frozenset[str]:
    """Return the file endings of the formats that are read, in lower case and with their dots."""
    readable = readable_formats()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in readable)


def _rgb(image: Image.Image) -> Image.Image:
    """Convert the first frame to 8-bit RGB; its metadata stay."""
    if image.width * image.height > MOST_PIXELS:
        raise BrokenImage(f"{image.width} × {image.height} pixels, more than {MOST_PIXELS:,}")
    is_gray_16 = image.mode == "I" and image.format in ("PNG", "PPM")  # PNG in older Pillows only
    if image.mode in ("I", "F") and not is_gray_16:
        raise BrokenImage(f"pixels of mode {image.mode}, whose range isn't known; convert the image to 8 or 16 bits")
    if is_gray_16 or image.mode.startswith("I;16"):
        high = (np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8)
        converted = Image.fromarray(high).convert("RGB")
    else:
        converted = image.convert("RGB")
    if "exif" in image.info:
        converted.info["exif"] = image.info["exif"]
    return converted


def _upright(image: Image.Image) -> Image.Image:
    """Turn and mirror an image according to the orientation in its EXIF data."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data raise errors of many types
        return image

"""Read image files as RGB arrays of one size.

Images that aren't plain 8-bit photographs are handled as follows:

- A file's content decides its format, not its name: a PNG called ``.jpg`` is read as PNG.
- Only formats that Pillow decodes itself are read. EPS and WMF, which it hands to other programs, are refused.
- Images of more than 64 megapixels are refused before they are decoded; such a file is a decompression bomb, or at least no
  photograph of a person.
- The orientation in the EXIF data is applied, as every viewer does. Unreadable EXIF data are ignored.
- Gray, CMYK and palette images become RGB. Transparency and further channels are dropped. Images with further channels or
  transparent pixels are counted; the colours of transparent pixels stay.
- ``data.value_range`` sets how gray images of more than 8 bits are converted to 8 bits, see :mod:`lba_cli.value_range`. By
  default, 16-bit integers keep their upper 8 bits, and 32-bit and floating-point pixels are refused, because the range of
  their values isn't known. Colours of 16 bits always keep their upper 8 bits.
- The first frame of an animation, or the first page of a document, is read.
- Truncated images are refused, never filled up with gray.
"""

import warnings
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lba_cli.data.broken_images import BrokenImage, missing_reason, undecodable_reason, unrecognised_reason
from lba_cli.data.pixel_values import DecodedImage, facts_of, gray_values, storage_of, to_8_bits
from lba_cli.errors import DataError, is_resource_error
from lba_cli.value_range import FULL, ValueRange

MEAN = (0.485, 0.456, 0.406)
STANDARD_DEVIATION = (0.229, 0.224, 0.225)
MOST_PIXELS = 64 * 2**20
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "JPEG2000", "AVIF", "PPM", "TGA", "PCX", "SGI")


def any_image(
    image: str | Path | NDArray[np.uint8], height: int, width: int, value_range: ValueRange = FULL
) -> NDArray[np.uint8]:
    """Resize an image file, or an (H, W, 3) uint8 RGB array, to (height, width, 3) as :func:`read_image` does.

    ``value_range`` has no effect on arrays.

    Raises:
        DataError: the file can't be read, or the array has another shape or type.
    """
    if not isinstance(image, np.ndarray):
        try:
            return read_image(image, height, width, value_range)
        except BrokenImage as problem:
            raise DataError(f"{image}: {problem}") from problem
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(f"an image should be an (H, W, 3) array of uint8, not {image.dtype} of shape {image.shape}")
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def read_image(path: str | Path, height: int, width: int, value_range: ValueRange = FULL) -> NDArray[np.uint8]:
    """Return only the ``pixels`` of :func:`decode_image`, a (height, width, 3) uint8 array."""
    return decode_image(path, height, width, value_range).pixels


def decode_image(path: str | Path, height: int, width: int, value_range: ValueRange = FULL) -> DecodedImage:
    """Decode an image, convert it to RGB, and resize it with Pillow's LANCZOS filter, as the paper's code does.

    The result's ``pixels`` are a (height, width, 3) uint8 array. ``value_range`` sets how single-channel pixels of more than
    8 bits are converted to 8 bits, see :mod:`lba_cli.value_range`.

    Raises:
        BrokenImage: the file is missing, truncated, not an image, or of a kind that is refused (see the module's docstring).
    """
    path, image_format = Path(path), None
    if not path.is_file():
        raise BrokenImage(missing_reason(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd metadata, which doesn't matter here
            with Image.open(path, formats=readable_formats()) as image:
                image_format = image.format
                converted, facts = _rgb(image, value_range)
                resized = _upright(converted).resize((width, height), Image.Resampling.LANCZOS)
    except BrokenImage:
        raise
    except Exception as problem:  # Pillow's decoders raise errors of many types for broken files
        if is_resource_error(problem):
            raise
        if isinstance(problem, UnidentifiedImageError):
            raise BrokenImage(unrecognised_reason(path)) from problem
        if isinstance(problem, Image.DecompressionBombError):
            raise BrokenImage(f"more than {MOST_PIXELS:,} pixels; make it smaller") from problem
        raise BrokenImage(undecodable_reason(image_format, problem)) from problem
    return DecodedImage(np.array(resized), facts)  # a copy, so that tensors may share its memory


@cache
def readable_formats() -> tuple[str, ...]:
    """Return Pillow's names of the formats in :data:`FORMATS` that the installed Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def image_suffixes() -> frozenset[str]:
    """Return the file endings of the readable formats, in lower case and with dots, such as ``.png``."""
    readable = readable_formats()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in readable)


def _rgb(image: Image.Image, value_range: ValueRange) -> tuple[Image.Image, frozenset[str]]:
    """Return the first frame as 8-bit RGB with its EXIF data, and its :func:`~lba_cli.data.pixel_values.facts_of`."""
    if image.width * image.height > MOST_PIXELS:
        raise BrokenImage(f"{image.width} × {image.height} pixels, more than {MOST_PIXELS:,}; make it smaller")
    storage, gray = storage_of(image), None
    image.load()
    values = gray_values(image, storage)
    if values is None:
        converted = image.convert("RGB")
    else:
        try:
            gray = to_8_bits(values, value_range)
        except ValueError as problem:
            raise BrokenImage(str(problem)) from problem
        converted = Image.fromarray(gray).convert("RGB")
    if "exif" in image.info:
        converted.info["exif"] = image.info["exif"]
    return converted, facts_of(image, storage, gray)


def _upright(image: Image.Image) -> Image.Image:
    """Turn and mirror an image according to the orientation in its EXIF data."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data raise errors of many types
        return image

"""From an image file to an array, and from arrays to what the network takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEAN = (0.485, 0.456, 0.406)
STANDARD_DEVIATION = (0.229, 0.224, 0.225)


class BrokenImage(Exception):
    """A file that can't be decoded as an image; the message says why."""


def read_image(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    """Decode an image, make it RGB, and resize it with Pillow's LANCZOS filter (the recipe's).

    Returns:
        (height, width, 3) uint8.

    Raises:
        BrokenImage: the file is absent, truncated or not an image.
    """
    try:
        with Image.open(path) as image:
            resized = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    except Exception as problem:  # Pillow's decoders raise many kinds for broken files
        reason = "no such file" if isinstance(problem, FileNotFoundError) else str(problem).replace(str(path), "it")
        raise BrokenImage(reason or type(problem).__name__) from problem
    return np.array(resized)  # a copy, so that tensors may share its memory

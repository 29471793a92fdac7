"""The images of a report. The file contains each image once, no matter how many sections show it."""

import base64
import io
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from lba_cli.data.samples import NO_CAMERA
from lba_cli.data.store import ImageSource
from lba_cli.reporting import Listener

LONGEST_SIDE = 224  # pixels
QUALITY = 80
BATCH = 256


class ImageEncoder:
    """Encodes samples as data URIs of small JPEGs, and caches them in case the report must be made again with fewer images."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self._encoded: dict[int, str] = {}

    def encode(self, indices: list[int], listener: Listener) -> list[str]:
        """Return the data URIs of the samples at ``indices``."""
        missing = [index for index in indices if index not in self._encoded]
        with listener.task("encoding images", len(missing), "images") as progress:
            for start in range(0, len(missing), BATCH):
                batch = missing[start : start + BATCH]
                for index, pixels in zip(batch, self._source.read(batch), strict=True):
                    self._encoded[index] = data_uri(pixels)
                progress.advance(len(batch))
        return [self._encoded[index] for index in indices]


class Album:
    """Numbers the images that a report shows. Sections refer to an image by its number."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self._numbers: dict[int, int] = {}

    def add(self, index: int) -> int:
        """Add the image of a sample if it is new, and return its number in the report."""
        return self._numbers.setdefault(int(index), len(self._numbers))

    def as_json(self, encoder: ImageEncoder, listener: Listener) -> list[dict[str, Any]]:
        """Return the images in the order of their numbers, each with its data URI and its labels."""
        indices = list(self._numbers)
        samples = [self._source.samples[index] for index in indices]
        return [
            {
                "src": uri,
                "identity": sample.identity,
                "camera": None if sample.camera == NO_CAMERA else sample.camera,
                "modality": sample.modality,
                "path": sample.path,
            }
            for sample, uri in zip(samples, encoder.encode(indices, listener), strict=True)
        ]


def data_uri(pixels: NDArray[Any]) -> str:
    """Encode an (H, W, 3) uint8 image as a data URI of a JPEG with at most 224 rows and columns."""
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS, reducing_gap=None)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

"""The images of a report: each is embedded once, however many sections show it."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

from PIL import Image

from lba_cli.data.samples import NO_CAMERA
from lba_cli.data.store import ImageSource
from lba_cli.reporting import Listener

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 224  # pixels of a side; larger images are made smaller
QUALITY = 80
AT_ONCE = 256


class Encoded:
    """Samples as data URIs of small JPEGs, each encoded once, also where a report is made again in a smaller size."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self._known: dict[int, str] = {}

    def of(self, indices: list[int], listener: Listener) -> list[str]:
        """The images of the samples at ``indices``."""
        missing = [index for index in indices if index not in self._known]
        with listener.task("encoding images", len(missing), "images") as progress:
            for start in range(0, len(missing), AT_ONCE):
                part = missing[start : start + AT_ONCE]
                for index, pixels in zip(part, self._source.read(part), strict=True):
                    self._known[index] = data_uri(pixels)
                progress.advance(len(part))
        return [self._known[index] for index in indices]


class Album:
    """The numbers by which a report's sections name images, and in the end the images themselves."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self._numbers: dict[int, int] = {}

    def add(self, index: int) -> int:
        """The number of a sample's image in the report."""
        return self._numbers.setdefault(int(index), len(self._numbers))

    def as_json(self, encoded: Encoded, listener: Listener) -> list[dict[str, Any]]:
        """Every image that was asked for, in the order of the numbers, with what is known of it."""
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
            for sample, uri in zip(samples, encoded.of(indices, listener), strict=True)
        ]


def data_uri(pixels: NDArray[Any]) -> str:
    """An (H, W, 3) uint8 image as a JPEG of at most 224 rows and columns within a data URI."""
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS, reducing_gap=None)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

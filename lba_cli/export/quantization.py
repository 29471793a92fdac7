"""Quantise an ONNX model to 8-bit integers with onnxruntime, calibrated on images.

The ranges of all activations are measured on the images (static quantisation). Convolutions and matrix products, which hold nearly all
weights and take nearly all the time, compute with integers; the weights have a range for each channel.
"""

import hashlib
import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lba_cli.export.embedding_model import INPUTS
from lba_cli.vocabulary import Modality

QUANTIZED = ("Conv", "MatMul", "Gemm")
IMAGES_AT_ONCE = 4


@dataclass(frozen=True)
class Calibration:
    """The images that a quantised file is calibrated on.

    Attributes:
        name: where the images are from, in words.
        images: for each modality (n, 3, H, W) normalised float32 images.
    """

    name: str
    images: Mapping[Modality, Tensor]

    @property
    def count(self) -> int:
        """The number of images."""
        return sum(map(len, self.images.values()))

    @property
    def digest(self) -> str:
        """A SHA-256 of the images."""
        digest = hashlib.sha256()
        for modality, images in sorted(self.images.items()):
            digest.update(modality.encode() + np.ascontiguousarray(images.numpy()).tobytes())
        return digest.hexdigest()

    def feeds(self, stem: Modality | None) -> Iterator[dict[str, Any]]:
        """Yield the inputs of an exported model: all images, or those of its only ``stem``."""
        for modality, images in self.images.items():
            if stem in (None, modality):
                for batch in torch.split(images, IMAGES_AT_ONCE):
                    feed: dict[str, Any] = {INPUTS[0]: np.ascontiguousarray(batch.numpy())}
                    yield feed if stem else feed | {INPUTS[1]: np.full(len(batch), modality == "infrared")}


def quantize(model: Path, target: Path, calibration: Calibration, stem: Modality | None) -> None:
    """Quantise the float32 ONNX file ``model`` into ``target``; ``stem`` is the model's only modality, if it has only one."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".quantizing-") as folder, _without_advice():
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(target),
            _reader(calibration.feeds(stem)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            # Processors without VNNI add products of 8-bit integers in 16 bits, which saturate unless weights have 7 bits.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def _reader(feeds: Iterator[dict[str, Any]]) -> Any:
    """Return the object through which onnxruntime asks for one batch after another, and None at the end."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Any] | None:
            return next(feeds, None)

    return Reader()


class _without_advice:  # noqa: N801
    """Keep onnxruntime's advice, which goes to the root logger, off the terminal within the block."""

    def __enter__(self) -> None:
        self._level = logging.root.level
        logging.root.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        logging.root.setLevel(self._level)

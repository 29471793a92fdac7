"""Embed images with an exported ONNX file, whose metadata describe how its inputs are prepared."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lba_cli.errors import CheckpointError, MissingExtra
from lba_cli.evaluation.network_embedder import CPU_CHUNK, fixed_chunks
from lba_cli.export.embedding_model import BOTH, INPUTS, OUTPUT
from lba_cli.manifest import sha256_of
from lba_cli.model.fingerprints import model_fingerprint
from lba_cli.model.tensor_files import require_file
from lba_cli.search.embedder import Embedder
from lba_cli.value_range import FULL, ValueRange
from lba_cli.vocabulary import LARGEST_SIDE, ExportPrecision, Modality

IMAGES, INFRARED = INPUTS


class _MetadataPart(BaseModel):
    """A part of the metadata. Undeclared keys are ignored: other programs need them."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class _Preprocessing(_MetadataPart):
    height: int = Field(ge=1, le=LARGEST_SIDE)
    width: int = Field(ge=1, le=LARGEST_SIDE)
    value_range: ValueRange = FULL
    scale: float
    mean: list[float] = Field(min_length=3, max_length=3)
    standard_deviation: list[float] = Field(min_length=3, max_length=3)

    def apply(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Convert (n, H, W, 3) uint8 images to (n, 3, H, W) float32 inputs."""
        mean, deviation = (np.asarray(values, np.float32) for values in (self.mean, self.standard_deviation))
        scaled = (images.astype(np.float32) * np.float32(self.scale) - mean) / deviation
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


class _Contents(_MetadataPart):
    precision: ExportPrecision
    modalities: Modality | Literal["visible and infrared"]
    network: str = Field("", pattern="^([0-9a-f]{64})?$")
    calibration: str = Field("", pattern="^([0-9a-f]{64})?$")


class _Metadata(_MetadataPart):
    preprocessing: _Preprocessing
    export: _Contents


def onnx_embedder(path: Path) -> Embedder:
    """Return the embedder of an ONNX file that ``lba export`` wrote; it runs on the CPU.

    The fingerprint is derived from the network that the file's metadata name. In float32 it equals the checkpoint's, so that
    the vectors of both can be compared. In half precision and int8 it is a different one, which the files of both stems share. If the
    metadata name no network, it is the SHA-256 of the file. A program that changes the weights but keeps the metadata, such as a
    quantiser, therefore has to remove ``export.network`` from the metadata.

    Raises:
        CheckpointError: the file is missing, damaged, or not exported by lba.
        MissingExtra: onnxruntime isn't installed.
    """
    require_file(path)
    session = _open_session(path)
    metadata = _read_metadata(path, session)
    stem = None if metadata.export.modalities == BOTH else metadata.export.modalities
    _require_inputs(path, session, INPUTS[:1] if stem else INPUTS)

    def run(images: NDArray[np.uint8], modality: Modality) -> NDArray[np.float32]:
        feeds = {IMAGES: metadata.preprocessing.apply(images)}
        if stem is None:
            feeds[INFRARED] = np.full(len(images), modality == "infrared")
        return np.asarray(session.run([OUTPUT], feeds)[0], np.float32)

    def function(images: NDArray[np.uint8], modality: Modality) -> NDArray[np.float32]:
        chunks = fixed_chunks(torch.from_numpy(images), CPU_CHUNK)
        return np.concatenate([run(chunk.numpy(), modality)[:count] for chunk, count in chunks])

    height, width = metadata.preprocessing.height, metadata.preprocessing.width
    try:
        dimension = function(np.zeros((1, height, width, 3), np.uint8), "visible").shape[1]
    except Exception as problem:  # onnxruntime raises many kinds
        raise CheckpointError(f"{path}: can't be run ({_line(problem)})") from problem
    name, value_range = _fingerprint(path, metadata.export), metadata.preprocessing.value_range
    return Embedder(str(path), name, height, width, dimension, function, stem, value_range)


def _fingerprint(path: Path, contents: _Contents) -> str:
    if not contents.network:
        return sha256_of(path)
    return model_fingerprint(contents.network, contents.precision, contents.calibration)


def _require_inputs(path: Path, session: Any, wanted: tuple[str, ...]) -> None:
    inputs = {each.name for each in session.get_inputs()}
    if inputs != set(wanted) or OUTPUT not in {each.name for each in session.get_outputs()}:
        raise CheckpointError(
            f"{path}: its inputs are {', '.join(sorted(inputs))}; it should have {' and '.join(wanted)} and the output "
            f"{OUTPUT}, as in files of lba export --format onnx"
        )


def _open_session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as problem:
        raise MissingExtra("onnxruntime", "onnx") from problem
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # onnxruntime raises many kinds
        hint = "" if path.suffix.lower() == ".onnx" else "; name a checkpoint with --checkpoint"
        raise CheckpointError(f"{path}: damaged or not an ONNX file ({_line(problem)}){hint}") from problem


def _read_metadata(path: Path, session: Any) -> _Metadata:
    try:
        return _Metadata.model_validate(json.loads(session.get_modelmeta().custom_metadata_map["lba"]))
    except (KeyError, TypeError, ValueError, RecursionError, ValidationError) as problem:
        raise CheckpointError(f"{path}: not exported by lba: its metadata don't describe its inputs") from problem


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:160]

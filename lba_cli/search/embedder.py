"""What turns images into vectors: a network of ours, or an exported ONNX file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch.nn import functional as F

from lba_cli.compute import arithmetic
from lba_cli.data.loaders import normalize
from lba_cli.errors import CheckpointError, LbaError, MissingExtra
from lba_cli.export.embedding_model import BOTH, INPUTS, OUTPUT
from lba_cli.export.identity import identity, is_sealed
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.batchnorm_fusion import folded, pooled
from lba_cli.model.checkpoint import fingerprint
from lba_cli.model.tensor_files import require_file
from lba_cli.vocabulary import LARGEST_SIDE, ExportPrecision, Modality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # (n, H, W, 3) uint8 images of one modality → (n, D) float32
    Function = Callable[[NDArray[np.uint8], Modality], NDArray[np.float32]]

IMAGES, INFRARED = INPUTS
UNIT_TOLERANCE = 1e-3  # of a vector's length


@dataclass(frozen=True)
class Embedder:
    """A model that embeds images.

    Attributes:
        origin: the file it comes from.
        fingerprint: of what vectors can be compared with: the SHA-256 of the weights, for ONNX of the network that the file
            was made from (see :func:`onnx_embedder`).
        height, width: of its images, in pixels.
        dimension: D, the length of its vectors.
        function: (n, H, W, 3) uint8 images of a modality → (n, D) float32.
        stem: the one modality that it can embed; None: both.
    """

    origin: str
    fingerprint: str
    height: int
    width: int
    dimension: int
    function: Function
    stem: Modality | None = None

    def require(self, modality: Modality) -> None:
        """Refuse a modality that it can't embed.

        Raises:
            CheckpointError: it is a file of the other modality's stem alone.
        """
        if self.stem not in (None, modality):
            raise CheckpointError(
                f"{self.origin}: embeds {self.stem} images alone; name the file of the {modality} stem with --model"
            )

    def embed(self, images: NDArray[np.uint8], modality: Modality) -> NDArray[np.float32]:
        """Unit-length vectors of (n, H, W, 3) images: (n, D) float32; their dot products are the scores.

        Raises:
            LbaError: the model gives values that aren't finite, or no unit vectors, or is of the other modality alone.
        """
        self.require(modality)
        vectors = self.function(images, modality)
        if not np.isfinite(vectors).all():
            raise LbaError(f"{self.origin}: gives embeddings that are not finite; its weights are damaged")
        if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT_TOLERANCE).all():
            raise LbaError(f"{self.origin}: gives vectors that are not of unit length, which can't be compared")
        return vectors


def network_embedder(network: TwoStreamNetwork, origin: str, height: int, width: int) -> Embedder:
    """The embedder of a network, which is on its device; it computes in exact float32."""
    device, fast = next(network.parameters()).device, folded(network)

    @torch.inference_mode()
    def function(images: NDArray[np.uint8], modality: Modality) -> NDArray[np.float32]:
        with arithmetic("float32", device):
            vectors = F.normalize(pooled(fast, normalize(torch.from_numpy(images).to(device)), modality), dim=1)
        result: NDArray[np.float32] = vectors.cpu().numpy()
        return result

    return Embedder(origin, fingerprint(network.state_dict()), height, width, network.embedding_size, function)


class _Told(BaseModel):
    """A part of an export's metadata; other keys are for other readers."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class _Recipe(_Told):
    """How an image becomes the input."""

    height: int = Field(ge=1, le=LARGEST_SIDE)
    width: int = Field(ge=1, le=LARGEST_SIDE)
    scale: float
    mean: list[float] = Field(min_length=3, max_length=3)
    standard_deviation: list[float] = Field(min_length=3, max_length=3)


class _Exported(_Told):
    """What the file holds, and the network that it was made from."""

    precision: ExportPrecision
    modalities: Modality | Literal["visible and infrared"]
    network: str = Field("", pattern="^([0-9a-f]{64})?$")
    seal: str = Field("", pattern="^([0-9a-f]{64})?$")

    @property
    def stem(self) -> Modality | None:
        """The one modality that the file embeds."""
        return None if self.modalities == BOTH else self.modalities

    def identity(self, path: Path) -> str:
        """The fingerprint of its vectors: by its network where the file is as it was written, by its bytes where not."""
        if self.network and is_sealed(path, self.seal):
            return identity(self.network, self.precision)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class _Metadata(_Told):
    preprocessing: _Recipe
    export: _Exported


def onnx_embedder(path: Path) -> Embedder:
    """The embedder of an exported ONNX file, which says itself how it is fed; it runs on the CPU.

    A file as lba wrote it has the fingerprint of its network: in float32 the checkpoint's own, in half precision one that
    the files of both stems share. A file that was changed since then has that of its bytes.

    Raises:
        CheckpointError: the file is missing, damaged, or not exported by lba.
        MissingExtra: onnxruntime isn't installed.
    """
    require_file(path)
    session = _session(path)
    told = _metadata(path, session)
    recipe, stem = told.preprocessing, told.export.stem
    wanted = INPUTS[:1] if stem else INPUTS
    inputs = {each.name for each in session.get_inputs()}
    if inputs != set(wanted) or OUTPUT not in {each.name for each in session.get_outputs()}:
        raise CheckpointError(
            f"{path}: its inputs are {', '.join(sorted(inputs))}; wanted is a file with {' and '.join(wanted)}, as lba "
            "export --format onnx writes it"
        )
    mean, deviation = (np.asarray(values, np.float32) for values in (recipe.mean, recipe.standard_deviation))

    def function(images: NDArray[np.uint8], modality: Modality) -> NDArray[np.float32]:
        scaled = (images.astype(np.float32) * np.float32(recipe.scale) - mean) / deviation
        feeds = {IMAGES: np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))}
        if stem is None:
            feeds[INFRARED] = np.full(len(images), modality == "infrared")
        result: NDArray[np.float32] = np.asarray(session.run([OUTPUT], feeds)[0], np.float32)
        return result

    try:
        dimension = function(np.zeros((1, recipe.height, recipe.width, 3), np.uint8), "visible").shape[1]
    except Exception as problem:  # onnxruntime has many kinds
        raise CheckpointError(f"{path}: can't be run ({_line(problem)})") from problem
    size = (recipe.height, recipe.width)
    return Embedder(str(path), told.export.identity(path), *size, dimension, function, stem)


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as problem:
        raise MissingExtra("onnxruntime", "onnx") from problem
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # onnxruntime has many kinds
        hint = "" if path.suffix.lower() == ".onnx" else "; a checkpoint is named with --checkpoint"
        raise CheckpointError(f"{path}: damaged or not an ONNX file ({_line(problem)}){hint}") from problem


def _metadata(path: Path, session: Any) -> _Metadata:
    try:
        return _Metadata.model_validate(json.loads(session.get_modelmeta().custom_metadata_map["lba"]))
    except (KeyError, TypeError, ValueError, RecursionError, ValidationError) as problem:
        raise CheckpointError(f"{path}: not exported by lba: its metadata don't say how it is fed") from problem


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:160]

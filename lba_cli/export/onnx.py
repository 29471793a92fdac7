"""ONNX: one file, dynamic batch, run by onnxruntime."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lba_cli.errors import MissingExtra
from lba_cli.export.model import INPUTS, OUTPUT, EmbeddingModel, example, metadata
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description

OPSET = 18


def write_onnx(network: TwoStreamNetwork, description: Description, path: Path) -> None:
    """Write ``network`` as an ONNX model; the metadata key ``lba`` says how to feed it.

    Raises:
        MissingExtra: onnx or onnxscript isn't installed.
    """
    onnx, _, _ = (_require(package) for package in ("onnx", "onnxscript", "onnxruntime"))
    batch = torch.export.Dim("batch", min=1, max=65_536)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # that both inputs' first axes share the name 'batch', as they should
        program = torch.onnx.export(
            EmbeddingModel(network).eval(),
            example(description, 2, infrared=True),
            dynamo=True,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_shapes=({0: batch}, {0: batch}),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, {"lba": metadata(description)})
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))


def load_onnx(path: Path) -> Any:
    """A function of (images, infrared) that runs the file through onnxruntime on the CPU."""
    session = _require("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(images: Tensor, infrared: Tensor) -> Tensor:
        feeds = dict(zip(INPUTS, (images.numpy(), infrared.numpy()), strict=True))
        return torch.from_numpy(session.run([OUTPUT], feeds)[0])

    return run


def _require(package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as problem:
        raise MissingExtra(package, "onnx") from problem

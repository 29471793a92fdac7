"""Export to ONNX and to PyTorch's ``.pt2``: programs with a dynamic batch size, which run without this package."""

import io
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lba_cli.errors import MissingExtra
from lba_cli.export.embedding_model import INPUTS, OUTPUT, WHOLE_NETWORK, Embed, FileContents, metadata, traceable
from lba_cli.export.quantization import Calibration, quantize
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description, fingerprint
from lba_cli.model.fingerprints import model_fingerprint
from lba_cli.signals import signals_deferred
from lba_cli.vocabulary import ONNX_OPSET

METADATA_FILE = "lba.json"


def write_onnx(
    network: TwoStreamNetwork, description: Description, path: Path, contents: FileContents = WHOLE_NETWORK
) -> None:
    """Write ``network`` as an ONNX model, whose metadata entry ``lba`` describes its inputs.

    Raises:
        MissingExtra: onnx, onnxscript or onnxruntime isn't installed.
    """
    onnx, _, _ = (_require(package) for package in ("onnx", "onnxscript", "onnxruntime"))
    module, inputs, shapes = traceable(network, description, contents)
    with warnings.catch_warnings():
        # PyTorch warns that the first axes of both inputs share the name 'batch', which is intended.
        warnings.simplefilter("ignore", UserWarning)
        program = torch.onnx.export(
            module,
            inputs,
            dynamo=True,
            input_names=list(contents.inputs),
            output_names=[OUTPUT],
            dynamic_shapes=shapes,
            opset_version=ONNX_OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    facts = {"format": "onnx", "opset": ONNX_OPSET}
    onnx.helper.set_model_props(model, {"lba": metadata(network, description.without_people(), contents, **facts)})
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))


def program_fingerprint(network: TwoStreamNetwork, contents: FileContents) -> str:
    """Return the fingerprint of the model that a program computes, see :mod:`lba_cli.model.fingerprints`."""
    return model_fingerprint(fingerprint(network.state_dict()), contents.precision, contents.calibration)


def quantize_file(path: Path, contents: FileContents, calibration: Calibration) -> None:
    """Replace the float32 ONNX model at ``path`` with its quantised version, which keeps the metadata."""
    onnx = _require("onnx")
    properties = {each.key: each.value for each in onnx.load(str(path), load_external_data=False).metadata_props}
    quantized = path.with_name(f"{path.name}.int8")
    try:
        quantize(path, quantized, calibration, contents.stem)
        model = onnx.load(str(quantized))
        onnx.helper.set_model_props(model, properties)
        onnx.checker.check_model(model)
        onnx.save_model(model, str(path))
    finally:
        quantized.unlink(missing_ok=True)


def load_onnx(path: Path) -> Embed:
    """Return a function of (images, infrared) that runs the file with onnxruntime on the CPU.

    If the file has one stem, the function ignores ``infrared``.
    """
    session = _require("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    taken = {each.name for each in session.get_inputs()}

    def run(images: Tensor, infrared: Tensor) -> Tensor:
        feeds = {name: value.numpy() for name, value in zip(INPUTS, (images, infrared), strict=True) if name in taken}
        return torch.from_numpy(session.run([OUTPUT], feeds)[0])

    return run


def write_torch_export(
    network: TwoStreamNetwork, description: Description, path: Path, contents: FileContents = WHOLE_NETWORK
) -> None:
    """Write ``network`` as a ``.pt2`` program, whose extra file ``lba.json`` describes its inputs."""
    module, inputs, shapes = traceable(network, description, contents)
    program = torch.export.export(module, inputs, dynamic_shapes=shapes)
    facts = {"format": "pt2", "torch": torch.__version__}
    extra = {METADATA_FILE: metadata(network, description.without_people(), contents, **facts)}
    buffer = io.BytesIO()
    with signals_deferred():  # PyTorch's writer ends the process if an exception interrupts it
        torch.export.save(program, buffer, extra_files=extra)
    path.write_bytes(buffer.getbuffer())


def load_torch_export(path: Path) -> Embed:
    """Return the file's program as a function of (images, infrared); with one stem, it ignores ``infrared``."""
    with path.open("rb") as file:
        program = torch.export.load(file)
    module, taken = program.module(), len(program.graph_signature.user_inputs)

    def run(images: Tensor, infrared: Tensor) -> Tensor:
        result: Tensor = module(*(images, infrared)[:taken])
        return result

    return run


def _require(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError as problem:
        raise MissingExtra(package, "onnx") from problem

"""Embedding with a ResNet-50 in each export format, 32 images of 288 × 144 at a time, against the ONNX file in float32."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from timing import OwnProcess, side_by_side

from lba_cli.compute import embedding_precision
from lba_cli.data.loaders import normalize
from lba_cli.export import Calibration, ExportOptions, export
from lba_cli.export.programs import load_torch_export
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description
from lba_cli.search.embedder import network_embedder
from lba_cli.search.onnx_embedder import onnx_embedder

IMAGES = 32
FEW = 4  # where a processor emulates bfloat16, an image takes half a minute


def images():
    return np.random.default_rng(0).integers(0, 256, (IMAGES, 288, 144, 3), np.uint8)


def network():
    torch.manual_seed(0)
    made = TwoStreamNetwork("resnet50", 395).eval()
    made.image_size = (288, 144)
    return made


def write(folder, format_name, precision="float32"):
    """Export the network to a file in ``folder``, and return its path."""
    suffix = "onnx" if format_name == "onnx" else "pt2"
    path = folder / f"{precision}.{suffix}"
    noise = torch.rand(8, 3, 288, 144, generator=torch.Generator().manual_seed(1))
    calibration = Calibration("noise", {"visible": noise, "infrared": noise}) if precision == "int8" else None
    description = Description("resnet50", 395, 288, 144)
    if not path.exists():
        export(network(), description, format_name, path, ExportOptions(precision=precision, calibration=calibration))
    return path


def by_onnx(path):
    embedder = onnx_embedder(path)
    return lambda: embedder.embed(images(), "visible")


def by_network(precision="float32", count=IMAGES):
    embedder = network_embedder(network(), "network", precision)
    return lambda: embedder.embed(images()[:count], "visible")


def by_openvino(path):
    """Embed with the ONNX file in OpenVINO, as docs/deployment.md converts it."""
    import openvino

    embed = openvino.compile_model(openvino.convert_model(path), "CPU")
    inputs = normalize(torch.from_numpy(images())).numpy()
    return lambda: embed({"images": inputs, "infrared": np.zeros(IMAGES, bool)})[0]


def by_torch_export(path):
    embed = load_torch_export(path)
    inputs = normalize(torch.from_numpy(images()))
    return lambda: embed(inputs, torch.zeros(IMAGES, dtype=torch.bool))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


@pytest.mark.parametrize("name", ["PyTorch", "pt2", "ONNX float16", "ONNX int8", "OpenVINO"])
def test_format(name, folder):
    ways = {
        "PyTorch": lambda: by_network,
        "pt2": lambda: partial(by_torch_export, write(folder, "pt2")),
        "ONNX float16": lambda: partial(by_onnx, write(folder, "onnx", "float16")),
        "ONNX int8": lambda: partial(by_onnx, write(folder, "onnx", "int8")),
        "OpenVINO": lambda: partial(by_openvino, write(folder, "onnx")),
    }
    plain = partial(by_onnx, write(folder, "onnx"))
    with OwnProcess(ways[name]()) as ours, OwnProcess(plain) as theirs:
        note = "against the ONNX file in float32"
        side_by_side(f"embedding, {name}", ours, theirs, rounds=3, images=IMAGES, note=note)


def test_embedding_in_bfloat16_against_float32():
    """Which of both is faster here, and which ``auto`` takes."""
    ways = [partial(by_network, precision, FEW) for precision in ("bfloat16", "float32")]
    with OwnProcess(ways[0]) as ours, OwnProcess(ways[1]) as theirs:
        note = f"bfloat16 against float32; auto takes {embedding_precision('auto', torch.device('cpu'))}"
        side_by_side("embedding, PyTorch", ours, theirs, rounds=2, images=FEW, note=note)

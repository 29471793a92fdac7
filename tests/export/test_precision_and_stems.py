"""Half precision and a file for each modality: what the files hold, and what formats refuse."""

import json

import numpy as np
import pytest
import torch
from small_setup import HEIGHT, WIDTH

from lba_cli.errors import ExportError
from lba_cli.export import ExportOptions, ExportScorer, export
from lba_cli.model import TwoStreamNetwork, load_network
from lba_cli.model.checkpoint import read_checkpoint


@pytest.fixture(scope="module")
def trained(network_file):
    return load_network(network_file), read_checkpoint(network_file).description


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).standard_normal((3, 3, HEIGHT, WIDTH)).astype(np.float32)


def embedded(network, images, modality):
    with torch.no_grad():
        return network.embed(torch.from_numpy(images), modality).numpy()


def onnx_session(path):
    onnxruntime = pytest.importorskip("onnxruntime")
    return onnxruntime.InferenceSession(str(path))


@pytest.mark.slow
def test_a_file_for_each_modality_has_no_second_input(trained, images, tmp_path):
    pytest.importorskip("onnxscript")
    made = export(*trained, "onnx", tmp_path / "person.onnx", ExportOptions(stems="two", card=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "person-infrared.onnx",
        "person-visible.onnx",
        "person.onnx.md",
    ]
    assert made.deviation < 1e-4
    for modality in ("visible", "infrared"):
        session = onnx_session(tmp_path / f"person-{modality}.onnx")
        assert [each.name for each in session.get_inputs()] == ["images"]
        (found,) = session.run(None, {"images": images})
        np.testing.assert_allclose(found, embedded(trained[0], images, modality), atol=1e-4)
        content = json.loads(session.get_modelmeta().custom_metadata_map["lba"])
        assert content["export"]["modalities"] == modality
        assert list(content["preprocessing"]["inputs"]) == ["images"]


@pytest.mark.slow
def test_torch_export_writes_a_program_for_each_modality(trained, images, tmp_path):
    export(*trained, "pt2", tmp_path / "person.pt2", ExportOptions(stems="two"))
    for modality in ("visible", "infrared"):
        program = torch.export.load(tmp_path / f"person-{modality}.pt2").module()
        found = program(torch.from_numpy(images)).detach().numpy()
        np.testing.assert_allclose(found, embedded(trained[0], images, modality), atol=1e-5)


def test_neither_file_is_written_if_one_of_them_exists(trained, tmp_path):
    (tmp_path / "person-infrared.pt2").write_text("mine")
    with pytest.raises(ExportError, match="person-infrared.pt2: exists already"):
        export(*trained, "pt2", tmp_path / "person.pt2", ExportOptions(stems="two"))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.slow
def test_onnx_in_float16_takes_and_gives_float32(trained, images, tmp_path):
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "half.onnx"
    made = export(*trained, "onnx", path, ExportOptions(precision="float16"))
    full = export(*trained, "onnx", tmp_path / "full.onnx")
    assert full.deviation < made.deviation < 1e-2
    assert path.stat().st_size < 0.6 * (tmp_path / "full.onnx").stat().st_size
    kinds = {onnx.TensorProto.DataType.Name(each.data_type) for each in onnx.load(path).graph.initializer if each.dims}
    assert "FLOAT16" in kinds
    assert "FLOAT" not in kinds
    session = onnx_session(path)
    assert [each.type for each in session.get_inputs()] == ["tensor(float)", "tensor(bool)"]
    (found,) = session.run(None, {"images": images, "infrared": np.full(3, True)})
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(found, embedded(trained[0], images, "infrared"), atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_program_in_half_precision_takes_and_gives_float32(trained, images, tmp_path, precision):
    made = export(*trained, "pt2", tmp_path / "half.pt2", ExportOptions(precision=precision))
    assert 0 < made.deviation < 2e-2
    program = torch.export.load(tmp_path / "half.pt2")
    weights = {value.dtype for value in program.state_dict.values() if value.is_floating_point()}
    assert weights == {getattr(torch, precision)}
    found = program.module()(torch.from_numpy(images), torch.tensor([False] * 3)).detach()
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), embedded(trained[0], images, "visible"), atol=2e-2)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_weights_as_safetensors_load_as_float32(trained, tmp_path, precision):
    from safetensors import safe_open

    path = tmp_path / "half.safetensors"
    export(*trained, "safetensors", path, ExportOptions(precision=precision))
    dtype = getattr(torch, precision)
    with safe_open(path, framework="pt") as file:
        assert file.get_tensor("trunk.layer1.0.conv1.weight").dtype == dtype
    loaded = load_network(path).state_dict()
    for name, value in trained[0].state_dict().items():
        wanted = value.to(dtype).float() if value.is_floating_point() else value
        assert torch.equal(loaded[name], wanted), name
    assert next(trained[0].parameters()).dtype == torch.float32, "the network itself stays as it was"


def test_weights_beyond_float16_are_refused(trained, tmp_path):
    network = load_network_with(trained, "neck.running_var", 1e6)
    with pytest.raises(
        ExportError, match=r"'neck.running_var' has values that float16 can't hold: use --precision float32"
    ):
        export(network, trained[1], "safetensors", tmp_path / "x.safetensors", ExportOptions(precision="float16"))
    assert not list(tmp_path.iterdir())
    export(network, trained[1], "safetensors", tmp_path / "x.safetensors", ExportOptions(precision="bfloat16"))


def load_network_with(trained, name, value):
    network = TwoStreamNetwork(trained[0].backbone, trained[0].num_classes)
    network.load_state_dict(trained[0].state_dict())
    network.state_dict()[name].fill_(value)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("onnx", {"precision": "bfloat16"}, "supports float32, float16, int8, not --precision bfloat16"),
        ("official", {"precision": "float16"}, "supports float32, not --precision float16"),
        ("official", {"stems": "two"}, "whole network in one file: leave --stems two out"),
        ("safetensors", {"stems": "two"}, "whole network in one file: leave --stems two out"),
        ("official", {}, "layout of a resnet50, but the network is a resnet18"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(trained, tmp_path, name, words, message):
    ending = {"onnx": "onnx", "official": "t", "safetensors": "safetensors"}[name]
    with pytest.raises(ExportError, match=message):
        export(*trained, name, tmp_path / f"x.{ending}", ExportOptions(**words))
    assert not list(tmp_path.iterdir())


def test_the_trained_and_the_exported_network_are_scored(trained, tmp_path):
    """The exported network is scored from the file: its rounded weights give another number than the trained ones."""
    seen = []

    def figures(embed):
        with torch.no_grad():
            seen.append(embed(torch.ones(2, 3, HEIGHT, WIDTH), "infrared"))
        return {"mAP": float(seen[-1].sum())}

    options = ExportOptions(precision="bfloat16", scorer=ExportScorer("here", figures))
    made = export(*trained, "safetensors", tmp_path / "x.safetensors", options)
    trained_one, exported_one = seen
    assert not torch.equal(trained_one, exported_one)
    assert (trained_one - exported_one).abs().max() < 2e-2
    assert made.scores.trained["mAP"] != made.scores.exported["mAP"]

"""Every format gives the trained network's embeddings, for any batch size and either modality, without this package."""

import json

import numpy as np
import pytest
import torch
from small_setup import HEIGHT, WIDTH

from lba_cli.errors import CheckpointError, ExportError
from lba_cli.export import FORMATS, ExportOptions, export
from lba_cli.export.export import Format
from lba_cli.model import load_network
from lba_cli.model.checkpoint import Description, fingerprint, read_checkpoint
from lba_cli.model.initial_weights import build_network
from lba_cli.vocabulary import ONNX_OPSET

ANY_BACKBONE = ("onnx", "pt2", "safetensors")


@pytest.fixture(scope="module")
def trained(network_file):
    return load_network(network_file), read_checkpoint(network_file).description


@pytest.fixture(scope="module")
def exported(trained, onnx_file, tmp_path_factory):
    """A file of each format by the format's name."""
    files = {"onnx": onnx_file}
    for name in ("pt2", "safetensors"):
        files[name] = tmp_path_factory.mktemp("exports") / f"person{FORMATS[name].suffix}"
        assert 0 <= export(*trained, name, files[name]).deviation < 1e-4
    return files


def plain(name, path):
    """Return the file as a function, as a user of onnxruntime, torch.export or load_network runs it."""
    if name == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path))
        return lambda images, infrared: session.run(None, {"images": images, "infrared": infrared})[0]
    if name == "pt2":
        program = torch.export.load(path).module()
        return lambda images, infrared: program(torch.from_numpy(images), torch.from_numpy(infrared)).detach().numpy()
    network = load_network(path)

    def embed(images, infrared):
        with torch.no_grad():
            return network.embed_mixed(torch.from_numpy(images), torch.from_numpy(infrared)).numpy()

    return embed


@pytest.mark.parametrize("name", ANY_BACKBONE)
@pytest.mark.parametrize("batch", [1, 7])
def test_embeddings_of_either_modality_equal_the_networks(trained, exported, name, batch):
    network, _ = trained
    images = np.random.default_rng(batch).standard_normal((batch, 3, HEIGHT, WIDTH)).astype(np.float32)
    embed = plain(name, exported[name])
    for modality in ("visible", "infrared"):
        with torch.no_grad():
            wanted = network.embed(torch.from_numpy(images), modality).numpy()
        found = embed(images, np.full(batch, modality == "infrared"))
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("name", ANY_BACKBONE)
def test_a_mixed_batch_goes_through_both_stems(trained, exported, name):
    images = np.random.default_rng(0).standard_normal((3, 3, HEIGHT, WIDTH)).astype(np.float32)
    embed = plain(name, exported[name])
    mixed = embed(images, np.array([True, False, True]))
    visible, infrared = (embed(images, np.full(3, flag)) for flag in (False, True))
    assert np.abs(visible - infrared).max() > 1e-3
    np.testing.assert_allclose(mixed, np.stack([infrared[0], visible[1], infrared[2]]), atol=1e-5)


def test_metadata_say_how_to_feed_the_network(exported, trained):
    import onnx
    from safetensors import safe_open

    with safe_open(exported["safetensors"], framework="pt") as file:
        texts = [file.metadata()["lba"]]
    texts.append({p.key: p.value for p in onnx.load(exported["onnx"]).metadata_props}["lba"])
    extra = {"lba.json": ""}
    torch.export.load(exported["pt2"], extra_files=extra)
    texts.append(extra["lba.json"])
    for text in texts:
        content = json.loads(text)
        recipe = content["preprocessing"]
        assert (recipe["height"], recipe["width"]) == (HEIGHT, WIDTH)
        assert recipe["mean"] == [0.485, 0.456, 0.406]
        assert recipe["standard_deviation"] == [0.229, 0.224, 0.225]
        assert content["lba"]["backbone"] == "resnet18"
        assert content["export"]["precision"] == "float32"
        assert content["export"]["modalities"] == "visible and infrared"
        assert content["export"]["network"] == fingerprint(trained[0].state_dict())
    model = onnx.load(exported["onnx"])
    assert model.opset_import[0].version == ONNX_OPSET == json.loads(texts[1])["export"]["opset"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param, "the batch is dynamic"


def test_safetensors_rebuild_the_network(exported, trained):
    network, description = trained
    checkpoint = read_checkpoint(exported["safetensors"])
    assert checkpoint.description == description
    assert all(torch.equal(checkpoint.weights[name], value) for name, value in network.state_dict().items())


def test_foreign_safetensors_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="not a checkpoint of lba, a checkpoint in the method"):
        read_checkpoint(tmp_path / "x.safetensors")


def test_an_export_that_deviates_leaves_no_file(trained, tmp_path, monkeypatch):
    form = FORMATS["safetensors"]
    network, description = trained

    def wrong(path):
        embed = form.load(path)
        return lambda images, infrared: embed(images, ~infrared)

    monkeypatch.setitem(FORMATS, "safetensors", Format(form.write, wrong, form.suffix))
    with pytest.raises(ExportError, match="no file was written"):
        export(network, description, "safetensors", tmp_path / "x.safetensors", ExportOptions(card=True))
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept(trained, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_text("mine")
    with pytest.raises(ExportError, match="exists already"):
        export(*trained, "safetensors", path)
    assert path.read_text() == "mine"
    export(*trained, "safetensors", path, ExportOptions(force=True))
    assert read_checkpoint(path)


def test_a_wrong_suffix_is_refused(trained, tmp_path):
    with pytest.raises(ExportError, match=r"must end in \.onnx"):
        export(*trained, "onnx", tmp_path / "x.pt2")


def test_a_missing_extra_is_named(trained, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(Exception, match=r"extra 'onnx'"):
        export(*trained, "onnx", tmp_path / "x.onnx")


@pytest.mark.parametrize("name", [*(pytest.param(n, marks=pytest.mark.slow) for n in ("onnx", "pt2")), "safetensors"])
def test_the_retrieval_feature_of_a_network_with_blocks_is_exported(tmp_path, name):
    if name == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    network = build_network("resnet18", 4, "none", 5, (HEIGHT, WIDTH), non_local=True, retrieval="neck").eval()
    with torch.no_grad():
        network.neck.running_mean.normal_(generator=torch.Generator().manual_seed(0))
        for module in network.non_local.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.fill_(0.01)
    path = tmp_path / f"person{FORMATS[name].suffix}"
    description = Description("resnet18", 4, HEIGHT, WIDTH, non_local=True, retrieval="neck")
    assert export(network, description, name, path).deviation < 1e-4
    images = np.random.default_rng(0).standard_normal((3, 3, HEIGHT, WIDTH)).astype(np.float32)
    with torch.no_grad():
        pooled = network.pooled(torch.from_numpy(images), "infrared")
        wanted = torch.nn.functional.normalize(network.neck(pooled), dim=1)
    np.testing.assert_allclose(plain(name, path)(images, np.full(3, True)), wanted.numpy(), atol=1e-4)
    if name == "onnx":
        made = export(network, description, name, tmp_path / "half.onnx", ExportOptions("float16"))
        assert made.deviation < 0.05

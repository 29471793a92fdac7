"""Embedders of networks and of their exports, which have the same fingerprint, and files that are neither."""

import hashlib
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_setup import HEIGHT, WIDTH

from lba_cli.errors import CheckpointError, LbaError, MissingExtra
from lba_cli.export import ExportOptions, export
from lba_cli.model import load_network
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.search import network_embedder, onnx_embedder

MODALITIES = ("visible", "infrared")
BATCH = np.random.default_rng(0).integers(0, 256, (5, HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture(scope="module")
def trained(network_file):
    return load_network(network_file), read_checkpoint(network_file).description


@pytest.fixture(scope="module")
def ours(trained):
    return network_embedder(trained[0], "net.pt")


@pytest.fixture(scope="module")
def more_exports(trained, tmp_path_factory):
    """A folder with a float32 file for each stem, and with float16 files of one and of two stems."""
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("exports")
    for options in (
        ExportOptions(stems="two"),
        ExportOptions(stems="one", precision="float16"),
        ExportOptions(stems="two", precision="float16"),
    ):
        export(*trained, "onnx", folder / f"{options.stems}-{options.precision}.onnx", options)
    return folder


def test_an_export_embeds_as_the_network_and_has_its_fingerprint(onnx_file, ours):
    theirs = onnx_embedder(onnx_file)
    assert (theirs.height, theirs.width, theirs.dimension, theirs.stem) == (
        ours.height,
        ours.width,
        ours.dimension,
        None,
    )
    assert theirs.fingerprint == ours.fingerprint
    for modality in MODALITIES:
        np.testing.assert_allclose(theirs.embed(BATCH, modality), ours.embed(BATCH, modality), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("modality", MODALITIES)
def test_a_file_of_one_stem_embeds_only_its_modality(more_exports, ours, modality):
    theirs = onnx_embedder(more_exports / f"two-float32-{modality}.onnx")
    (other,) = set(MODALITIES) - {modality}
    assert (theirs.stem, theirs.fingerprint) == (modality, ours.fingerprint)
    np.testing.assert_allclose(theirs.embed(BATCH, modality), ours.embed(BATCH, modality), atol=1e-4)
    with pytest.raises(CheckpointError, match=rf"embeds only {modality} images; name the file of the {other} stem"):
        theirs.embed(BATCH, other)


@pytest.mark.slow
def test_half_precision_is_another_model_than_the_checkpoint_and_the_same_for_both_stems(more_exports, ours):
    names = ("one-float16", "two-float16-visible", "two-float16-infrared")
    (fingerprint,) = {onnx_embedder(more_exports / f"{name}.onnx").fingerprint for name in names}
    assert fingerprint != ours.fingerprint
    assert len(fingerprint) == 64


def with_metadata(path, target, change):
    """Copy an export to ``target``, with its metadata changed by ``change``."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    metadata = json.loads(model.metadata_props[0].value)
    change(metadata["export"])
    onnx.helper.set_model_props(model, {"lba": json.dumps(metadata)})
    onnx.save_model(model, target)
    return target


def test_an_export_whose_metadata_name_no_network_is_known_by_its_bytes(onnx_file, ours, tmp_path):
    path = with_metadata(onnx_file, tmp_path / "x.onnx", lambda export: export.pop("network"))
    fingerprint = onnx_embedder(path).fingerprint
    assert fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
    assert fingerprint != ours.fingerprint
    path.rename(tmp_path / "elsewhere.onnx")
    assert onnx_embedder(tmp_path / "elsewhere.onnx").fingerprint == fingerprint


def test_an_export_of_another_network_is_another_model(onnx_file, ours, tmp_path):
    path = onnx_file
    other = with_metadata(path, tmp_path / "x.onnx", lambda export: export.update(network="0" * 64))
    assert onnx_embedder(other).fingerprint != ours.fingerprint
    malformed = with_metadata(path, tmp_path / "y.onnx", lambda export: export.update(network="x"))
    with pytest.raises(CheckpointError, match="not exported by lba"):
        onnx_embedder(malformed)


def test_an_export_gives_an_image_the_same_bits_alone_and_with_others(onnx_file):
    embedder = onnx_embedder(onnx_file)
    for modality in MODALITIES:
        together = embedder.embed(BATCH, modality)
        alone = np.concatenate([embedder.embed(image[None], modality) for image in BATCH])
        np.testing.assert_array_equal(alone, together)


def test_metadata_that_contradict_the_inputs_are_refused(onnx_file, tmp_path):
    path = onnx_file
    with_metadata(path, tmp_path / "x.onnx", lambda export: export.update(modalities="visible"))
    with pytest.raises(CheckpointError, match="are images, infrared; it should have images and the output embeddings"):
        onnx_embedder(tmp_path / "x.onnx")


def test_files_that_lba_did_not_export_are_refused(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    (tmp_path / "text.onnx").write_text("hello")
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", value[:1], value[1:]), opset_imports=[onnx.helper.make_opsetid("", 18)]
    )
    model.ir_version = 9
    onnx.save_model(model, tmp_path / "other.onnx")
    for name, words in (("gone", "no such file"), ("text", "not an ONNX file"), ("other", "not exported by lba")):
        with pytest.raises(CheckpointError, match=words) as caught:
            onnx_embedder(tmp_path / f"{name}.onnx")
        assert "\n" not in str(caught.value)
    (tmp_path / "text.onnx").rename(tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match="name a checkpoint with --checkpoint"):
        onnx_embedder(tmp_path / "best.pt")
    (tmp_path / "best.pt").rename(tmp_path / "text.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match="extra 'onnx'"):
        onnx_embedder(tmp_path / "text.onnx")


def test_weights_that_give_no_finite_values_are_reported(network_file):
    network = load_network(network_file)
    with torch.no_grad():
        network.trunk["layer4"][0].conv1.weight.fill_(torch.inf)
    embedder = network_embedder(network, "net.pt")
    with pytest.raises(LbaError, match="not finite"):
        embedder.embed(np.zeros((1, 64, 32, 3), np.uint8), "visible")


def test_vectors_that_are_not_of_unit_length_are_reported(ours):
    longer = replace(ours, function=lambda images, modality: 1.01 * ours.function(images, modality))
    with pytest.raises(LbaError, match="not of unit length"):
        longer.embed(BATCH, "visible")


def test_the_same_weights_have_the_same_fingerprint_whatever_the_file(network_file, tmp_path):
    network, description = load_network(network_file), read_checkpoint(network_file).description
    export(network, description, "safetensors", tmp_path / "net.safetensors")
    again = load_network(tmp_path / "net.safetensors").to(memory_format=torch.channels_last)
    one, two = (network_embedder(each, "x").fingerprint for each in (network, again))
    assert one == two
    with torch.no_grad():
        again.neck.weight[0] += 1e-3
    assert network_embedder(again, "x").fingerprint != one

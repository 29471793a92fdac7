"""Checkpoints in AGW's and CAJ's released layout: golden embeddings, every command, and blocks that don't fit."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from report_pages import data_of
from torchvision.models import resnet

from lba_cli.data.image_files import read_image
from lba_cli.data.loaders import to_images
from lba_cli.errors import CheckpointError, ExportError
from lba_cli.export import export
from lba_cli.model import load_network
from lba_cli.model.checkpoint import read_checkpoint, rebuild_network
from lba_cli.model.initial_weights import build_network
from lba_cli.model.official_layout import our_name, to_released

SMALL_IMAGES = ("--set", "data.height=64", "--set", "data.width=32", "--set", "run.device=cpu")


@pytest.mark.parametrize("modality", ["visible", "infrared"])
def test_golden_features(golden, agw_file, modality):
    z, network = golden("agw"), load_network(agw_file)
    assert (network.retrieval, len(network.non_local["layer2"]), len(network.non_local["layer3"])) == ("neck", 2, 3)
    images = to_images(z[f"{modality}_uint8"])
    with torch.no_grad():
        np.testing.assert_allclose(network.embed(images, modality).numpy(), z[f"{modality}_neck"], atol=1e-5)
        pooled = torch.nn.functional.normalize(network.pooled(images, modality), dim=1)
    np.testing.assert_allclose(pooled.numpy(), z[f"{modality}_pooled"], atol=1e-5)


@pytest.mark.slow
def test_a_round_trip_is_the_identity_to_the_bit(agw_file, tmp_path):
    checkpoint = read_checkpoint(agw_file)
    made = export(rebuild_network(checkpoint), checkpoint.description, "official", tmp_path / "again.t")
    assert made.deviation == 0
    require_same_file(tmp_path / "again.t", agw_file)


def require_same_file(path, other):
    """Require that two files in the released layout have the same names and shapes, and the same tensors where they are used."""
    written, wanted = (torch.load(each, weights_only=False)["net"] for each in (path, other))
    assert written.keys() == wanted.keys()
    for name, value in wanted.items():
        assert (written[name].shape, written[name].dtype) == (value.shape, value.dtype), name
        assert not our_name(name) or torch.equal(written[name], value), name
    assert read_checkpoint(path).description == read_checkpoint(other).description


@pytest.fixture
def small(monkeypatch):
    """The released state dict of a network of four residual blocks, which is quicker than a ResNet-50's."""
    monkeypatch.setattr(resnet, "resnet18", lambda weights=None: resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1]))
    monkeypatch.setattr("lba_cli.model.checkpoint.BACKBONE", "resnet18")
    monkeypatch.setattr(sys.modules["lba_cli.export.export"], "BACKBONE", "resnet18")
    network = build_network("resnet18", 206, "none", seed=3, non_local=True)
    for name, value in network.state_dict().items():
        if name.startswith(("non_local.", "neck.running_mean")) and not name.endswith("tracked"):
            value.add_(0.01)
    return to_released(network.state_dict())


@pytest.fixture
def file(small, tmp_path):
    torch.save({"net": small, "cmc": np.ones(20), "mAP": np.float64(0.5), "epoch": 99}, tmp_path / "caj.t")
    return tmp_path / "caj.t"


def test_evaluate(file, store, lba):
    words = ("evaluate", file, "--data", store, *SMALL_IMAGES, "--features-from", "pooled", "--json", "f.json")
    assert "caj.t: AGW or CAJ (released layout) checkpoint" in " ".join(lba(*words).output.split())
    results = json.loads(Path("f.json").read_text())["results"]
    assert [result["variant"] for result in results] == ["plain", "pooled"]
    assert results[0]["mean"] != results[1]["mean"]
    lba("evaluate", file, "--data", store, *SMALL_IMAGES, "--features-from", "neck", "--json", "g.json")
    assert [result["variant"] for result in json.loads(Path("g.json").read_text())["results"]] == ["plain"]


def test_search(file, tiny, lba):
    query, model = next((tiny / "cam3").rglob("*.jpg")), ("--checkpoint", file, *SMALL_IMAGES)
    lba("search", "build", tiny / "cam1", "--index", "index", "--modality", "visible", *model)
    lba("search", "query", "index", query, "--modality", "infrared", *model, "--json", "ranks.json")
    assert json.loads(Path("ranks.json").read_text())
    lba("embed", query, "--modality", "infrared", *model, "--output", "query.npz")
    network = load_network(file)
    with torch.no_grad():
        pooled = network.pooled(to_images(read_image(query, 64, 32)[None]), "infrared")
        wanted = torch.nn.functional.normalize(network.neck(pooled), dim=1)
    np.testing.assert_allclose(np.load("query.npz")["features"], wanted.numpy(), atol=1e-5)


def test_export(file, lba):
    for form, name in (("official", "again.t"), ("safetensors", "caj.safetensors")):
        said = lba("export", "--checkpoint", file, *SMALL_IMAGES, "--format", form, "--output", name).output
        assert "equals the trained network within" in said
    require_same_file(Path("again.t"), file)
    card = Path("caj.safetensors.md").read_text()
    assert "- method: AGW or CAJ (released layout)" in card
    assert "with non-local blocks" in card
    assert "- retrieval feature: after the neck" in card


def test_the_layout_has_no_place_for_another_retrieval_feature(file, tmp_path):
    checkpoint = read_checkpoint(file)
    network = rebuild_network(checkpoint)
    network.retrieval = "pooled"
    with pytest.raises(ExportError, match="readers take 'neck' for a network with non-local blocks.*by 'pooled'"):
        export(network, checkpoint.description, "official", tmp_path / "a.t")


def test_the_report_says_what_the_file_is(file, store, lba):
    words = ("--data", store, *SMALL_IMAGES, "--queries", 3, "--people", 2, "--points", 9)
    lba("visualize", "report", "--checkpoint", file, "--output", "r.html", *words)
    facts = data_of(Path("r.html").read_text())["summary"]["facts"]
    assert ["method", "AGW or CAJ (released layout)"] in facts
    assert ["retrieval feature", "neck"] in facts


def test_a_wrapped_half_precision_file_is_recognised(small, tmp_path):
    torch.save({"model": {f"module.{name}": value.half() for name, value in small.items()}}, tmp_path / "a.pth")
    description = read_checkpoint(tmp_path / "a.pth").description
    assert (description.non_local, description.retrieval, description.num_classes) == (True, "neck", 206)
    assert description.method == "AGW or CAJ (released layout)"


def test_training_starts_from_the_blocks_of_a_file(small, file):
    network = build_network("resnet18", 4, str(file), seed=0, non_local=True)
    assert torch.equal(network.non_local["layer3"][0].expand.weight, small["NL_3.0.W.0.weight"])


def without(state, *starts):
    return {name: value for name, value in state.items() if not name.startswith(starts)}


MISFITS = {
    "'NL_3.0.W.0.bias' is missing": lambda s: without(s, "NL_3."),
    "'NL_2.0.theta.bias' is missing": lambda s: without(s, "NL_2.0.theta.bias"),
    "'NL_3.1.g.0.weight' is unknown": lambda s: {**s, "NL_3.1.g.0.weight": torch.ones(1, 256, 1, 1)},
    "'NL_4.0.W.0.bias' is unknown": lambda s: {**s, "NL_4.0.W.0.bias": torch.ones(512)},
    "'NL_2' is unknown": lambda s: {**s, "NL_2": torch.ones(2)},
    r"'NL_2.0.phi.weight' should be \(1, 128, 1, 1\), but the file has \(64, 128, 1, 1\)": lambda s: {
        **s,
        "NL_2.0.phi.weight": torch.ones(64, 128, 1, 1),
    },
}


@pytest.mark.parametrize("message", MISFITS)
def test_blocks_that_do_not_fit_are_refused_in_one_line(small, tmp_path, message):
    torch.save({"net": MISFITS[message](small)}, tmp_path / "a.t")
    with pytest.raises(
        CheckpointError, match=f"its non-local blocks don't fit: {message}; AGW and CAJ have 2"
    ) as caught:
        read_checkpoint(tmp_path / "a.t")
    assert "\n" not in str(caught.value)

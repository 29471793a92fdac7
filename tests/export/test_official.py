"""The released layout: a round trip changes nothing, every parameter is there, and plain PyTorch loads it."""

import math
from dataclasses import replace

import pytest
import torch
from torchvision.models import resnet

from lba_cli.export import export
from lba_cli.export.weights import write_official
from lba_cli.model.checkpoint import read_checkpoint, rebuild_network


@pytest.fixture(scope="module")
def released(official_file):
    return read_checkpoint(official_file)


@pytest.fixture(scope="module")
def exported(released, tmp_path_factory):
    path = tmp_path_factory.mktemp("official") / "ours.t"
    made = export(rebuild_network(released), released.description, "official", path)
    assert made.deviation == 0
    return path


@pytest.mark.slow
def test_a_round_trip_is_the_identity_to_the_bit(released, exported):
    again = read_checkpoint(exported)
    assert again.description == released.description
    assert again.weights.keys() == released.weights.keys()
    for name, value in released.weights.items():
        assert torch.equal(again.weights[name], value), name


@pytest.mark.slow
def test_names_shapes_and_kinds_are_those_of_the_released_file(official, exported):
    content = torch.load(exported, weights_only=True)
    assert list(content) == ["net", "cmc", "mAP", "mINP", "epoch"]
    wanted = official.state_dict("golden")
    assert content["net"].keys() == wanted.keys()
    for name, value in wanted.items():
        assert (content["net"][name].shape, content["net"][name].dtype) == (value.shape, value.dtype), name
    assert sum(value.numel() for name, value in content["net"].items() if not name.endswith("tracked")) > 71e6


@pytest.mark.slow
def test_used_tensors_are_the_released_ones_and_the_others_are_filled(official, exported):
    net, wanted = torch.load(exported, weights_only=True)["net"], official.state_dict("golden")
    for name, value in net.items():
        prefix, _, rest = name.partition(".")[2].partition(".")
        stem = rest.startswith(("conv1.", "bn1."))
        if name.startswith("base_resnet.") and stem:
            assert torch.equal(value, wanted[f"visible_module.visible.{rest}"]), name
        elif prefix in ("visible", "thermal") and not stem:
            assert torch.equal(value, wanted[f"base_resnet.base.{rest}"]), name
        else:
            assert torch.equal(value, wanted[name]), name


@pytest.mark.slow
def test_other_peoples_modules_load_it_strictly(exported):
    """A whole ResNet-50 takes each of the three parts, as code that was written for the released file does."""
    net = torch.load(exported, weights_only=True)["net"]
    for prefix in ("visible_module.visible.", "thermal_module.thermal.", "base_resnet.base."):
        part = {name.removeprefix(prefix): value for name, value in net.items() if name.startswith(prefix)}
        network = resnet.resnet50(weights=None)
        del network.fc
        network.load_state_dict(part)


@pytest.mark.slow
def test_figures_are_plain_and_unknown_ones_are_not_made_up(released, exported, tmp_path):
    figures = {"rank1": 0.5, "rank5": 0.7, "rank10": 0.8, "rank20": 0.9, "mAP": 0.4, "mINP": 0.3}
    told = replace(released.description, figures=figures, epoch=7)
    write_official(rebuild_network(released), told, tmp_path / "a.t")
    content = torch.load(tmp_path / "a.t", weights_only=True)
    assert (content["mAP"], content["mINP"], content["epoch"]) == (0.4, 0.3, 7)
    assert len(content["cmc"]) == 20
    assert [content["cmc"][rank - 1] for rank in (1, 5, 10, 20)] == [0.5, 0.7, 0.8, 0.9]
    assert sum(math.isnan(value) for value in content["cmc"]) == 16
    assert math.isnan(torch.load(exported, weights_only=True)["mAP"])


@pytest.mark.slow
def test_the_command_warns_of_what_the_layout_cannot_tell(lba, tmp_path):
    from lba_cli.model.checkpoint import Checkpoint, Description, write_checkpoint
    from lba_cli.model.initial_weights import build_network

    network = build_network("resnet50", 5, "none", seed=0)
    write_checkpoint(
        tmp_path / "net.pt", Checkpoint(Description("resnet50", 5, 64, 32, "synthetic-tiny"), network.state_dict())
    )
    result = lba(
        "export", "--checkpoint", "net.pt", "--format", "official", "--output", "net.t", "--set", "run.device=cpu"
    )
    assert "image size (64×32)" in result.output
    assert "synthetic-tiny" in (tmp_path / "net.t.md").read_text()

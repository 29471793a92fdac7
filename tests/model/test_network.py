"""The network: golden embeddings, pooling, shapes and initial weights."""

import numpy as np
import pytest
import torch
from torchvision.models import resnet

from lba_cli.data.loaders import to_images
from lba_cli.errors import CheckpointError, ConfigError
from lba_cli.model import TwoStreamNetwork, generalized_mean_pool, load_network
from lba_cli.model.initial_weights import build_network
from lba_cli.vocabulary import BACKBONES


@pytest.mark.parametrize("modality", ["visible", "infrared"])
def test_golden_embeddings_of_the_released_layout(golden, official_file, modality):
    z = golden("network")
    with torch.no_grad():
        found = load_network(official_file).embed(to_images(z[f"eval_{modality}_uint8"]), modality)
    np.testing.assert_allclose(found.numpy(), z[f"eval_{modality}_embedding"], atol=1e-5)


def test_pooling_equals_golden_figures(golden):
    z = golden("pooling_and_hard_triplet")
    found = generalized_mean_pool(torch.from_numpy(z["maps"]))
    np.testing.assert_allclose(found.numpy(), z["gem_p3"], rtol=1e-5, atol=1e-5)


def test_gradient_of_pooling_equals_pytorchs():
    maps = torch.rand(5, 3, 4, 2, dtype=torch.float64).relu_()
    maps[1, 2] = 0  # a channel of zeros
    assert torch.autograd.gradcheck(generalized_mean_pool, maps.clamp(min=0.1).requires_grad_())
    found = maps.requires_grad_()
    wanted = maps.detach().clone().requires_grad_()
    generalized_mean_pool(found).square().sum().backward()
    (wanted.pow(3).mean(dim=(2, 3)) + 1e-12).pow(1 / 3).square().sum().backward()
    torch.testing.assert_close(found.grad, wanted.grad)


def test_pooling_keeps_only_the_maps_and_its_result_for_the_gradient():
    maps, saved = torch.rand(5, 3, 4, 2).bfloat16().requires_grad_(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor.detach()), lambda _: None):
        result = generalized_mean_pool(maps)
    assert [(each.dtype, each.shape) for each in saved] == [(maps.dtype, maps.shape), (result.dtype, result.shape)]


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_bfloat16_maps_are_pooled_in_float32(layout):
    maps = torch.rand(5, 3, 4, 2).bfloat16().to(memory_format=layout).requires_grad_()
    found = generalized_mean_pool(maps)
    assert found.dtype == torch.float32
    (rounded,) = torch.autograd.grad(found.sum(), maps)
    precise = maps.detach().float().requires_grad_()
    (wanted,) = torch.autograd.grad(generalized_mean_pool(precise).sum(), precise)
    assert rounded.dtype == torch.bfloat16
    assert rounded.is_contiguous(memory_format=layout)
    torch.testing.assert_close(rounded, wanted.bfloat16(), rtol=0, atol=0)


@pytest.mark.parametrize(
    "backbone", [b if b in ("resnet18", "resnet50") else pytest.param(b, marks=pytest.mark.slow) for b in BACKBONES]
)
def test_layer4_has_the_resolution_of_layer3_in_every_resnet(backbone):
    with torch.device("meta"):
        network = TwoStreamNetwork(backbone, 7)
        maps = network.maps(torch.empty(2, 3, 288, 144), "infrared")
        assert maps.layer3.shape[2:] == maps.layer4.shape[2:] == (18, 9)
        assert network.classify(torch.empty(2, network.embedding_size)).shape == (2, 7)


def test_each_modality_goes_through_its_own_stem():
    network = TwoStreamNetwork("resnet18", 4).eval()
    with torch.no_grad():
        network.stems["infrared"].conv1.weight.zero_()
        images = torch.randn(2, 3, 64, 32)
        visible, infrared = (network.embed(images, modality) for modality in ("visible", "infrared"))
        mixed = network.embed_mixed(images, torch.tensor([False, True]))
    assert not torch.allclose(visible, infrared)
    assert torch.allclose(infrared[0], infrared[1])
    torch.testing.assert_close(mixed, torch.stack([visible[0], infrared[1]]))


def test_embeddings_have_unit_length():
    network = TwoStreamNetwork("resnet18", 4).eval()
    norms = network.embed(torch.randn(3, 3, 64, 32), "visible").norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(3))


def test_neck_and_classifier_start_as_the_paper_says():
    network = build_network("resnet18", 4, "none", seed=0)
    assert not network.neck.bias.requires_grad
    assert network.neck.bias.abs().sum() == 0
    assert network.classifier.bias is None
    assert network.classifier.weight.std() < 0.002


def test_initial_weights_depend_on_the_seed_alone():
    state = torch.get_rng_state()
    first, second, other = (build_network("resnet18", 4, "none", seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])
    assert torch.equal(torch.get_rng_state(), state)


def test_both_stems_and_the_trunk_start_from_a_resnets_file(tmp_path):
    torch.manual_seed(0)
    base = resnet.resnet18(weights=None)
    torch.save(base.state_dict(), tmp_path / "resnet18.pth")
    network = build_network("resnet18", 4, str(tmp_path / "resnet18.pth"), seed=0)
    for modality in ("visible", "infrared"):
        assert torch.equal(network.stems[modality].conv1.weight, base.conv1.weight)
    assert torch.equal(network.trunk["layer4"][1].conv2.weight, base.layer4[1].conv2.weight)


@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_stems_and_trunk_start_from_a_checkpoint(tmp_path, network_file, ending):
    from lba_cli.export.weights import write_safetensors
    from lba_cli.model.checkpoint import read_checkpoint

    start, path = load_network(network_file), network_file
    if ending == ".safetensors":
        path = tmp_path / "start.safetensors"
        write_safetensors(start, read_checkpoint(network_file).description, path)
    network = build_network("resnet18", 7, str(path), seed=0)
    for name, value in start.state_dict().items():
        if name.startswith(("stems.", "trunk.")):
            assert torch.equal(network.state_dict()[name], value), name
    assert network.classifier.weight.shape == (7, 512)


def test_weights_of_another_backbone_are_refused(tmp_path):
    torch.save(resnet.resnet34(weights=None).state_dict(), tmp_path / "resnet34.pth")
    with pytest.raises(CheckpointError, match="not weights of a resnet50"):
        build_network("resnet50", 4, str(tmp_path / "resnet34.pth"), seed=0)


def test_imagenet_weights_are_downloaded_by_torchvision(monkeypatch):
    torch.manual_seed(0)
    base = resnet.resnet18(weights=None)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", lambda *_, **__: base.state_dict())
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: base.state_dict())
    network = build_network("resnet18", 4, "imagenet", seed=0)
    assert torch.equal(network.trunk["layer1"][0].conv1.weight, base.layer1[0].conv1.weight)


def test_failed_download_is_reported_with_alternatives(monkeypatch):
    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(ConfigError, match=r"no route to host.*model.pretrained=FILE.*model.pretrained=none"):
        build_network("resnet18", 4, "imagenet", seed=0)

"""Merging batch normalisations into convolutions only changes rounding."""

import pytest
import torch
from torch import nn

from lba_cli.model import TwoStreamNetwork
from lba_cli.model.batchnorm_fusion import folded


@pytest.mark.parametrize("backbone", ["resnet18", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_fused_network_gives_the_same_embeddings(backbone):
    torch.manual_seed(0)
    network = TwoStreamNetwork(backbone, 5, (64, 32))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fused = folded(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    images = torch.randn(3, 3, 64, 32)
    with torch.inference_mode():
        for modality in ("visible", "infrared"):
            torch.testing.assert_close(
                fused.embed(images, modality), network.embed(images, modality), atol=1e-6, rtol=1e-5
            )
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_fusing_copies_a_network_in_training():
    network = TwoStreamNetwork("resnet18", 5, (64, 32)).train()
    assert not folded(network).training
    assert network.training

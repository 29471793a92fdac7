"""The learning rate, and the parameters that it applies to."""

import pytest

from lba_cli.model import TwoStreamNetwork
from lba_cli.training import parameter_groups
from lba_cli.training.schedule import rate_factor


def test_learning_rate_of_the_papers_recipe():
    factors = [rate_factor(epoch, 10, (20, 50)) for epoch in range(81)]
    assert factors[:10] == pytest.approx([(epoch + 1) / 10 for epoch in range(10)])
    assert factors[10:20] == [1.0] * 10
    assert factors[20:50] == pytest.approx([0.1] * 30)
    assert factors[50:] == pytest.approx([0.01] * 31)


def test_every_trained_parameter_is_in_one_group():
    network = TwoStreamNetwork("resnet18", 5)
    backbone, head = parameter_groups(network, 0.1)
    assert backbone["lr"] == pytest.approx(0.01)
    assert head["lr"] == pytest.approx(0.1)
    grouped = [id(p) for group in (backbone, head) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters() if p.requires_grad)

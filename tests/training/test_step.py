"""A training step asks the device for nothing that it would have to wait for."""

import pytest
import torch
from small_setup import HEIGHT, WIDTH
from torch.overrides import TorchFunctionMode

from lba_cli.alignment import sample_pairs
from lba_cli.compute import arithmetic
from lba_cli.config import TrainSection
from lba_cli.data.loaders import TrainingBatch
from lba_cli.model import TwoStreamNetwork
from lba_cli.training import Objective
from lba_cli.training.step import TrainingStep

READS = {"__bool__", "__float__", "__int__", "__index__", "item", "tolist", "numpy", "cpu", "nonzero", "equal"}
MAKES = {"tensor", "as_tensor", "from_numpy", "scalar_tensor"}  # from the CPU's memory to the device's, and waits


class NothingWaits(TorchFunctionMode):
    """Refuses whatever reads a tensor's values, or makes one of numbers from Python."""

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        name = getattr(function, "__name__", "")
        assert name not in READS | MAKES, f"{name} waits for the device"
        return function(*arguments, **keywords or {})


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["baseline", "full"])
def test_nothing_waits_for_the_device(method, precision):
    device = torch.device("cpu")
    network = TwoStreamNetwork("resnet18", 3, (HEIGHT, WIDTH)).train()
    step = TrainingStep(network, Objective(method), TrainSection(precision=precision), device)
    images = [torch.randint(0, 256, (6, HEIGHT, WIDTH, 3), dtype=torch.uint8) for _ in range(2)]
    batch = TrainingBatch(*images, torch.arange(3).repeat_interleave(2))
    pairs = [tuple(sample_pairs(3, 2) for _ in range(2)) for _ in range(2)]
    with arithmetic(precision, device):
        step(batch, pairs[0])
        with NothingWaits():
            losses = step(batch, pairs[1])
    assert all(loss.isfinite() for loss in losses.values())


def test_reading_a_value_is_noticed():
    with pytest.raises(AssertionError, match="item waits"), NothingWaits():
        torch.ones(1).item()
    with pytest.raises(AssertionError, match="tensor waits"), NothingWaits():
        torch.tensor([1.0])

"""A training step: it never waits for the device, and clips gradients only if asked to."""

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
MAKES = {
    "tensor",
    "as_tensor",
    "from_numpy",
    "scalar_tensor",
}  # copies from the CPU's memory to the device's, and waits


class RefuseToWait(TorchFunctionMode):
    """Refuses functions that read a tensor's values, or that make a tensor of Python's numbers."""

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        name = getattr(function, "__name__", "")
        assert name not in READS | MAKES, f"{name} waits for the device"
        return function(*arguments, **keywords or {})


CPU = torch.device("cpu")


def make_step(method="baseline", **recipe):
    torch.manual_seed(0)
    network = TwoStreamNetwork("resnet18", 3, (HEIGHT, WIDTH)).train()
    return network, TrainingStep(network, Objective(method), TrainSection(**recipe), CPU)


def make_batch():
    generator = torch.Generator().manual_seed(1)
    images = [torch.randint(0, 256, (6, HEIGHT, WIDTH, 3), dtype=torch.uint8, generator=generator) for _ in range(2)]
    return TrainingBatch(*images, torch.arange(3).repeat_interleave(2))


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("method", "clip_grad_norm"), [("baseline", None), ("full", None), ("full", 1.0)])
def test_a_step_never_waits_for_the_device(method, precision, clip_grad_norm):
    _, step = make_step(method, precision=precision, clip_grad_norm=clip_grad_norm)
    batch, pairs = make_batch(), [tuple(sample_pairs(3, 2) for _ in range(2)) for _ in range(2)]
    with arithmetic(precision, CPU):
        step(batch, lambda: pairs[0])
        with RefuseToWait():
            values = step(batch, lambda: pairs[1])
    assert all(value.isfinite() for group in values for value in group.values())


def gradient_norm(network):
    return torch.cat([p.grad.double().flatten() for p in network.parameters() if p.grad is not None]).norm().item()


def test_gradient_norm_is_a_diagnostic_and_nothing_is_clipped_by_default(monkeypatch):
    network, step = make_step()
    found = step(make_batch(), None).diagnostics["gradient_norm"].item()
    assert found == pytest.approx(gradient_norm(network), rel=1e-5)
    untouched, step = make_step()
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.zeros(()))
    step(make_batch(), None)
    for clipped, plain in zip(network.parameters(), untouched.parameters(), strict=True):
        assert torch.equal(clipped, plain)


def test_gradients_are_clipped_to_the_configured_norm():
    network, step = make_step(clip_grad_norm=0.5)
    before = step(make_batch(), None).diagnostics["gradient_norm"].item()
    assert before > 1
    assert gradient_norm(network) == pytest.approx(0.5, rel=1e-4)


def test_refuse_to_wait_refuses_reading_and_making_values():
    with pytest.raises(AssertionError, match="item waits"), RefuseToWait():
        torch.ones(1).item()
    with pytest.raises(AssertionError, match="tensor waits"), RefuseToWait():
        torch.tensor([1.0])

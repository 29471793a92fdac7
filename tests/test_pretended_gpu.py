"""The ways of a GPU followed without one, on PyTorch's fake tensors: they have a device, a shape and a precision, but no values.

What mixes devices fails here, and so does what asks for a value, for which a GPU would have to be waited for. The backward pass
needs a real device: ``tests/test_gpu.py``.
"""

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from lba_cli.alignment import Pairs
from lba_cli.compute import arithmetic, mixed_precision
from lba_cli.data import loaders
from lba_cli.data.loaders import normalize
from lba_cli.data.resident import ResidentImages
from lba_cli.model import TwoStreamNetwork
from lba_cli.training import Objective

IMAGES, HEIGHT, WIDTH = 12, 96, 48
GPU = torch.device("cuda")


@pytest.fixture
def pretended(monkeypatch):
    """Tensors made within the test are fake ones; autocast believes in the GPU."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    loaders._statistics.cache_clear()
    with FakeTensorMode():
        yield
    loaders._statistics.cache_clear()


def made_there():
    with GPU:
        return TwoStreamNetwork("resnet18", 7, (HEIGHT, WIDTH))


def test_what_would_wait_or_mix_fails(pretended):
    there = torch.empty(3, device=GPU)
    with pytest.raises(DataDependentOutputException):
        there.sum().item()
    with pytest.raises(RuntimeError):
        there + torch.empty(3)


@pytest.mark.parametrize("method", ["baseline", "full"])
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_losses(pretended, method, precision):
    network = made_there().train()
    images = [torch.empty(IMAGES, HEIGHT, WIDTH, 3, dtype=torch.uint8).to(GPU, non_blocking=True) for _ in range(2)]
    labels = torch.empty(IMAGES, dtype=torch.int64).to(GPU)
    partners = torch.empty(2 * IMAGES, dtype=torch.int64)
    pairs = (Pairs(partners, partners).to(GPU),) * 2
    with arithmetic(precision, GPU), mixed_precision(precision, GPU):
        losses = Objective(method)(network, *map(normalize, images), labels, pairs)
    assert {(loss.device.type, loss.shape) for loss in losses.values()} == {("cuda", ())}
    assert losses["total"].dtype == torch.float32


def test_embeddings(pretended):
    network = made_there().eval()
    images = normalize(torch.empty(IMAGES, HEIGHT, WIDTH, 3, dtype=torch.uint8, device=GPU))
    with torch.no_grad():
        assert network.embed(images, "infrared").shape == (IMAGES, 512)


def test_images_that_live_there(pretended):
    resident = ResidentImages.__new__(ResidentImages)  # what reads them is pinned memory's
    resident._pixels = torch.empty(40, HEIGHT, WIDTH, 3, dtype=torch.uint8, device=GPU)
    resident._colour, resident._pad = torch.empty(3, dtype=torch.uint8, device=GPU), 5
    rows, changes = torch.empty(IMAGES, dtype=torch.int64), torch.empty(IMAGES, 7, dtype=torch.int64)
    changed = resident.changed(rows.to(GPU), changes.to(GPU))
    assert (changed.device.type, changed.dtype, changed.shape) == ("cuda", torch.uint8, (IMAGES, HEIGHT, WIDTH, 3))

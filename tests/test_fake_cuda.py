"""Code for CUDA devices runs on PyTorch's fake tensors, which have a device, a shape and a dtype, but no values.

Mixing devices fails here, and so does reading a value, which would wait for a real GPU. PyTorch's autograd engine needs a
real device (``tests/test_gpu.py``), so that our gradients are called directly.
"""

from contextlib import nullcontext

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from lba_cli.alignment import Pairs, gradients
from lba_cli.compute import arithmetic, mixed_precision
from lba_cli.data import loaders
from lba_cli.data.augmentation import ERASED_COLOURS, GRAY_WEIGHTS, Augmentation, AugmentationParameters
from lba_cli.data.device_cache import DeviceCache
from lba_cli.data.loaders import normalize
from lba_cli.model import TwoStreamNetwork, pooling
from lba_cli.training import Objective

IMAGES, HEIGHT, WIDTH = 12, 96, 48
GPU = torch.device("cuda")


@pytest.fixture
def fake_cuda(monkeypatch):
    """Tensors that the test makes are fake, and autocast finds a GPU."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    loaders._statistics.cache_clear()
    with FakeTensorMode():
        yield
    loaders._statistics.cache_clear()


def network_on_gpu():
    with GPU:
        return TwoStreamNetwork("resnet18", 7, (HEIGHT, WIDTH))


def test_reading_values_and_mixing_devices_fails(fake_cuda):
    on_gpu = torch.empty(3, device=GPU)
    with pytest.raises(DataDependentOutputException):
        on_gpu.sum().item()
    with pytest.raises(RuntimeError):
        on_gpu + torch.empty(3)


@pytest.mark.parametrize("method", ["baseline", "full"])
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_losses_are_computed_on_the_gpu(fake_cuda, method, precision):
    network = network_on_gpu().train()
    images = [torch.empty(IMAGES, HEIGHT, WIDTH, 3, dtype=torch.uint8).to(GPU, non_blocking=True) for _ in range(2)]
    labels = torch.empty(IMAGES, dtype=torch.int64).to(GPU)
    partners = torch.empty(2 * IMAGES, dtype=torch.int64)
    pairs = (Pairs(partners, partners).to(GPU),) * 2
    with arithmetic(precision, GPU), mixed_precision(precision, GPU):
        losses = Objective(method)(network, *map(normalize, images), labels, pairs)
        features = network(*map(normalize, images)).layer4
    assert features.dtype == (torch.bfloat16 if precision == "bfloat16" else torch.float32)
    assert {(loss.device.type, loss.shape) for loss in losses.values()} == {("cuda", ())}
    assert losses["total"].dtype == torch.float32


class Context:
    """Replaces the context that autograd passes to forward and backward."""

    def save_for_backward(self, *tensors):
        self.saved_tensors = tensors


def test_own_gradients_have_the_inputs_device_dtype_and_shape(fake_cuda):
    context = Context()

    def empty(*shape, dtype=torch.float32):
        return torch.empty(shape, dtype=dtype, device=GPU)

    vectors, maps = empty(8, 18, 64), empty(8, 64, 6, 3, dtype=torch.bfloat16)
    calls = {
        gradients._GatherPartners: (vectors, empty(8, 2, dtype=torch.int64)),
        gradients._Norms: (vectors,),
        gradients._MaskedDistances: (vectors, empty(8, 2, 18, 64, dtype=torch.bfloat16), empty(8, 18), 1e-6),
        pooling._Pool: (maps,),
    }
    for function, inputs in calls.items():
        found = function.backward(context, torch.empty_like(function.forward(context, *inputs)))
        for gradient, value in zip(found if isinstance(found, tuple) else (found,), inputs, strict=True):
            if gradient is not None:
                assert (gradient.device, gradient.dtype, gradient.shape) == (value.device, value.dtype, value.shape)


def test_embeddings_are_computed_on_the_gpu(fake_cuda):
    network = network_on_gpu().eval()
    images = normalize(torch.empty(IMAGES, HEIGHT, WIDTH, 3, dtype=torch.uint8, device=GPU))
    with torch.no_grad():
        assert network.embed(images, "infrared").shape == (IMAGES, 512)


def test_cached_images_are_augmented_on_the_gpu(fake_cuda):
    cache = DeviceCache.__new__(DeviceCache)  # its constructor needs pinned memory
    cache._pixels = torch.empty(40, HEIGHT, WIDTH, 3, dtype=torch.uint8, device=GPU)
    cache._augmentation = Augmentation(pad=5, erase=0.5, channel_exchange=1.0)
    cache._erased_colours = torch.from_numpy(ERASED_COLOURS).to(GPU)
    cache._gray_weights = torch.tensor(GRAY_WEIGHTS, dtype=torch.int32, device=GPU)
    rows = torch.empty(IMAGES, dtype=torch.int64)
    changes = torch.empty(IMAGES, len(AugmentationParameters._fields), dtype=torch.int64)
    changed = cache.augmented(rows.to(GPU), changes.to(GPU))
    assert (changed.device.type, changed.dtype, changed.shape) == ("cuda", torch.uint8, (IMAGES, HEIGHT, WIDTH, 3))

"""What else could make a training step faster on a GPU: cuDNN's search, other optimizers, ``torch.compile``, CUDA graphs."""

from __future__ import annotations

import time
from statistics import median

import pytest
import torch
from bench_training import IDENTITIES, INSTANCES, cpu_images
from timing import side_by_side

from lba_cli.alignment import sample_pairs
from lba_cli.compute import arithmetic
from lba_cli.config import TrainSection
from lba_cli.data.loaders import TrainingBatch
from lba_cli.model import TwoStreamNetwork
from lba_cli.training import Objective
from lba_cli.training.step import TrainingStep

pytestmark = pytest.mark.gpu
STEPS = 10
PRECISIONS = ["tf32", "bfloat16"]
NAMES = {"resnet50": "ResNet-50, 288 × 144", "resnet18": "ResNet-18, 144 × 72"}


def batch_for(backbone):
    """Return 64 images on the GPU: those of the recipe, or half as large for a ResNet-18."""
    visible, infrared, labels = cpu_images("full")
    stride = 1 if backbone == "resnet50" else 2
    images = [side[:, ::stride, ::stride].contiguous().cuda() for side in (visible, infrared)]
    return TrainingBatch(*images, labels.cuda())


def make_step(backbone, precision):
    torch.manual_seed(0)
    size = (288, 144) if backbone == "resnet50" else (144, 72)
    network = TwoStreamNetwork(backbone, 395, size).to("cuda", memory_format=torch.channels_last).train()
    return TrainingStep(network, Objective("full"), TrainSection(precision=precision), torch.device("cuda"))


def draw():
    return tuple(sample_pairs(IDENTITIES, INSTANCES) for _ in range(2))


def many(step, precision, batch):
    """Return a function that takes some steps and waits for the GPU."""

    def take():
        with arithmetic(precision, torch.device("cuda")):
            for _ in range(STEPS):
                step(batch, draw)
        torch.cuda.synchronize()

    return take


@pytest.fixture(params=PRECISIONS)
def precision(request):
    return request.param


@pytest.fixture(params=NAMES)
def backbone(request):
    return request.param


def compared(name, ours, plain, note):
    side_by_side(name, ours, plain, rounds=5, images=2 * IDENTITIES * INSTANCES * STEPS, note=note)


def test_the_search_of_cudnn(backbone, precision):
    """cuDNN times its algorithms for every shape, and takes the fastest one; results may then differ from run to run."""
    batch = batch_for(backbone)
    searching, usual = (many(make_step(backbone, precision), precision, batch) for _ in range(2))

    def searched():
        torch.backends.cudnn.benchmark = True
        searching()
        torch.backends.cudnn.benchmark = False

    compared(f"cudnn.benchmark, {NAMES[backbone]}, {precision}", searched, usual, "with the search against without")


@pytest.mark.parametrize("kind", ["foreach", "plain"])
def test_the_optimizer(backbone, kind):
    batch, precision = batch_for(backbone), "bfloat16"
    ours, other = (make_step(backbone, precision) for _ in range(2))
    for group in other.optimizer.param_groups:
        group.update(fused=False, foreach=kind == "foreach")
    name = f"the fused optimizer, {NAMES[backbone]}, {precision}"
    compared(name, many(ours, precision, batch), many(other, precision, batch), f"fused against {kind}")


def test_compiling(backbone):
    """The first step compiles; its time is in the note."""
    batch, precision = batch_for(backbone), "bfloat16"
    ours, plain = (make_step(backbone, precision) for _ in range(2))
    for part in (*ours.network.stems.values(), *ours.network.trunk.values()):
        part.compile()
    compiled, usual = many(ours, precision, batch), many(plain, precision, batch)
    started = time.perf_counter()
    compiled()
    seconds = time.perf_counter() - started
    compared(f"torch.compile, {NAMES[backbone]}, {precision}", compiled, usual, f"compiled in {seconds:.0f} s")


def test_whether_the_gpu_waits_for_the_program(backbone, precision, capsys):
    """CUDA graphs save the time that the program takes to start kernels, but only if the GPU waits for it."""
    batch, step = batch_for(backbone), make_step(backbone, precision)
    many(step, precision, batch)()
    starting, whole = [], []
    for _ in range(5):
        torch.cuda.synchronize()
        began = time.perf_counter()
        with arithmetic(precision, torch.device("cuda")):
            for _ in range(STEPS):
                step(batch, draw)
        starting.append((time.perf_counter() - began) / STEPS)
        torch.cuda.synchronize()
        whole.append((time.perf_counter() - began) / STEPS)
    with capsys.disabled():
        step_time, start_time = (1e3 * median(seconds) for seconds in (whole, starting))
        print(
            f"\n{NAMES[backbone]}, {precision}: a step takes {step_time:.1f} ms; to start its kernels, {start_time:.1f} ms"
        )

"""Training a ResNet-50 by the recipes: 64 images of 288 × 144 per step, for CAJ 96 of 192 × 96 with two views of visible images."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from functools import partial
from statistics import median

import numpy as np
import pytest
import torch
from fake_sysu import ScaledDown
from plain import agw
from plain import objective as plain_objective
from plain.loading import PlainPairs, batches
from plain.network import PlainNetwork
from timing import TABLE, OwnProcess, side_by_side

from lba_cli.alignment import sample_pairs
from lba_cli.compute import arithmetic, keep_memory, resolve_precision
from lba_cli.config import TrainSection
from lba_cli.data.augmentation import Augmentation
from lba_cli.data.device_cache import DeviceCache
from lba_cli.data.loaders import StepPositions, TrainingBatch
from lba_cli.data.sampler import IdentitySampler
from lba_cli.methods import METHODS
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Silent
from lba_cli.training import Objective
from lba_cli.training.step import TrainingStep

RECIPE = TrainSection(precision="auto")
IDENTITIES, INSTANCES = RECIPE.identities, RECIPE.instances
SETTINGS = {"momentum": RECIPE.momentum, "weight_decay": RECIPE.weight_decay, "nesterov": True}
GPU_STEPS = 30
SIZE = (288, 144)
SIZES = {"caj": (192, 96)}  # both ways keep their memory, and its 96 images at full size would need more than 24 GB
CPU = torch.device("cpu")
KEPT = contextlib.ExitStack()  # never closed: it lasts until the process ends


def pairs():
    return tuple(sample_pairs(IDENTITIES, INSTANCES, torch.Generator().manual_seed(0)) for _ in range(2))


def networks(device, method="full"):
    torch.manual_seed(0)
    blocks = bool(METHODS[method].settings.get("model.non_local"))
    ours = TwoStreamNetwork("resnet50", 395, non_local=blocks)
    plain = (agw.PlainAGW if blocks else PlainNetwork)(ours).to(device).train()
    return ours.to(device, memory_format=torch.channels_last).train(), plain


def our_step(network, device, precision="auto", method="full"):
    step = TrainingStep(network, Objective(method), TrainSection(precision=precision), device)

    def take(batch):
        with arithmetic(precision, device):
            return step(batch, pairs).losses

    return take


def plain_losses(method, network, *batch):
    if method == "full":
        return plain_objective.losses(network, *batch, tuple(each.to(batch[0].device) for each in pairs()))
    return agw.losses(network, *batch, agw.squared_triplet if method == "caj" else agw.weighted_triplet)


def plain_step(network, device, method="full"):
    optimizer = torch.optim.SGD(network.groups(RECIPE.learning_rate), **SETTINGS)

    def take(visible, infrared, labels):
        batch = visible.to(device), infrared.to(device), labels.to(device)
        total = plain_losses(method, network, *batch)["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return total.item()

    return take


def cpu_images(method):
    """Return visible images in all views and infrared ones, (n, H, W, 3) uint8, and (B·P,) labels."""
    random = torch.Generator().manual_seed(0)
    count = IDENTITIES * INSTANCES
    sizes = count * METHODS[method].settings.get("data.visible_views", 1), count
    shapes = [(number, *SIZES.get(method, SIZE), 3) for number in sizes]
    images = [torch.randint(0, 256, shape, generator=random, dtype=torch.uint8) for shape in shapes]
    return *images, torch.arange(IDENTITIES).repeat_interleave(INSTANCES)


def ours_on_the_cpu(method="full"):
    ours, _ = networks(CPU, method)
    take, batch = our_step(ours, CPU, method=method), TrainingBatch(*cpu_images(method))
    KEPT.enter_context(keep_memory(CPU))  # as `lba train` does for the steps of an epoch
    return lambda: take(batch)


def plain_on_the_cpu(method="full"):
    _, plain = networks(CPU, method)
    *sides, labels = cpu_images(method)
    floats = [side.permute(0, 3, 1, 2).float().div(255).contiguous() for side in sides]
    take = plain_step(plain, CPU, method)
    return lambda: take(*floats, labels)


def plain_with_kept_memory(method="full"):
    take = plain_on_the_cpu(method)
    KEPT.enter_context(keep_memory(CPU))
    return take


@pytest.mark.parametrize(
    ("name", "plain", "rounds", "method"),
    [
        ("training step, full method", plain_on_the_cpu, 3, "full"),
        ("the same, if the plain way kept freed memory too", plain_with_kept_memory, 2, "full"),
        ("training step, agw; both keep freed memory", plain_with_kept_memory, 3, "agw"),
        ("training step, caj, images of 192 × 96; both keep freed memory", plain_with_kept_memory, 2, "caj"),
    ],
)
def test_step(name, plain, rounds, method):
    with OwnProcess(partial(ours_on_the_cpu, method)) as ours, OwnProcess(partial(plain, method)) as theirs:
        note = f"ours in {resolve_precision('auto', CPU)}"
        images = sum(len(side) for side in cpu_images(method)[:2])
        side_by_side(name, ours, theirs, rounds=rounds, images=images, note=note)


def small_step_in(precision):
    """Return a step of a ResNet-18 on small images: a processor without instructions for bfloat16 is very slow in it."""
    torch.manual_seed(0)
    network = TwoStreamNetwork("resnet18", 395).to(memory_format=torch.channels_last).train()
    visible, infrared, labels = cpu_images("full")
    batch = TrainingBatch(visible[:, ::4, ::4].contiguous(), infrared[:, ::4, ::4].contiguous(), labels)
    take = our_step(network, CPU, precision)
    KEPT.enter_context(keep_memory(CPU))
    return lambda: take(batch)


def test_a_step_in_bfloat16_against_one_in_float32():
    """Which of both is faster here, and which ``auto`` takes."""
    with (
        OwnProcess(partial(small_step_in, "bfloat16")) as ours,
        OwnProcess(partial(small_step_in, "float32")) as theirs,
    ):
        note = f"bfloat16 against float32; auto takes {resolve_precision('auto', CPU)}"
        side_by_side("training step, ResNet-18, 72 × 36", ours, theirs, rounds=2, images=64, note=note)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_training_on_the_gpu(precision):
    """Measure loading, augmentation and steps together; the plain way loads in four workers."""
    device = torch.device("cuda")
    ours, plain = networks(torch.device("cpu"))
    ours.to(device, memory_format=torch.channels_last)
    source = training_source()
    plans = IdentitySampler(source.samples, IDENTITIES, INSTANCES, seed=0, steps=10_000)
    cache = DeviceCache(source, device, Augmentation(), workers=4, listener=Silent())
    positions = StepPositions(10_000, range(10_000))
    loaded = cache.batches(plans, 0, positions)
    drawn = [plans.plan(0, step) for step in range(4 * GPU_STEPS)]
    order = [np.concatenate([getattr(plan, side) for plan in drawn]) for side in ("visible", "infrared", "labels")]
    loader = batches(PlainPairs(source.pixels, *order), IDENTITIES * INSTANCES)
    plainly = itertools.chain.from_iterable(itertools.repeat(loader))
    take = our_step(ours, device, precision)
    torch.cuda.reset_peak_memory_stats()
    for _ in range(3):  # from the second step on, gradients and momentum stay in memory
        take(next(loaded))
    memory = torch.cuda.max_memory_allocated() / 1e9
    take_plainly = plain_step(plain.to(device), device)
    case = side_by_side(
        f"training on the GPU, {precision}, end to end",
        lambda: [take(next(loaded)) for _ in range(GPU_STEPS)],
        lambda: [take_plainly(*next(plainly)) for _ in range(GPU_STEPS)],
        images=2 * IDENTITIES * INSTANCES * GPU_STEPS,
        note=f"{GPU_STEPS} steps; ours takes at most {memory:.1f} GB of the GPU, images included",
    )
    share = flops(take, next(loaded)) * GPU_STEPS / median(case.ours.seconds) / ceiling(precision)
    TABLE[-1].note += f", {share:.0%} of the speed of large matrix products"
    loaded.close()


def training_source():
    """Return a scaled-down data set whose images are all for training."""
    source = ScaledDown(40)
    source.samples = tuple(replace(sample, split="train") for sample in source.samples)
    return source


def flops(take, batch):
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counted:
        take(batch)
    return counted.get_total_flops()


def ceiling(precision, size=8192, rounds=20):
    """Measure the FLOP/s of large matrix products in this precision on this GPU."""
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    one, other = (torch.randn(size, size, device="cuda", dtype=kind) for _ in range(2))
    allowed, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, precision == "tf32"
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    one @ other
    start.record()
    for _ in range(rounds):
        one @ other
    end.record()
    torch.cuda.synchronize()
    torch.backends.cuda.matmul.allow_tf32 = allowed
    return 2 * size**3 * rounds / (start.elapsed_time(end) / 1000)

"""Golden figures and whole runs on a CUDA device (``-m gpu``; ``python tests/gpu_checks.py`` runs all GPU checks)."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_setup import HEIGHT, WIDTH

from lba_cli.alignment import Pairs, align, sample_pairs
from lba_cli.compute import arithmetic
from lba_cli.config import TrainSection, write_config
from lba_cli.data.augmentation import Augmentation
from lba_cli.data.device_cache import DeviceCache
from lba_cli.data.loaders import to_images, training_batches
from lba_cli.data.sampler import IdentitySampler
from lba_cli.evaluation import rank_metrics
from lba_cli.evaluation.evaluate import evaluate
from lba_cli.evaluation.setting_choice import selection_setting
from lba_cli.model import TwoStreamNetwork, load_network
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.reporting import Silent
from lba_cli.training import Objective, parameter_groups
from lba_cli.training.loop import train
from lba_cli.training.run_folder import RunFolder
from lba_cli.training.step import TrainingStep

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def device():
    if not torch.cuda.is_available():
        pytest.fail("there is no CUDA device; these checks need one")
    return torch.device("cuda")


@pytest.mark.parametrize("weighting", ["batch_mean", "per_position"])
def test_alignment(golden, device, weighting):
    z = golden("alignment")
    features = torch.from_numpy(z["features"]).to(device).requires_grad_()
    pairs = Pairs(*(torch.from_numpy(z[f"{kind}_index"]).to(device) for kind in ("positive", "negative")))
    with arithmetic("float32", device):
        aligned = align(features, pairs, weighting=weighting)
        (gradient,) = torch.autograd.grad(aligned.dense_triplet, features)
    np.testing.assert_allclose(aligned.reconstructed.detach().cpu(), z["reconstructed_positive"], rtol=1e-3, atol=1e-3)
    wanted = z[f"grad_dense_triplet_{weighting}"]
    assert np.abs(gradient.cpu().numpy() - wanted).max() <= 1e-3 * np.abs(wanted).max()


def test_two_training_steps(golden, official_file, device):
    z = golden("network")
    network = load_network(official_file, device).train()
    optimizer = torch.optim.SGD(
        parameter_groups(network, float(z["learning_rate"])), momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    for step in range(2):
        images = [
            to_images(z["train_visible_uint8"][step]),
            to_images(np.repeat(z["train_infrared_uint8"][step], 3, -1)),
        ]
        pairs = tuple(
            Pairs(*(torch.from_numpy(z[f"{kind}_index"][step][s]).to(device) for kind in ("positive", "negative")))
            for s in (0, 1)
        )
        labels = torch.from_numpy(z["train_label"][step]).to(device)
        with arithmetic("float32", device):
            losses = Objective("full")(network, *(half.to(device) for half in images), labels, pairs)
            optimizer.zero_grad()
            losses["total"].backward()
            optimizer.step()
        found = [losses[str(name).removesuffix("_sum")].item() for name in z["loss_names"]]
        np.testing.assert_allclose(found, z["losses"][step], rtol=1e-3)
    with torch.no_grad(), arithmetic("float32", device):
        found = network.eval().embed(to_images(z["eval_visible_uint8"]).to(device), "visible")
    np.testing.assert_allclose(found.cpu(), z["after_visible_embedding"], atol=1e-3)


@pytest.mark.parametrize("synchronized", [False, True])
@pytest.mark.parametrize("size", [1, 2])
def test_processes_under_torchrun(small_run, tmp_path, size, synchronized):
    """NCCL averages the gradients; each device has one process."""
    if size > torch.cuda.device_count():
        pytest.skip(f"{torch.cuda.device_count()} CUDA device here")
    write_config(tmp_path / "run.yaml", small_run(run__device="cuda", train__sync_batchnorm=synchronized))
    words = ["train", "--config", str(tmp_path / "run.yaml"), "--output", str(tmp_path / "run")]
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={size}",
        "-m",
        "lba_cli",
    ]
    paths = [str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([*torchrun, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = RunFolder(tmp_path / "run")
    assert read_checkpoint(folder.last).training["processes"] == size
    assert len(folder.records()) == 2
    words = ["evaluate", "--checkpoint", str(folder.path), "--json", str(tmp_path / "figures.json")]
    done = subprocess.run([*torchrun, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "augmentation", [Augmentation(), Augmentation(5, 0.5, 0.7), Augmentation(5, 0.5, 0.5, 1.0, visible_views=2)]
)
def test_device_cache(source, device, augmentation):
    plans = IdentitySampler(source.samples, 3, 2, seed=5)
    positions = [(0, 0), (0, 1), (2, 3)]
    cache = DeviceCache(source, device, augmentation, workers=0, listener=Silent())
    loaded = training_batches(source, plans, augmentation, 5, positions, workers=0, pin=False)
    for found, wanted in zip(cache.batches(plans, 5, positions), loaded, strict=True):
        for ours, theirs in zip(found, wanted, strict=True):
            assert torch.equal(ours.cpu(), theirs)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["full", "agw", "caj"])
def test_no_step_waits_for_the_gpu(source, device, precision, method):
    network = TwoStreamNetwork("resnet18", 12, (HEIGHT, WIDTH), non_local=method != "full").to(device).train()
    step = TrainingStep(network, Objective(method), TrainSection(precision=precision), device)
    plans = IdentitySampler(source.samples, 3, 2, seed=5)
    augmentation = Augmentation(2, 0.5, 0.5, 1.0, visible_views=2) if method == "caj" else Augmentation()
    cache = DeviceCache(source, device, augmentation, workers=0, listener=Silent())
    batches = cache.batches(plans, 5, [(0, number) for number in range(6)])
    try:
        with arithmetic(precision, device):
            for number, batch in enumerate(batches):
                step(batch, lambda: tuple(sample_pairs(3, 2) for _ in range(2)))
                if number == 2:  # one-time work is over by then
                    torch.cuda.set_sync_debug_mode("error")
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16, torch.int64])
@pytest.mark.parametrize("protocol", ["sysu", "regdb", "llcm", "plain"])
def test_ranking(device, protocol, kind):
    random = np.random.default_rng(0)
    distance = torch.from_numpy((random.random((50, 70)) * 40).round(1)).to(kind)
    identities = [random.integers(9, size=number) for number in distance.shape]
    identities[0][3] = 99  # an identity that isn't in the gallery
    cameras = [random.choice([3, 6], 50), random.choice([1, 2, 3, 4, 5], 70)]
    there, here = (
        rank_metrics(each, *identities, *cameras, protocol=protocol) for each in (distance.to(device), distance)
    )
    np.testing.assert_array_equal(there.cmc, here.cmc)
    assert there[1:] == pytest.approx(here[1:], rel=1e-12)
    with pytest.raises(ValueError, match="no query"):
        rank_metrics(distance.to(device), np.full(50, 99), identities[1])


def test_an_evaluation(source, device):
    torch.manual_seed(0)
    network = TwoStreamNetwork("resnet18", 12, (HEIGHT, WIDTH))
    here, there = (
        evaluate(network.to(place), source, [selection_setting(source)], listener=Silent())[0].mean()
        for place in ("cpu", device)
    )
    assert there == pytest.approx(here, abs=0.01)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16", "auto"])
def test_a_run(source, tmp_path, small_run, precision):
    folder = RunFolder(tmp_path / "run")
    train(small_run(run__device="cuda", train__precision=precision), source, folder, Silent())
    assert len(folder.records()) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"data__device_cache": False, "data__workers": 1},  # images come from pinned memory
        {"train__identities": 4, "train__accumulate": 2, "train__checkpoint_activations": True},
        {"run__device": "cuda:0"},
        {"train__method": "caj"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_run_with_other_settings(source, tmp_path, small_run, changed):
    folder = RunFolder(tmp_path / "run")
    train(small_run(**{"run__device": "cuda", **changed}), source, folder, Silent())
    assert len(folder.records()) == 2


def test_a_run_is_used_by_every_command(lba, store, small_run, tmp_path):
    """A network that was trained on the GPU is trained on, scored, measured, drawn, exported and searched with."""
    write_config(tmp_path / "run.yaml", small_run(run__device="cuda", train__epochs=1, data__root=str(store)))
    lba("train", "--config", "run.yaml", "--output", "run")
    lba("train", "--resume", "run", "--set", "train.epochs=2")
    for precision in ("float32", "bfloat16"):
        lba("evaluate", "run", "--precision", precision, "--verification")
    for picture in ("correspondences", "masks", "report"):
        suffix = "html" if picture == "report" else "png"
        lba("visualize", picture, "--checkpoint", "run", "--output", f"{picture}.{suffix}")
    lba("export", "--checkpoint", "run", "--format", "safetensors", "--output", "x.safetensors", "--data", store)
    for checkpoint in ("run", "x.safetensors"):
        lba("evaluate", checkpoint, "--data", store)
    assert "cuda:0" in lba("doctor").output

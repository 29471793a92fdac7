"""The plain way of the benchmarks gives the toolkit's results; otherwise comparing their speed would mean nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_sysu import SETTINGS, ScaledDown
from plain import agw, evaluation, objective, preparation
from plain.loading import PlainImages, batches
from plain.network import PlainNetwork
from plain.ranking import rank
from small_setup import HEIGHT, WIDTH

from lba_cli.alignment import sample_pairs
from lba_cli.data.image_files import read_image
from lba_cli.data.loaders import to_images
from lba_cli.evaluation import rank_metrics
from lba_cli.evaluation.evaluate import EvaluationOptions, evaluate
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Silent
from lba_cli.training import Objective, parameter_groups


@pytest.fixture
def networks():
    torch.manual_seed(0)
    ours = TwoStreamNetwork("resnet18", 6, (HEIGHT, WIDTH))
    torch.nn.init.normal_(ours.classifier.weight, 0, 0.1)
    return ours, PlainNetwork(ours)


@pytest.mark.slow
def test_two_training_steps(networks):
    ours, plain = (network.double().train() for network in networks)  # in float32, rounding alone can flip a ReLU
    random = torch.Generator().manual_seed(1)
    labels = torch.arange(3).repeat_interleave(2)
    settings = {"momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}
    optimizers = [torch.optim.SGD(groups, **settings) for groups in (parameter_groups(ours, 0.01), plain.groups(0.01))]
    for _ in range(2):
        images = [torch.randn(6, 3, HEIGHT, WIDTH, generator=random).double() for _ in range(2)]
        pairs = tuple(sample_pairs(3, 2, random) for _ in range(2))
        found = [Objective()(ours, *images, labels, pairs), objective.losses(plain, *images, labels, pairs)]
        for name, loss in found[1].items():
            torch.testing.assert_close(found[0][name], loss, rtol=1e-5, atol=1e-7, check_dtype=False)
        for losses, optimizer in zip(found, optimizers, strict=True):
            optimizer.zero_grad()
            losses["total"].backward()
            optimizer.step()
    torch.testing.assert_close(
        ours.trunk["layer1"][0].conv1.weight, plain.base.layer1[0].conv1.weight, atol=1e-7, rtol=0
    )
    torch.testing.assert_close(ours.stems["infrared"].conv1.weight, plain.infrared.conv1.weight, atol=1e-7, rtol=0)


@pytest.mark.parametrize("method", ["agw", "caj"])
def test_a_step_of_agw_and_caj(method):
    torch.manual_seed(0)
    ours = TwoStreamNetwork("resnet18", 6, (HEIGHT, WIDTH), non_local=True)
    torch.nn.init.normal_(ours.classifier.weight, 0, 0.1)
    for name, parameter in ours.non_local.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, 0, 0.1)  # otherwise the blocks would be the identity
    ours, plain = (network.double().train() for network in (ours, agw.PlainAGW(ours)))
    views = 2 if method == "caj" else 1
    visible, infrared = (torch.randn(n, 3, HEIGHT, WIDTH).double() for n in (6 * views, 6))
    labels = torch.arange(3).repeat_interleave(2)
    triplet = agw.squared_triplet if method == "caj" else agw.weighted_triplet
    found = [Objective(method)(ours, visible, infrared, labels), agw.losses(plain, visible, infrared, labels, triplet)]
    for name, loss in found[1].items():
        torch.testing.assert_close(found[0][name], loss, rtol=1e-5, atol=1e-7, check_dtype=False)
    for losses in found:
        losses["total"].backward()
    gradients = ours.non_local["layer3"][0].g.weight.grad, plain.blocks["layer3"][0].g.weight.grad
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)  # logits are rounded to float32


def test_loaded_images():
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 6, 3), dtype=np.uint8)
    (loaded,) = batches(PlainImages(images, [2, 0]), 2, workers=0)
    torch.testing.assert_close(loaded, to_images(images[[2, 0]]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_ranking(seed):
    random = np.random.default_rng(seed)
    distance = random.random((60, 40), np.float32).round(2)
    sides = random.integers(9, size=60), random.integers(9, size=40)
    cameras = random.choice([3, 6], 60), random.choice([1, 2, 4, 5], 40)
    cmc, precision, penalty = rank(distance, *sides, *cameras)
    found = rank_metrics(distance, *sides, *cameras)
    np.testing.assert_allclose(found.cmc, cmc, rtol=1e-6)
    assert found.mAP == pytest.approx(precision, rel=1e-12)
    assert found.mINP == pytest.approx(penalty, rel=1e-12)


@pytest.mark.slow
def test_evaluation(networks, monkeypatch):
    monkeypatch.setattr("plain.loading.WORKERS", 0)
    ours, plain = networks
    source = ScaledDown(2, HEIGHT, WIDTH)
    settings = [SETTINGS[0], SETTINGS[-1]]
    results = evaluate(ours, source, settings, listener=Silent(), options=EvaluationOptions(workers=0))
    for setting, result in zip(settings, results, strict=True):
        cmc, precision, penalty = evaluation.evaluate(plain, source.pixels, source.samples, source.draws(setting))
        mean = result.mean()
        assert (mean["rank1"], mean["mAP"], mean["mINP"]) == pytest.approx((cmc[0], precision, penalty), abs=1e-3)


def test_preparation(tiny, tmp_path):
    paths = sorted(tiny.glob("cam1/*/*.jpg"))[:5]
    preparation.prepare(paths, tmp_path / "plain.npy", 40, 20)
    np.testing.assert_array_equal(np.load(tmp_path / "plain.npy"), [read_image(path, 40, 20) for path in paths])

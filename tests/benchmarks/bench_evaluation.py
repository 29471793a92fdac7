"""SYSU-MM01's protocol with a ResNet-50 on prepared images; the data set is scaled down, with the real one's proportions."""

from __future__ import annotations

import pytest
import torch
from fake_sysu import SETTINGS, ScaledDown
from plain import evaluation
from plain.network import PlainNetwork
from timing import side_by_side

from lba_cli.evaluation.evaluate import evaluate
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Silent


def ways(source, settings, device):
    """The toolkit's evaluation and the plain one, as two functions without arguments."""
    torch.manual_seed(0)
    ours = TwoStreamNetwork("resnet50", 395)
    plain = PlainNetwork(ours).to(device)
    ours = ours.to(device)

    def plainly():
        for setting in settings:
            evaluation.evaluate(plain, source.pixels, source.samples, source.draws(setting), device=device)

    return lambda: evaluate(ours, source, settings, listener=Silent()), plainly


def compared(name, settings, identities, device="cpu", **rounds):
    source = ScaledDown(identities)
    side_by_side(
        name,
        *ways(source, settings, device),
        note=f"{len(source.draws(settings[0])[0].queries)} queries, {identities} identities, ten draws per setting",
        **rounds,
    )


def test_all_search_single_shot():
    compared("evaluation, all-search single-shot", SETTINGS[:1], identities=3)


def test_four_settings_together():
    compared("evaluation, both modes and both shots", SETTINGS, identities=2, rounds=1, warm_up=False)


@pytest.mark.gpu
def test_four_settings_together_on_the_gpu():
    """Measure at a third of the size, where the plain way takes a minute; a small run before warms the device up."""
    for way in ways(ScaledDown(1), SETTINGS[:1], "cuda"):
        way()
    compared(
        "evaluation on the GPU, both modes and both shots",
        SETTINGS,
        identities=32,
        device="cuda",
        rounds=1,
        warm_up=False,
    )

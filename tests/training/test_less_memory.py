"""Gradient accumulation and activation checkpointing: less memory, and what they do to the weights."""

import pytest
import torch

from lba_cli.alignment import sample_pairs
from lba_cli.compute import arithmetic
from lba_cli.config import ConfigLayer, TrainSection, resolve_config
from lba_cli.data.loaders import TrainingBatch, normalize
from lba_cli.errors import ConfigError
from lba_cli.methods import Objective
from lba_cli.model.initial_weights import build_network
from lba_cli.training.step import TrainingStep

CPU = torch.device("cpu")
IDENTITIES, INSTANCES = 4, 2
HEIGHT, WIDTH = 32, 16


def make_batch(generator):
    shape = IDENTITIES * INSTANCES, HEIGHT, WIDTH, 3
    images = [torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator) for _ in range(2)]
    return TrainingBatch(*images, torch.arange(IDENTITIES).repeat_interleave(INSTANCES))


def two_steps(method="full", *, recompute=False, **recipe):
    """Train for two steps; return the network and the values of the second step."""
    network = build_network("resnet18", IDENTITIES, "none", 0, (HEIGHT, WIDTH)).train()
    network.checkpoint_activations = recompute
    section = TrainSection(**{"precision": "float32", "identities": IDENTITIES, "instances": INSTANCES, **recipe})
    step, generator = TrainingStep(network, Objective(method), section, CPU), torch.Generator().manual_seed(0)
    sizes = IDENTITIES // section.accumulate, INSTANCES
    with arithmetic(section.precision, CPU):
        for _ in range(2):
            values = step(make_batch(generator), lambda: tuple(sample_pairs(*sizes, generator) for _ in range(2)))
    return network, values


@pytest.mark.parametrize(
    ("method", "precision"),
    [("baseline", "float32"), ("full", "float32"), pytest.param("full", "bfloat16", marks=pytest.mark.slow)],
)
def test_recomputed_activations_give_the_same_weights_and_statistics(method, precision):
    random = torch.get_rng_state()
    network, values = two_steps(method, precision=precision)
    other, other_values = two_steps(method, precision=precision, recompute=True)
    assert torch.equal(values.losses["total"], other_values.losses["total"])
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    passes = 2 if method == "baseline" else 4  # layer4 sees the reconstructed maps too
    assert other.trunk["layer4"][0].bn1.num_batches_tracked == passes
    assert torch.equal(torch.get_rng_state(), random)


def test_recomputation_keeps_fewer_tensors_for_the_gradient():
    sizes = {}
    for recompute in (False, True):
        network = build_network("resnet18", IDENTITIES, "none", 0, (HEIGHT, WIDTH)).train()
        network.checkpoint_activations, kept = recompute, []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, kept=kept: kept.append(t.nbytes) or t, lambda t: t):
            images = torch.rand(2, 3, HEIGHT, WIDTH)
            Objective("baseline")(network, images, images, torch.arange(2))
        sizes[recompute] = sum(kept)
    assert sizes[True] < 0.5 * sizes[False]


def test_accumulated_gradients_are_the_mean_of_the_parts():
    """With statistics per part, the gradient is that of the mean of the parts' losses, computed here part by part."""
    recipe = {"momentum": 0.0, "weight_decay": 0.0, "learning_rate": 1e-3}
    section = TrainSection(precision="float32", accumulate=2, identities=IDENTITIES, instances=INSTANCES, **recipe)
    batch = make_batch(torch.Generator().manual_seed(0))
    network, other = (build_network("resnet18", IDENTITIES, "none", 0, (HEIGHT, WIDTH)).train() for _ in range(2))
    values = TrainingStep(network, Objective("baseline"), section, CPU)(batch, None)
    halves = [TrainingBatch(*(tensor[rows] for tensor in batch)) for rows in (slice(0, 4), slice(4, 8))]
    losses = [Objective("baseline")(other, normalize(h.visible), normalize(h.infrared), h.labels) for h in halves]
    (sum(each["total"] for each in losses) / 2).backward()
    for (name, found), wanted in zip(network.named_parameters(), other.parameters(), strict=True):
        if found.grad is not None:
            torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-4, atol=1e-6, msg=name)
    for name, value in values.losses.items():
        torch.testing.assert_close(value, (sum(each[name] for each in losses) / 2).detach())
    assert network.trunk["layer1"][0].bn1.num_batches_tracked == 2


def test_the_identity_loss_of_the_parts_is_the_batchs_where_statistics_are_fixed():
    """Parts of equal size: the mean of their means is the batch's mean, and so are the gradients."""
    gradients = []
    for accumulate in (1, 2):
        network = build_network("resnet18", IDENTITIES, "none", 0, (HEIGHT, WIDTH)).eval()
        section = TrainSection(precision="float32", accumulate=accumulate, identities=IDENTITIES, instances=INSTANCES)
        objective = Objective("baseline", weights={"hard_triplet": 0})
        TrainingStep(network, objective, section, CPU)(make_batch(torch.Generator().manual_seed(0)), None)
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-5)


def test_every_part_draws_pairs_of_its_own():
    drawn = []

    def draw():
        drawn.append(sample_pairs(2, INSTANCES))
        return drawn[-1], sample_pairs(2, INSTANCES)

    network = build_network("resnet18", IDENTITIES, "none", 0, (HEIGHT, WIDTH)).train()
    section = TrainSection(precision="float32", accumulate=2, identities=IDENTITIES, instances=INSTANCES)
    values = TrainingStep(network, Objective("full"), section, CPU)(make_batch(torch.Generator().manual_seed(0)), draw)
    assert len(drawn) == 2
    assert all(value.isfinite() and not value.requires_grad for group in values for value in group.values())


@pytest.mark.parametrize(("identities", "accumulate"), [(8, 3), (8, 8), (6, 4)])
def test_parts_of_unequal_or_single_identities_are_refused(identities, accumulate):
    values = {"train": {"identities": identities, "accumulate": accumulate}}
    with pytest.raises(
        ConfigError, match=f"the test: train.accumulate={accumulate} must divide .*possible: 1, 2"
    ) as caught:
        resolve_config([ConfigLayer(values, "the test")])
    assert "\n" not in str(caught.value)


def test_eight_identities_may_be_computed_in_one_two_or_four_parts():
    for accumulate in (1, 2, 4):
        resolve_config([ConfigLayer({"train": {"accumulate": accumulate}}, "the test")])

"""Two training steps of the full method equal those of the released code: losses, gradients, and the network afterwards."""

import numpy as np
import pytest
import torch

from lba_cli.alignment import Pairs
from lba_cli.data.loaders import to_images
from lba_cli.model import load_network
from lba_cli.model.official_layout import our_name
from lba_cli.training import Objective, parameter_groups


@pytest.fixture(scope="module", autouse=True)
def two_threads():
    """Compute in two threads: with one, sums have another order, and some gradients differ by 1.04e-3 of their norm."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def steps(golden, official_file):
    """Golden figures, losses of both steps, gradient norms of the first step by our names, and the network afterwards."""
    z = golden("network")
    network = load_network(official_file).train()
    rate = float(z["learning_rate"])
    optimizer = torch.optim.SGD(parameter_groups(network, rate), momentum=0.9, weight_decay=5e-4, nesterov=True)
    objective = Objective("full", "batch_mean")
    found, norms = [], {}
    for step in range(2):
        visible = to_images(z["train_visible_uint8"][step])
        infrared = to_images(np.repeat(z["train_infrared_uint8"][step], 3, axis=-1))
        pairs = tuple(
            Pairs(
                torch.from_numpy(z["positive_index"][step][stage]), torch.from_numpy(z["negative_index"][step][stage])
            )
            for stage in (0, 1)
        )
        losses = objective(network, visible, infrared, torch.from_numpy(z["train_label"][step]), pairs=pairs)
        optimizer.zero_grad()
        losses["total"].backward()
        if step == 0:
            norms = {name: float(p.grad.norm()) for name, p in network.named_parameters() if p.grad is not None}
        optimizer.step()
        found.append([float(losses[name.removesuffix("_sum")].detach()) for name in map(str, z["loss_names"])])
    return z, np.array(found), norms, network.eval()


def test_losses(steps):
    z, losses, _, _ = steps
    np.testing.assert_allclose(losses, z["losses"], rtol=1e-4)


def test_gradient_norms(steps):
    z, _, norms, _ = steps
    wanted = {our_name(str(key)): norm for key, norm in zip(z["grad_norm_keys"], z["grad_norms"], strict=True)}
    assert wanted.keys() == norms.keys()
    for name, norm in wanted.items():
        assert norms[name] == pytest.approx(norm, rel=1e-3), name


@pytest.mark.parametrize("modality", ["visible", "infrared"])
def test_embeddings_after_the_steps(steps, modality):
    z, _, _, network = steps
    with torch.no_grad():
        found = network.embed(to_images(z[f"eval_{modality}_uint8"]), modality)
    np.testing.assert_allclose(found.numpy(), z[f"after_{modality}_embedding"], atol=1e-4)

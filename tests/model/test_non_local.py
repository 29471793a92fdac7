"""Non-local blocks: golden figures, where they are, and what they change in a network."""

import numpy as np
import pytest
import torch
from torch import nn

from lba_cli.methods import Objective
from lba_cli.model import NonLocal, TwoStreamNetwork
from lba_cli.model.batchnorm_fusion import folded
from lba_cli.model.checkpoint import Checkpoint, Description, read_checkpoint, rebuild_network, write_checkpoint
from lba_cli.model.initial_weights import build_network
from lba_cli.training import parameter_groups

SIZE = (64, 32)


def shaken(network):
    """Give blocks and neck other values than those of a new network, which change nothing."""
    generator = torch.Generator().manual_seed(4)
    for block in (*network.non_local["layer2"], *network.non_local["layer3"]):
        for name, tensor in block.state_dict().items():
            if tensor.is_floating_point() and name != "norm.running_var":
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.02)
    network.neck.running_mean.copy_(torch.rand(network.neck.running_mean.shape, generator=generator))
    return network


@pytest.fixture
def network():
    return shaken(build_network("resnet18", 5, "none", 0, SIZE, non_local=True, retrieval="neck")).eval()


@pytest.fixture
def block(golden):
    """The golden block, with the names of the released layout."""
    z, block = golden("agw"), NonLocal(16)
    own = block.state_dict()
    names = block.foreign_names()
    assert len(set(names.values())) == len(own) == len(names)
    for name, foreign in names.items():
        if not name.endswith("num_batches_tracked"):
            own[name].copy_(torch.from_numpy(z[f"nonlocal_{foreign}"]))
    return z, block


def test_golden_block_in_evaluation(block):
    z, module = block
    found = module.eval()(torch.from_numpy(z["nonlocal_input"]))
    np.testing.assert_allclose(found.detach().numpy(), z["nonlocal_eval"], atol=1e-5)


def test_golden_block_in_training(block):
    z, module = block
    x = torch.from_numpy(z["nonlocal_input"]).requires_grad_()
    found = module.train()(x)
    np.testing.assert_allclose(found.detach().numpy(), z["nonlocal_train"], atol=1e-5)
    (gradient,) = torch.autograd.grad((found * x.detach().flip(0)).sum(), x)
    np.testing.assert_allclose(gradient.numpy(), z["nonlocal_grad"], atol=1e-5)
    np.testing.assert_allclose(module.norm.running_mean.numpy(), z["nonlocal_running_mean_after"], atol=1e-6)


def test_a_block_equals_the_matrix_of_all_positions(block):
    module, x = block[1].double().eval(), torch.rand(2, 16, 5, 3, dtype=torch.float64)
    theta, phi, g = (part(x).flatten(2) for part in (module.theta, module.phi, module.g))  # (N, 1, HW)
    matrix = theta.transpose(1, 2) @ phi / 15  # (N, HW, HW)
    y = (matrix @ g.transpose(1, 2)).transpose(1, 2).view(2, 1, 5, 3)
    torch.testing.assert_close(module(x), x + module.norm(module.expand(y)))


@pytest.mark.parametrize(("backbone", "counts"), [("resnet18", (2, 2)), ("resnet50", (2, 3))])
def test_blocks_follow_the_last_residual_blocks(backbone, counts):
    with torch.device("meta"):
        network = TwoStreamNetwork(backbone, 5, non_local=True)
        assert tuple(len(network.non_local[stage]) for stage in ("layer2", "layer3")) == counts
        assert network.maps(torch.empty(2, 3, 288, 144), "infrared").layer4.shape[2:] == (18, 9)


def test_each_block_sees_the_output_of_its_residual_block(network):
    seen = []
    for stage in ("layer2", "layer3"):
        for number, residual in enumerate(network.trunk[stage]):
            residual.register_forward_hook(lambda *_, name=f"{stage}.{number}": seen.append(name))
        for number, module in enumerate(network.non_local[stage]):
            module.register_forward_hook(lambda *_, name=f"{stage} block {number}": seen.append(name))
    network.embed(torch.randn(2, 3, *SIZE), "visible")
    assert seen == [
        *("layer2.0", "layer2 block 0", "layer2.1", "layer2 block 1"),
        *("layer3.0", "layer3 block 0", "layer3.1", "layer3 block 1"),
    ]


def test_new_blocks_change_nothing_and_take_nothing_from_other_initial_weights():
    plain, other = (build_network("resnet18", 5, "none", 7, SIZE, non_local=flag) for flag in (False, True))
    for name, value in plain.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
    images = torch.randn(3, 3, *SIZE)
    assert torch.equal(plain.eval().embed(images, "visible"), other.eval().embed(images, "visible"))
    assert {name.split(".")[0] for name in other.state_dict().keys() - plain.state_dict().keys()} == {"non_local"}


def test_the_retrieval_feature_is_after_the_neck(network):
    images = torch.randn(4, 3, *SIZE)
    with torch.no_grad():
        wanted = nn.functional.normalize(network.neck(network.pooled(images, "infrared")), dim=1)
        torch.testing.assert_close(network.embed(images, "infrared"), wanted)
        mixed = network.embed_mixed(images, torch.tensor([True, False, True, False]))
        torch.testing.assert_close(mixed[::2], wanted[::2])
        torch.testing.assert_close(mixed[1::2], network.embed(images, "visible")[1::2])
    assert (wanted - nn.functional.normalize(network.pooled(images, "infrared"), dim=1)).abs().max() > 0.01


def test_fusing_gives_the_same_embeddings(network):
    fused, images = folded(network), torch.randn(3, 3, *SIZE)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    with torch.inference_mode():
        torch.testing.assert_close(
            fused.embed(images, "visible"), network.embed(images, "visible"), atol=1e-6, rtol=1e-5
        )


def test_recomputed_activations_give_the_same_gradients_and_statistics(network):
    found = []
    for recompute in (False, True):
        twin = shaken(build_network("resnet18", 5, "none", 0, SIZE, non_local=True)).train()
        twin.checkpoint_activations = recompute
        generator = torch.Generator().manual_seed(1)
        visible, infrared = (torch.randn(4, 3, *SIZE, generator=generator) for _ in range(2))
        Objective("agw")(twin, visible, infrared, torch.tensor([0, 0, 1, 1]))["total"].backward()
        found.append((twin.state_dict(), {name: p.grad for name, p in twin.named_parameters() if p.requires_grad}))
    for first, second in zip(*found, strict=True):
        for name, value in first.items():
            assert torch.equal(value, second[name]), name
    assert found[0][1]["non_local.layer3.1.g.weight"].abs().sum() > 0
    assert found[0][0]["non_local.layer2.0.norm.num_batches_tracked"] != 0


def test_blocks_learn_at_the_trunks_rate(network):
    slow, fast = parameter_groups(network, 0.1)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert {names[id(p)].split(".")[0] for p in slow["params"]} == {"stems", "trunk", "non_local"}
    assert {names[id(p)].split(".")[0] for p in fast["params"]} == {"neck", "classifier"}
    assert slow["lr"] == pytest.approx(0.01)
    trained = {id(p) for group in (slow, fast) for p in group["params"]}
    assert {names[i] for i in names.keys() - trained} == {"neck.bias"}


def test_a_checkpoint_alone_rebuilds_the_network(network, tmp_path):
    description = Description("resnet18", 5, *SIZE, non_local=True, retrieval="neck")
    write_checkpoint(tmp_path / "net.pt", Checkpoint(description, network.state_dict()))
    again, images = rebuild_network(read_checkpoint(tmp_path / "net.pt")), torch.randn(2, 3, *SIZE)
    assert torch.equal(again.embed(images, "visible"), network.embed(images, "visible"))


def test_blocks_start_from_a_checkpoint_that_has_them(network, tmp_path):
    description = Description("resnet18", 5, *SIZE, non_local=True, retrieval="neck")
    write_checkpoint(tmp_path / "net.pt", Checkpoint(description, network.state_dict()))
    started = build_network("resnet18", 9, str(tmp_path / "net.pt"), 1, SIZE, non_local=True)
    without = build_network("resnet18", 9, str(tmp_path / "net.pt"), 1, SIZE)
    name = "non_local.layer3.1.expand.weight"
    assert torch.equal(started.state_dict()[name], network.state_dict()[name])
    assert torch.equal(without.trunk["layer3"][1].conv1.weight, network.trunk["layer3"][1].conv1.weight)
    write_checkpoint(tmp_path / "plain.pt", Checkpoint(Description("resnet18", 9, *SIZE), without.state_dict()))
    fresh = build_network("resnet18", 9, str(tmp_path / "plain.pt"), 1, SIZE, non_local=True)
    assert not fresh.non_local["layer3"][1].norm.weight.any(), "without blocks in the file, new ones are the identity"

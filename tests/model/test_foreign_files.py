"""Checkpoints as the field's codes save them: bare or wrapped, with prefixes, optimizers, in any precision and from any PyTorch."""

import argparse
import collections
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet

from lba_cli.errors import CheckpointError
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.model.initial_weights import build_network
from lba_cli.model.official_layout import our_name, to_released


@pytest.fixture(scope="module", autouse=True)
def _released_layout_of_a_small_network():
    """The released layout is a ResNet-50's, which takes 280 MB. A ResNet of four blocks has the same modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resnet, "resnet18", lambda weights=None: resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1]))
        patch.setattr("lba_cli.model.checkpoint.BACKBONE", "resnet18")
        yield


@pytest.fixture(scope="module")
def network():
    return build_network("resnet18", 206, "none", seed=3)


@pytest.fixture(scope="module")
def state(network):
    """In the released layout, without the tensors that the method doesn't use."""
    return {name: value for name, value in to_released(network.state_dict()).items() if our_name(name)}


def saved(path, content, **options):
    torch.save(content, path, **options)
    return path


def require_same(checkpoint, network, tolerance=0.0):
    for name, value in network.state_dict().items():
        assert checkpoint.weights[name].dtype == value.dtype, name
        torch.testing.assert_close(checkpoint.weights[name], value, rtol=tolerance, atol=tolerance)


def prefixed(prefix, state):
    return {prefix + name: value for name, value in state.items()}


WRAPPED = {
    "bare": lambda state: state,
    "an ordered dictionary": collections.OrderedDict,
    "net": lambda state: {"net": state, "epoch": 3},
    "state_dict": lambda state: {"state_dict": state, "best_prec1": 0.5},
    "model": lambda state: {"model": state, "scaler": {"scale": 65536.0}},
    "model_state_dict": lambda state: {"arch": "lba", "model_state_dict": state},
    "two dictionaries": lambda state: {"model": {"state_dict": state}},
    "a name of its own": lambda state: {"student": state, "epoch": torch.tensor(3)},
    "DataParallel": lambda state: {"net": prefixed("module.", state)},
    "DataParallel in a model": lambda state: {"model": prefixed("module.", state)},
    "a lightning module": lambda state: {"state_dict": prefixed("model.", state)},
    "a compiled network": lambda state: prefixed("_orig_mod.module.", state),
    "a backbone": lambda state: prefixed("backbone.", state),
}


@pytest.mark.parametrize("title", WRAPPED)
def test_a_state_dict_is_found_whatever_it_is_saved_in(tmp_path, network, state, title):
    found = read_checkpoint(saved(tmp_path / "model_best.pth.tar", WRAPPED[title](state)))
    require_same(found, network)
    assert (found.description.num_classes, found.description.dataset) == (206, "")
    assert not found.size_is_known


def schedule(optimizer):
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, [20, 50]).state_dict()


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_optimizers_of_many_groups_and_their_schedules_may_be_in_the_file(tmp_path, network, state, kind):
    parameters = [torch.nn.Parameter(value) for value in state.values() if value.is_floating_point()]
    optimizer = kind([{"params": [parameter], "lr": 0.1} for parameter in parameters])
    parameters[0].grad = torch.zeros_like(parameters[0])
    optimizer.step()
    content = {"net": state, "optimizer": optimizer.state_dict(), "scheduler": schedule(optimizer), "epoch": 3}
    found = read_checkpoint(saved(tmp_path / "theirs.t", content))
    require_same(found, network)
    assert found.description.epoch == 3


def test_tensors_may_be_shared(tmp_path, network, state):
    content = {"net": state, "best": {f"best.{name}": value for name, value in state.items()}}
    require_same(read_checkpoint(saved(tmp_path / "a.t", content)), network)


def test_a_history_of_numpy_figures_may_be_in_the_file(tmp_path, network, state):
    history = [np.float64(0.1 * number) for number in range(80)]
    require_same(read_checkpoint(saved(tmp_path / "a.t", {"net": state, "mAP": history, "cmc": np.ones(20)})), network)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 1e-3), (torch.bfloat16, 1e-2), (torch.float64, 0)])
def test_weights_of_another_precision_become_float32(tmp_path, network, state, dtype, tolerance):
    other = {name: value.to(dtype) for name, value in state.items()}  # the counters too, as some codes do
    require_same(read_checkpoint(saved(tmp_path / "a.t", {"net": other})), network, tolerance)


def test_files_without_counters_of_batches_are_read(tmp_path, network, state):
    old = {name: value for name, value in state.items() if "num_batches" not in name}
    require_same(read_checkpoint(saved(tmp_path / "a.t", {"net": old})), network)


def test_safetensors_with_the_fields_names_are_read(tmp_path, network, state):
    save_file({name: value.clone() for name, value in prefixed("module.", state).items()}, tmp_path / "a.safetensors")
    require_same(read_checkpoint(tmp_path / "a.safetensors"), network)


@pytest.mark.parametrize("title", ["bare", "net", "DataParallel"])
def test_the_format_of_before_pytorch_1_6_is_read(tmp_path, network, state, title):
    content = {"bare": state, "net": {"net": state}, "DataParallel": prefixed("module.", state)}[title]
    require_same(read_checkpoint(saved(tmp_path / "a.t", content, _use_new_zipfile_serialization=False)), network)


class OldTensor:
    """A tensor as PyTorch 0.3 pickled it."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        tensor = self.tensor
        return torch._utils._rebuild_tensor, (tensor.storage(), 0, tuple(tensor.shape), tensor.stride())


class OldParameter(OldTensor):
    def __reduce__(self):
        return torch.nn.parameter.Parameter, (OldTensor(self.tensor), True)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_a_resnet_of_2017_starts_a_network(tmp_path):
    """The format of before PyTorch 1.6, with other constructors, parameters among the tensors, and no counters."""
    base = resnet.resnet18(weights=None)
    old = collections.OrderedDict()
    for name, value in base.state_dict().items():
        if "num_batches" not in name:
            old[name] = (OldTensor if "running" in name else OldParameter)(value)
    path = saved(tmp_path / "resnet18-5c106cde.pth", old, _use_new_zipfile_serialization=False)
    assert b"_rebuild_tensor_v2" not in path.read_bytes()
    network = build_network("resnet18", 4, str(path), seed=0)
    assert torch.equal(network.trunk["layer4"][0].conv2.weight, base.layer4[0].conv2.weight)
    assert network.trunk["layer4"][0].bn2.num_batches_tracked == 0


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "module.encoder."])
def test_a_resnet_with_a_prefix_starts_a_network(tmp_path, prefix):
    base = resnet.resnet18(weights=None)
    content = {"state_dict": {**prefixed(prefix, base.state_dict()), "head.weight": torch.ones(2)}}
    network = build_network("resnet18", 4, str(saved(tmp_path / "a.pth", content)), seed=0)
    assert torch.equal(network.stems["infrared"].conv1.weight, base.conv1.weight)


def test_a_state_dict_of_our_own_names_starts_a_network_but_is_no_checkpoint(tmp_path, network):
    path = saved(tmp_path / "a.pth", network.state_dict())
    started = build_network("resnet18", 4, str(path), seed=0)
    assert torch.equal(started.stems["visible"].conv1.weight, network.stems["visible"].conv1.weight)
    with pytest.raises(CheckpointError, match=r"without its description.*--set model.pretrained="):
        read_checkpoint(path)


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


REFUSED = {
    "an ordinary ResNet.*model.pretrained": lambda _: resnet.resnet18(weights=None).state_dict(),
    r"argparse\.Namespace'.*save its state dict alone": lambda state: {"net": state, "args": argparse.Namespace(lr=1)},
    "2 state dicts, 'net', 'model'": lambda state: {"net": state, "model": dict(state)},
    "holds 2 networks, with the prefixes 'student.', 'teacher.'": lambda state: {
        **prefixed("student.", state),
        **prefixed("teacher.", state),
    },
    "tensor 'bottleneck2.weight' is unknown": lambda state: {"net": {**state, "bottleneck2.weight": torch.ones(3)}},
    "it has no 'classifier.weight'": lambda state: {"net": without(state, "classifier.weight")},
    "names with and without the prefix 'module.'": lambda state: {
        **prefixed("module.", state),
        "classifier.weight": torch.ones(3, 512),
    },
    r"none of its tensor names ends in.*its names include 'features.0.weight'": lambda _: {
        "features.0.weight": torch.ones(3, 3)
    },
    "it has 'epoch', 'optimizer'": lambda _: {"epoch": 3, "optimizer": {"state": {}, "param_groups": []}},
    "values that are not finite: its training diverged": lambda state: {
        **state,
        "bottleneck.weight": torch.full((512,), torch.nan),
    },
}


@pytest.mark.parametrize("message", REFUSED)
def test_other_files_are_refused_with_the_reason(tmp_path, state, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(saved(tmp_path / "a.t", REFUSED[message](state)))
    assert "\n" not in str(caught.value)


def test_a_pickled_state_dict_that_pytorch_did_not_write_is_refused(tmp_path, state):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"bottleneck.bias": [0.0]}, protocol=2))
    with pytest.raises(CheckpointError, match=r"a bare pickle.*torch\.save"):
        read_checkpoint(tmp_path / "a.pkl")

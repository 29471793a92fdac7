"""Checkpoints: round trips, the released layout, and files that are refused."""

import os
import pickle
import zipfile

import pytest
import torch

from lba_cli.errors import CheckpointError
from lba_cli.model import TwoStreamNetwork, load_network
from lba_cli.model.checkpoint import Checkpoint, Description, read_checkpoint, write_checkpoint


@pytest.fixture(scope="module")
def content(network_file):
    return torch.load(network_file, weights_only=True)


def saved(tmp_path, content, name="file.pt"):
    torch.save(content, tmp_path / name)
    return tmp_path / name


def test_a_checkpoint_is_read_back_as_it_was_written(tmp_path):
    network = TwoStreamNetwork("resnet18", 5)
    description = Description("resnet18", 5, 96, 48, "synthetic", 7, {"mAP": 0.5}, config={"train": {"seed": 1}})
    write_checkpoint(tmp_path / "a.pt", Checkpoint(description, network.state_dict(), {"step": 3}))
    found = read_checkpoint(tmp_path / "a.pt")
    assert found.description == description
    assert found.training == {"step": 3}
    assert all(torch.equal(found.weights[name], value) for name, value in network.state_dict().items())
    loaded = load_network(tmp_path / "a.pt")
    assert not loaded.training
    assert not loaded.neck.bias.requires_grad
    assert not list(tmp_path.glob(".*")), "no temporary file is left"


def test_the_released_layout_is_read(official_file):
    checkpoint = read_checkpoint(official_file)
    assert (checkpoint.description.num_classes, checkpoint.description.epoch) == (395, 80)
    assert (checkpoint.description.height, checkpoint.description.width) == (288, 144)
    assert not any("fc" in name for name in checkpoint.weights)


@pytest.mark.slow
def test_the_released_layout_with_figures_of_numpy_1_is_read(tmp_path, official):
    """PyTorch 1.7.1 with NumPy 1.x named NumPy's constructors ``numpy.core…``."""
    import numpy as np

    path = tmp_path / "old.t"
    torch.save(
        {"net": official.state_dict("x"), "cmc": np.ones(20, np.float32), "mAP": np.float64(0.5), "epoch": 3}, path
    )
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for entry, data in entries.items():
            archive.writestr(entry, data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert read_checkpoint(path).description.epoch == 3


class Attack:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_that_would_run_code_is_refused_and_runs_none(tmp_path):
    trace = tmp_path / "trace"
    attack = Attack(f"touch {trace}")
    torch.save({"net": {"classifier.weight": torch.ones(1)}, "extra": attack}, tmp_path / "zip.pt")
    torch.save({"net": attack}, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(attack))
    for name in ("zip.pt", "legacy.pt", "plain.pt"):
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not trace.exists()
    with pytest.raises(CheckpointError, match=r"(posix|nt|os)\.system.*could run code"):
        read_checkpoint(tmp_path / "zip.pt")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, network_file, share):
    data = network_file.read_bytes()
    path = tmp_path / "cut.pt"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match=r"empty|damaged"):
        read_checkpoint(path)


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    (tmp_path / "text.pt").write_text("epoch 80\n")
    (tmp_path / "text.safetensors").write_text("epoch 80\n")
    os.mkfifo(tmp_path / "fifo.pt")
    saved(tmp_path, [1, 2], "list.pt")
    saved(tmp_path, {"state_dict": {}}, "other.pt")
    saved(tmp_path, {"net": [torch.ones(3)]}, "net.pt")
    for name, message in {
        "missing.pt": "no such file",
        "text.pt": "damaged or not a checkpoint",
        "text.safetensors": "damaged or not a safetensors",
        "fifo.pt": "not a regular file",
        ".": "not a regular file",
        "list.pt": "holds a list",
        "other.pt": "neither a checkpoint of lba nor",
        "net.pt": "holds no state dict.*it has 'net'",
    }.items():
        with pytest.raises(CheckpointError, match=message):
            read_checkpoint(tmp_path / name)


def test_a_compressed_archive_is_refused_without_unpacking_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", b"\0" * 50_000_000)
    with pytest.raises(CheckpointError, match="would unpack to"):
        read_checkpoint(tmp_path / "bomb.pt")


def edited(content, **weights):
    return {**content, "weights": {**content["weights"], **weights}}


def test_wrong_tensors_are_refused_by_name(tmp_path, content):
    without = {name: value for name, value in content["weights"].items() if name != "neck.weight"}
    cases = {
        "'neck.weight' is missing": {**content, "weights": without},
        "'neck.extra' is unknown": edited(content, **{"neck.extra": torch.ones(1)}),
        r"'neck.weight' should be \(512,\).*has \(3,\)": edited(content, **{"neck.weight": torch.ones(3)}),
        "'neck.weight' should be.*float64": edited(content, **{"neck.weight": torch.ones(512, dtype=torch.float64)}),
        "'neck.weight' has values that are not finite": edited(
            content, **{"neck.weight": torch.full((512,), torch.nan)}
        ),
        "doesn't describe its network": {**content, "description": {"backbone": "vgg"}},
    }
    for message, broken in cases.items():
        with pytest.raises(CheckpointError, match=message):
            read_checkpoint(saved(tmp_path, broken))


def test_another_format_version_is_refused_in_one_line_that_says_what_to_do(tmp_path, content):
    for version in (2, 4, None, "3"):
        path = saved(tmp_path, {**content, "version": version})
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(path)
        message = str(caught.value)
        assert message.startswith(
            f"{path}: a checkpoint of format version {version!r}, but this lba release reads version 3: "
        )
        assert message.endswith("train the network again (lba train), with the config.yaml of its run")
        assert "\n" not in message


def test_a_failed_write_leaves_the_old_file(tmp_path, network_file, monkeypatch):
    target = tmp_path / "last.pt"
    target.write_bytes(network_file.read_bytes())
    checkpoint = read_checkpoint(target)

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", disk_full)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(target, checkpoint)
    assert target.read_bytes() == network_file.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]

"""Records of whom a network was trained on: packing, joining, checks, and what files of initial weights say."""

from types import SimpleNamespace

import pytest
import torch

from lba_cli.errors import CheckpointError
from lba_cli.export.weights import write_safetensors
from lba_cli.manifest import file_digest
from lba_cli.model import load_network, training_record
from lba_cli.model.checkpoint import Checkpoint, Description, read_checkpoint, write_checkpoint
from lba_cli.model.initial_weights import starting_records
from lba_cli.model.training_record import TrainingRecord, joined, name_digest, pack, unpack

ANN, BOB = name_digest("Ann"), name_digest("Bob")
IMAGES = [f"{number:016x}" for number in range(6)]
RECORD = TrainingRecord("shots", 0, pack({ANN: IMAGES[:2], BOB: IMAGES[2:4]}))
EARLIER = TrainingRecord("RegDB", 3, {})


@pytest.fixture(scope="module")
def described(network_file):
    """A checkpoint that says whom it was trained on."""
    checkpoint = read_checkpoint(network_file)
    values = {**vars(checkpoint.description), "people": RECORD.people, "earlier": [vars(EARLIER)], "dataset": "shots"}
    return Checkpoint(Description(**values), checkpoint.weights)


def test_packing_loses_nothing_and_names_nobody():
    assert unpack([RECORD]) == {ANN: set(IMAGES[:2]), BOB: set(IMAGES[2:4])}
    assert "Ann" not in str(RECORD)


def test_records_of_one_data_set_are_joined():
    more = TrainingRecord("shots", 0, pack({ANN: IMAGES[1:3]}))
    unknown = TrainingRecord("shots")
    first, *others = joined([RECORD, EARLIER, more, EARLIER, unknown])
    assert unpack([first])[ANN] == set(IMAGES[:3])
    assert others == [EARLIER, unknown]


def test_a_large_record_keeps_the_same_images_of_a_person_as_any_other(monkeypatch):
    monkeypatch.setattr(training_record, "MOST_DIGESTS", 4)
    kept = unpack([TrainingRecord("x", 0, pack({ANN: reversed(IMAGES[:4]), BOB: IMAGES}))])
    assert kept == {ANN: set(IMAGES[:2]), BOB: set(IMAGES[:2])}
    assert pack({ANN: IMAGES[:4]}) == {ANN: "".join(IMAGES[:4])}


@pytest.mark.parametrize(
    "changes",
    [
        {"people": {ANN: "xyz"}},
        {"people": {ANN: "G" * 16}},
        {"people": {"Ann": ""}},
        {"people": [ANN]},
        {"earlier": [{"dataset": "shots", "trial": "1", "people": {}}]},
        {"earlier": [{"data": "shots"}]},
        {"earlier": 3},
        {"figures_note": 4},
    ],
)
def test_damaged_records_are_refused_in_one_line(described, tmp_path, changes):
    write_checkpoint(tmp_path / "net.pt", Checkpoint(Description(**{**vars(described.description), **changes}), {}))
    with pytest.raises(CheckpointError, match="damaged: it doesn't describe its network"):
        read_checkpoint(tmp_path / "net.pt")


def test_checkpoints_and_their_exports_keep_the_records(described, tmp_path):
    write_checkpoint(tmp_path / "net.pt", described)
    write_safetensors(load_network(tmp_path / "net.pt"), described.description, tmp_path / "net.safetensors")
    for name in ("net.pt", "net.safetensors"):
        assert read_checkpoint(tmp_path / name).description.records() == (RECORD, EARLIER)
        assert starting_records("resnet18", str(tmp_path / name)) == (RECORD, EARLIER)


def test_an_export_of_another_release_is_refused_in_one_line(described, tmp_path, monkeypatch):
    monkeypatch.setattr("lba_cli.export.embedding_model.asdict", lambda known: {**vars(known), "identities": []})
    write_checkpoint(tmp_path / "net.pt", described)
    write_safetensors(load_network(tmp_path / "net.pt"), described.description, tmp_path / "net.safetensors")
    with pytest.raises(
        CheckpointError, match=r"exported by another lba release: its description has the unknown key 'identities'"
    ):
        read_checkpoint(tmp_path / "net.safetensors")


def test_weights_that_say_nothing_have_an_empty_record(tmp_path, monkeypatch, official_file):
    path = tmp_path / "resnet18.pth"
    torch.save({"layer1.0.conv1.weight": torch.zeros(1)}, path)
    assert starting_records("resnet18", str(path)) == (TrainingRecord(),)
    assert starting_records("resnet50", str(official_file)) == (TrainingRecord("SYSU-MM01"),)
    assert starting_records("resnet18", "imagenet") == starting_records("resnet18", "none") == ()
    published = [SimpleNamespace(url=f"https://somewhere/resnet18-{file_digest(path)[:8]}.pth")]
    monkeypatch.setattr("lba_cli.model.initial_weights.get_model_weights", lambda backbone: published)
    assert starting_records("resnet18", str(path)) == ()

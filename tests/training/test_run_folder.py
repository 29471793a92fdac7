"""The folder of a run after accidents, and how the run resumes from it."""

import json
import os
import zipfile

import pytest
import torch
from fake_listener import Recorder

from lba_cli.errors import CheckpointError, LbaError, TrainingError
from lba_cli.model.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from lba_cli.reporting import Silent
from lba_cli.training import loop
from lba_cli.training.loop import train
from lba_cli.training.run_folder import RunFolder, newest_run
from lba_cli.training.state import Progress


@pytest.fixture(scope="module")
def finished(source, tmp_path_factory, request):
    """The config and the folder of a run of three epochs, and a function that copies the folder."""
    import shutil

    from small_setup import SMALL

    from lba_cli.config import ConfigLayer, resolve_config

    run = resolve_config([ConfigLayer({**SMALL, "train": {**SMALL["train"], "epochs": 3}}, "the test")])
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    train(run, source, folder, Silent())

    def copy(to):
        shutil.copytree(folder.path, to)
        return RunFolder(to)

    return run, folder, copy


def same(first, second):
    weights = [read_checkpoint(folder.last).weights for folder in (first, second)]
    return first.metrics.read_bytes() == second.metrics.read_bytes() and all(
        torch.equal(weights[0][name], weights[1][name]) for name in weights[0]
    )


@pytest.mark.parametrize(
    "damage",
    [
        "cut",
        pytest.param("gone", marks=pytest.mark.slow),
        pytest.param("empty", marks=pytest.mark.slow),
        pytest.param("text", marks=pytest.mark.slow),
        pytest.param("bit", marks=pytest.mark.slow),
    ],
)
def test_a_run_with_a_damaged_checkpoint_resumes_from_the_previous_one(finished, source, tmp_path, damage):
    run, folder, copy = finished
    damaged, listener = copy(tmp_path / "run"), Recorder()
    content = damaged.last.read_bytes()
    if damage == "gone":
        damaged.last.unlink()
    else:
        with zipfile.ZipFile(damaged.last) as archive:
            tensor = max(archive.infolist(), key=lambda entry: entry.file_size)
        inside = tensor.header_offset + tensor.file_size // 2  # elsewhere, the bit could be one that nobody reads
        flipped = content[:inside] + bytes([content[inside] ^ 1]) + content[inside + 1 :]
        damages = {"cut": content[: len(content) // 2], "empty": b"", "text": b"hello", "bit": flipped}
        damaged.last.write_bytes(damages[damage])
    state = damaged.newest_checkpoint(listener)
    assert state.description.epoch == 1
    if damage != "gone":
        (warning,) = listener.warnings
        assert warning.startswith(f"{damaged.last}: ")
        assert warning.endswith(f"; continuing from {damaged.previous}, the checkpoint before it")
        assert damaged.last.with_name("last-damaged.pt").exists(), "it must not become previous.pt"
        assert not damaged.last.exists()
    train(run, source, damaged, Silent(), state)
    assert same(damaged, folder)


def test_without_a_whole_checkpoint_the_newest_one_is_reported(finished, tmp_path):
    _, _, copy = finished
    damaged = copy(tmp_path / "run")
    for path in (damaged.last, damaged.previous):
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"last\.pt: damaged"):
        damaged.newest_checkpoint(Silent())


@pytest.mark.slow
def test_a_run_that_ended_before_its_first_checkpoint_starts_again(finished, source, tmp_path):
    run, folder, copy = finished
    young = copy(tmp_path / "run")
    for path in (young.last, young.previous, young.best):
        path.unlink()
    young.metrics.write_text(folder.metrics.read_text().splitlines(keepends=True)[0] + "{")
    assert young.newest_checkpoint(Silent()) is None
    train(run, source, young, Silent(), None, again=True)
    assert same(young, folder)


def test_a_run_that_ended_before_its_first_checkpoint_is_not_a_new_folder(finished, source, tmp_path):
    run, _, copy = finished
    young = copy(tmp_path / "run")
    for path in (young.last, young.previous, young.best):
        path.unlink()
    with pytest.raises(TrainingError, match="holds a run already: continue it with --resume"):
        train(run, source, young, Silent())


def test_a_run_whose_checkpoints_are_gone_does_not_start_again(finished, tmp_path):
    _, _, copy = finished
    folder = copy(tmp_path / "run")
    for path in (folder.last, folder.previous):
        path.unlink()
    before = folder.metrics.read_bytes()
    with pytest.raises(TrainingError, match="its checkpoints are gone"):
        folder.newest_checkpoint(Silent())
    assert folder.metrics.read_bytes() == before


def test_a_missing_best_network_is_reported_and_saved_again(finished, source, tmp_path):
    run, _, copy = finished
    folder, listener = copy(tmp_path / "run"), Recorder()
    folder.best.unlink()
    longer = run.model_copy(update={"train": run.train.model_copy(update={"epochs": 4})})
    train(longer, source, folder, listener, read_checkpoint(folder.last))
    assert any("best.pt is missing" in warning for warning in listener.warnings)
    assert folder.best.is_file()


def test_fewer_epochs_than_are_complete_are_refused(finished, source, tmp_path):
    run, _, copy = finished
    folder = copy(tmp_path / "run")
    shorter = run.model_copy(update={"train": run.train.model_copy(update={"epochs": 1})})
    with pytest.raises(
        TrainingError, match="has already reached epoch 4, step 0, beyond train.epochs=1 with 2 steps each"
    ):
        train(shorter, source, folder, Silent(), read_checkpoint(folder.last))


@pytest.mark.slow
def test_an_extension_survives_a_kill_before_its_first_checkpoint(lba, finished, store, tmp_path):
    """config.yaml is newer than the checkpoint then."""
    _, _, copy = finished
    folder = copy(tmp_path / "run")
    folder.config.write_text(folder.config.read_text().replace("epochs: 3\n", "epochs: 4\n", 1))
    lba("train", "--resume", "run", "--data", store)
    assert len(folder.records()) == 4


def test_changed_pixels_are_other_data(finished, source, tmp_path):
    from dataclasses import dataclass

    @dataclass
    class Inverted:
        """The same listing, other pixels."""

        content = "0" * 64

        def __getattr__(self, name):
            return getattr(source, name)

    run, _, copy = finished
    folder = copy(tmp_path / "run")
    with pytest.raises(TrainingError, match="the data changed after the run was started"):
        train(run, Inverted(), folder, Silent(), read_checkpoint(folder.last))


def test_links_in_a_run_folder_are_not_followed(lba, finished, store, tmp_path):
    _, _, copy = finished
    copy(tmp_path / "run")
    (tmp_path / "thesis.tex").write_text("mine")
    (tmp_path / "run" / ".lock").symlink_to("../thesis.tex")
    lba("train", "--resume", "run", "--data", store, status=2)
    (tmp_path / "run" / ".lock").unlink()
    (tmp_path / "run" / "timings.jsonl").unlink()
    (tmp_path / "run" / "timings.jsonl").symlink_to("../thesis.tex")
    lba("train", "--resume", "run", "--data", store, "--set", "train.epochs=4", status=2)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path):
    with pytest.raises(TrainingError, match="holds no run that could be resumed"):
        RunFolder(tmp_path).newest_checkpoint(Silent())


@pytest.mark.slow
def test_every_checkpoint_within_an_epoch_resumes_exactly(finished, source, tmp_path, monkeypatch):
    """A checkpoint is written after every step; the run that resumes from one of them ends in the same state."""
    run, folder, _ = finished
    often = run.model_copy(update={"train": run.train.model_copy(update={"checkpoint_minutes": 1e-9})})
    written, write_last = [], RunFolder.write_last

    def noting(self, checkpoint):
        progress = checkpoint.training["progress"]
        written.append((progress["epoch"], progress["step"]))
        write_last(self, checkpoint)
        if written[-1] == (1, 1):
            write_checkpoint(tmp_path / "within.pt", checkpoint)

    monkeypatch.setattr(RunFolder, "write_last", noting)
    target = RunFolder(tmp_path / "run")
    train(often, source, target, Silent())
    assert written == [(0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]
    assert same(target, folder)
    again = RunFolder(tmp_path / "again")
    again.path.mkdir()
    again.metrics.write_text("".join(folder.metrics.read_text().splitlines(keepends=True)[:1]))
    train(often, source, again, Silent(), read_checkpoint(tmp_path / "within.pt"))
    assert same(again, folder)


@pytest.mark.slow
def test_without_checkpoint_minutes_only_epochs_are_saved(finished, source, tmp_path, monkeypatch):
    run, _, _ = finished
    monkeypatch.setattr(loop.time, "monotonic", iter(range(0, 10**9, 10**6)).__next__)
    never = run.model_copy(update={"train": run.train.model_copy(update={"checkpoint_minutes": None})})
    steps = []
    monkeypatch.setattr(
        RunFolder, "write_last", lambda self, checkpoint: steps.append(checkpoint.training["progress"]["step"])
    )
    train(never, source, RunFolder(tmp_path / "run"), Silent())
    assert steps == [0, 0, 0]


def test_metrics_that_lack_epochs_are_refused(finished, source, tmp_path):
    run, _, copy = finished
    folder = copy(tmp_path / "run")
    lines = folder.metrics.read_text().splitlines(keepends=True)
    folder.metrics.write_text("".join(lines[1:]))
    with pytest.raises(LbaError, match=r"metrics.jsonl: doesn't have a line for each epoch before epoch 3"):
        train(run, source, folder, Silent(), read_checkpoint(folder.last))


def test_an_unfinished_last_record_is_left_out(finished, tmp_path):
    _, _, copy = finished
    folder = copy(tmp_path / "run")
    with folder.metrics.open("a") as file:
        file.write('{"epoch": 3, "los')
    assert [record["epoch"] for record in folder.records()] == [0, 1, 2]


def test_timings_are_written_to_a_file_of_their_own(finished):
    _, folder, _ = finished
    timings = [json.loads(line) for line in folder.timings.read_text().splitlines()]
    assert [timing["epoch"] for timing in timings] == [0, 1, 2]
    assert all(timing["images_per_second"] > 0 for timing in timings)


BAD_STATES = {
    "progress of another kind": lambda state: state | {"progress": {"epoch": "0"}},
    "a negative step": lambda state: state | {"progress": vars(Progress(step=-1))},
    "a figure that is not finite": lambda state: state | {"progress": vars(Progress(best=float("nan")))},
    "no optimizer": lambda state: {k: v for k, v in state.items() if k != "optimizer"},
    "other parameters": lambda state: state | {"optimizer": {"state": {}, "param_groups": [{"params": [0]}]}},
    "momentum of a parameter that doesn't exist": lambda state: {
        **state,
        "optimizer": {**state["optimizer"], "state": {**state["optimizer"]["state"], 99999: {}}},
    },
    "flat sums": lambda state: state | {"progress": vars(Progress(step=1, sums={"total": 1.0}))},
    "steps without losses": lambda state: state | {"progress": vars(Progress(step=1))},
    "momentum of another shape": lambda state: changed_momentum(state, torch.zeros(3)),
    "momentum that is not finite": lambda state: changed_momentum(state, float("nan")),
}


def changed_momentum(state, value):
    moments = dict(state["optimizer"]["state"])
    buffer = moments[0]["momentum_buffer"]
    moments[0] = {"momentum_buffer": value if isinstance(value, torch.Tensor) else torch.full_like(buffer, value)}
    return state | {"optimizer": {**state["optimizer"], "state": moments}}


@pytest.mark.parametrize("change", BAD_STATES.values(), ids=BAD_STATES.keys())
def test_a_damaged_training_state_changes_nothing(finished, source, tmp_path, change):
    run, folder, copy = finished
    target, state = copy(tmp_path / "run"), read_checkpoint(folder.last)
    before = {path: path.read_bytes() for path in target.path.rglob("*") if path.is_file()}
    bad = Checkpoint(state.description, state.weights, change(state.training))
    with pytest.raises(
        TrainingError, match="can't be resumed: its training state is damaged or belongs to another run"
    ):
        train(run, source, target, Silent(), bad)
    assert {path: path.read_bytes() for path in target.path.rglob("*") if path.is_file()} == before


def test_changed_config_keys_on_resume_are_refused_or_listed(lba, finished, store, tmp_path):
    _, _, copy = finished
    copy(tmp_path / "run")
    data = ("--data", store)
    refused = lba("train", "--resume", "run", *data, "--set", "train.learning_rate=0.5", status=2)
    assert "the run was started with another configuration (train.learning_rate: 0.1 → 0.5)" in refused.output
    taken = lba("train", "--resume", "run", *data, "--set", "data.workers=1", "--set", "train.checkpoint_minutes=3")
    assert "changed config keys: data.root: " in taken.output
    assert "data.workers: 0 → 1; train.checkpoint_minutes: 10.0 → 3.0" in taken.output


def test_the_newest_run_is_found_by_its_checkpoint(finished, tmp_path):
    _, folder, _ = finished
    assert newest_run(folder.path.parent).path == folder.path
    for number, name in enumerate(("single", "many/trial-1", "many/trial-2")):
        last = RunFolder(tmp_path / "runs" / name).last
        last.parent.mkdir(parents=True)
        last.touch()
        os.utime(last, (number, number))
    newest = newest_run(tmp_path / "runs")
    assert newest.path == tmp_path / "runs/many/trial-2"
    assert newest.is_trial
    with pytest.raises(CheckpointError, match="train one with lba train"):
        newest_run(tmp_path / "nothing")

"""Bad input ends in one clear line and exit status 2; nothing is lost, and no incomplete file is left."""

import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch


def refused(result):
    """Return the error message."""
    assert "error: " in result.output, result.output
    return result.output.split("error: ", 1)[1]


@pytest.fixture
def copy(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "data")
    return tmp_path / "data"


def train(lba, small_yaml, data, *words, status=2):
    return lba("train", "--config", small_yaml, "--data", data, "--output", "run", *words, status=status)


def test_a_missing_data_set_says_what_was_looked_for(lba):
    message = refused(lba("prepare", "sysu", status=2))
    for words in (
        "datasets/SYSU-MM01: no such folder",
        "cam1…cam6 and exp",
        "lba prepare synthetic --layout sysu --output",
    ):
        assert words in message


def test_a_missing_camera_folder_is_named(lba, copy):
    shutil.rmtree(copy / "cam4")
    assert "incomplete copy; missing: cam4." in refused(lba("prepare", "sysu", "--root", copy, status=2))


def test_a_malformed_id_list_is_refused_with_its_line(lba, copy):
    (copy / "exp" / "train_id.txt").write_text("1,2,three")
    assert "train_id.txt:1: 'three'" in refused(lba("prepare", "sysu", "--root", copy, status=2))


def test_identities_without_images_and_stray_files_are_reported(lba, copy, tmp_path):
    (copy / "exp" / "val_id.txt").write_text("6,17,24,300")
    (copy / "cam1" / "Thumbs.db").write_bytes(b"x")
    result = lba("prepare", "sysu", "--root", copy, "--set", "data.height=32", "--set", "data.width=16")
    assert "1 identity of the lists has no images: 300" in result.output
    assert "1 file that is not an image of an identity was ignored" in result.output


def test_broken_images_are_named_or_skipped(lba, copy, tmp_path):
    images = sorted(copy.glob("cam1/*/*.jpg"))[:3]
    for image in images:
        image.write_bytes(image.read_bytes()[:200])
    size = ("--set", "data.height=32", "--set", "data.width=16")
    message = refused(lba("prepare", "sysu", "--root", copy, "--output", "store", *size, status=2))
    assert all(str(image) in message for image in images)
    assert not (tmp_path / "store").exists()
    assert not list(tmp_path.glob(".*"))
    result = lba("prepare", "sysu", "--root", copy, "--output", "store", *size, "--skip-broken")
    assert result.output.count("left out cam1/") == 3


def test_an_existing_run_is_not_overwritten(lba, small_yaml, store, tmp_path):
    train(lba, small_yaml, store, "--set", "train.epochs=1", status=0)
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert "holds a run already: continue it with --resume run" in refused(train(lba, small_yaml, store))
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_a_batch_of_too_many_identities_is_refused(lba, small_yaml, store, tmp_path):
    message = refused(train(lba, small_yaml, store, "--set", "train.identities=99"))
    assert "12 identities" in message
    assert "a batch needs 99" in message
    assert "train.identities=12" in message
    assert not (tmp_path / "run").exists()


def test_identities_that_lack_a_modality_are_refused_or_skipped(lba, small_yaml, copy, tmp_path):
    for camera in ("cam3", "cam6"):
        shutil.rmtree(copy / camera / "0002", ignore_errors=True)
    message = refused(train(lba, small_yaml, copy))
    assert "1 of 12 training identities lacks a modality: 1 without infrared images (2)" in message
    assert "data.skip_incomplete=true" in message
    train(lba, small_yaml, copy, "--set", "data.skip_incomplete=true", "--set", "train.epochs=1", status=0)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(lba, small_yaml, store, tmp_path):
    message = refused(
        train(lba, small_yaml, store, "--set", "train.learning_rate=1e30", "--set", "train.steps_per_epoch=12")
    )
    assert message.startswith("training diverged in epoch 0, step ")
    assert "with a train.learning_rate below 1e+30" in message
    assert "the loss '" in message


class RunsCode:
    def __reduce__(self):
        return os.system, ("touch code-was-run",)


def test_files_that_are_no_checkpoints_are_refused_and_run_no_code(lba, network_file, official, tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "cut.pt").write_bytes(network_file.read_bytes()[:5000])
    (tmp_path / "code.pt").write_bytes(pickle.dumps(RunsCode()))
    torch.save({"state_dict": {"conv1.weight": torch.ones(3)}}, tmp_path / "other.pt")
    for name in ("missing.pt", "text.pt", "cut.pt", "code.pt", "other.pt"):
        message = refused(lba("evaluate", "--checkpoint", name, status=2))
        assert name in message
        assert len(message.strip().splitlines()) == 1
    assert not (tmp_path / "code-was-run").exists()


def test_evaluating_without_a_run_says_how_to_train_one(lba):
    assert "train one with lba train" in refused(lba("evaluate", status=2))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_is_refused_where_there_is_none(lba, small_yaml, store, tmp_path):
    message = refused(train(lba, small_yaml, store, "--set", "run.device=cuda"))
    assert "no CUDA device here; use run.device=auto or cpu" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "problem",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),  # since cuDNN 9
    ],
)
def test_running_out_of_gpu_memory_says_what_to_lower(lba, small_yaml, store, monkeypatch, problem):
    def fail(*_):
        raise problem

    monkeypatch.setattr("lba_cli.training.step.TrainingStep.__call__", fail)
    assert "raise train.accumulate" in refused(train(lba, small_yaml, store))


@pytest.mark.slow
def test_a_full_disk_keeps_the_last_checkpoint(lba, small_yaml, store, tmp_path, monkeypatch):
    train(lba, small_yaml, store, "--set", "train.epochs=1", status=0)
    before = (tmp_path / "run" / "checkpoints" / "last.pt").read_bytes()

    def full(self, _):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    message = refused(lba("train", "--resume", "run", "--set", "train.epochs=2", status=2))
    assert "the disk is full" in message
    monkeypatch.undo()
    assert (tmp_path / "run" / "checkpoints" / "last.pt").read_bytes() == before
    left = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert left - {"previous.pt"} == {"last.pt", "best.pt"}, "previous.pt is there unless the best was written first"


@pytest.mark.slow
def test_ctrl_c_saves_the_state_and_exits_130(small_yaml, store, tmp_path):
    words = ["train", "--config", str(small_yaml), "--data", str(store), "--output", "run"]
    words += ["--set", "train.steps_per_epoch=500", "--set", "data.workers=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lba_cli", *words],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "config.yaml").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "continue with: lba train --resume run" in errors
    assert "Traceback" not in errors
    assert (tmp_path / "run" / "checkpoints" / "last.pt").is_file()


def test_debug_shows_the_traceback(lba):
    from typer.testing import CliRunner

    from lba_cli.cli.app import app
    from lba_cli.errors import DataError

    result = CliRunner().invoke(app, ["prepare", "sysu", "--root", "nowhere", "--debug"])
    assert isinstance(result.exception, DataError)


def test_a_bug_exits_1(lba, network_file, monkeypatch):
    def bug(*_, **__):
        raise RuntimeError("surprise")

    monkeypatch.setattr("lba_cli.cli.evaluate_models.evaluate", bug)
    result = lba("evaluate", "--checkpoint", network_file, status=1)
    assert "internal error: RuntimeError: surprise (--debug shows the traceback; please report it)" in result.output


def test_an_image_size_other_than_the_networks_is_refused(lba, network_file):
    message = refused(lba("evaluate", "--checkpoint", network_file, "--set", "data.height=288", status=2))
    assert "takes images of 64×32" in message


def test_unknown_options_and_values_exit_2(lba):
    lba("train", "--metod", "full", status=2)
    lba("evaluate", "--mode", "outdoor", status=2)
    assert "did you mean 'epochs'" in refused(lba("train", "--set", "train.epoch=3", status=2))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_during_training_is_one_line(lba, small_yaml, copy, workers):
    for image in copy.glob("cam*/*/*.jpg"):
        image.write_bytes(image.read_bytes()[:100])
    message = refused(train(lba, small_yaml, copy, "--set", f"data.workers={workers}"))
    assert "not a readable image" in message
    assert len(message.strip().splitlines()) == 1


def test_synthetic_people_are_not_generated_into_the_current_folder(lba, tmp_path):
    assert "exists already" in refused(lba("prepare", "synthetic", "--preset", "tiny", "--output", ".", status=2))
    assert not list(tmp_path.iterdir())

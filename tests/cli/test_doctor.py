"""``lba doctor`` describes the installation, and nothing that is missing or broken stops it."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from lba_cli import __version__
from lba_cli.cli import diagnosis
from lba_cli.cli.doctor import as_text

SECTIONS = ("versions", "platform", "cpu", "gpus", "memory", "extras", "imagenet_weights", "data_sets")


def facts(lba, *words):
    """The facts as JSON."""
    return json.loads(lba("doctor", "--json", *words).stdout)


def test_the_facts_are_the_same_as_text_and_as_json(lba):
    found = facts(lba)
    assert tuple(found) == SECTIONS
    text = lba("doctor").stdout
    for line in (f"lba: {__version__}", f"torch: {torch.__version__.split('+')[0]}", "usable cores: ", "total (GiB): "):
        assert line in text
    assert as_text({"versions": found["versions"]}) in text


def test_what_is_found_in_the_current_folder(lba, tiny, store, tmp_path):
    assert facts(lba)["data_sets"]["sysu"] == "datasets/SYSU-MM01: no such folder"
    (tmp_path / "datasets" / "RegDB").mkdir(parents=True)
    (tmp_path / "datasets" / "SYSU-MM01").symlink_to(tiny)
    (tmp_path / "datasets" / "SYSU-MM01-64x32").symlink_to(store)
    found = facts(lba)
    assert found["data_sets"] == {
        "sysu": "datasets/SYSU-MM01: found; store datasets/SYSU-MM01-64x32",
        "regdb": "datasets/RegDB: a folder of another layout",
        "llcm": "datasets/LLCM: no such folder",
    }


def test_a_malformed_config_does_not_stop_it(lba, tmp_path):
    (tmp_path / "lba.yaml").write_text("train:\n  epoch: 3\n")
    assert tuple(facts(lba)) == SECTIONS


def test_an_extra_that_is_missing_names_the_command_that_installs_it(lba, monkeypatch):
    version = diagnosis.metadata.version

    def without_faiss(name):
        if name == "faiss-cpu":
            raise diagnosis.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(diagnosis.metadata, "version", without_faiss)
    assert (
        facts(lba)["extras"]["faiss"]
        == "faiss-cpu not installed; to install: pip install '.[faiss]' in the source folder"
    )


def test_a_package_that_was_never_installed_is_a_line(lba, monkeypatch):
    def unknown(name):
        raise diagnosis.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(diagnosis.metadata, "requires", unknown)
    assert "pip install ." in facts(lba)["extras"]["problem"]


@pytest.mark.parametrize("package", ["torch", "numpy"])
def test_a_broken_package_is_a_line(tmp_path, package):
    """The package's import fails, in a process of its own, as after an incomplete installation."""
    (tmp_path / f"{package}.py").write_text("raise OSError('libbroken.so: cannot open shared object file')\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "lba_cli", "doctor"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "OSError: libbroken.so: cannot open shared object file" in done.stdout
    assert f"lba: {__version__}" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_section_that_fails_does_not_stop_the_others(lba, monkeypatch):
    def fail():
        raise RuntimeError("the driver\nis too old")

    monkeypatch.setattr(diagnosis, "gpus", fail)
    found = facts(lba)
    assert found["gpus"] == {"problem": "RuntimeError: the driver is too old"}
    assert tuple(found) == SECTIONS


def test_gpus_with_their_memory_and_what_they_compute(monkeypatch):
    class Properties:
        name, total_memory, major, minor = "Some GPU", 80 * 2**30, 9, 0

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: Properties)
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert diagnosis.gpus() == {
        "cuda:0": "Some GPU, 80.0 GiB, compute capability 9.0, bfloat16: yes, train.precision auto: bfloat16"
    }


def test_text_has_a_line_per_fact():
    found = {"memory": {"total_gib": 7.5}, "gpus": {}, "cpu": {"AVX2": True, "AMX_BF16": False, "list": ["a", "b"]}}
    found["newest_run"] = {"folder": None}
    assert as_text(found).splitlines() == [
        *("memory", "  total (GiB): 7.5", "gpus", "  none", "cpu", "  AVX2: yes", "  AMX BF16: no", "  list: a, b"),
        *("newest run", "  folder: none"),
    ]


def test_a_gpu_that_cannot_be_asked_does_not_hide_the_others(monkeypatch):
    def properties(number):
        if number == 1:
            raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable")
        return SimpleNamespace(name="A card", total_memory=2**34, major=8, minor=0)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    card = "A card, 16.0 GiB, compute capability 8.0, bfloat16: yes, train.precision auto: bfloat16"
    busy = "RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable"
    assert diagnosis.gpus() == {"cuda:0": card, "cuda:1": busy, "cuda:2": card}

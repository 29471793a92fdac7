"""What many tests start from: golden figures, a tiny synthetic data set, its store, and a network to evaluate."""

from __future__ import annotations

import importlib.util
import os

# Tests run on all cores at once; a process with several threads would only take turns with the others. Commands inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
import yaml
from small_setup import GOLDEN, HEIGHT, SMALL, WIDTH

from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.data.prepare import prepare
from lba_cli.data.store import StoredImages
from lba_cli.datasets import get_dataset
from lba_cli.datasets.synthesize import write_synthetic
from lba_cli.datasets.sysu import SYSU, read_sysu
from lba_cli.model.checkpoint import Checkpoint, Description, write_checkpoint
from lba_cli.model.initial_weights import build_network
from lba_cli.reporting import Silent

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden():
    """Load a golden ``.npz`` by its name."""
    return lambda name: np.load(GOLDEN / f"{name}.npz")


@pytest.fixture(scope="session")
def official():
    """The program that makes checkpoints in the released layout."""
    spec = importlib.util.spec_from_file_location("official_checkpoint", GOLDEN / "official_checkpoint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def official_file(official, tmp_path_factory):
    """A checkpoint in the released layout, salt ``golden``."""
    path = tmp_path_factory.mktemp("official") / "sysu_pretrained.t"
    content = {
        "net": official.state_dict("golden"),
        "cmc": np.linspace(0.5, 0.99, 20, dtype=np.float32),
        "mAP": np.float64(0.55),
        "mINP": np.float64(0.4),
        "epoch": 80,
    }
    torch.save(content, path)
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The synthetic data set ``tiny``; tests must not change it."""
    root = tmp_path_factory.mktemp("tiny") / "SYSU-MM01"
    write_synthetic(SYSU, "tiny", root, seed=0, workers=1, listener=Silent())
    return root


@pytest.fixture(scope="session")
def trees(tiny, tmp_path_factory):
    """The synthetic data set ``tiny`` in every layout, by the layout's word; tests must not change them."""
    folder = tmp_path_factory.mktemp("trees")
    roots = {"regdb": folder / "RegDB", "llcm": folder / "LLCM", "folder": folder / "own images"}
    for layout, root in roots.items():
        write_synthetic(get_dataset(layout), "tiny", root, workers=1, listener=Silent())
    return {"sysu": tiny, **roots}


@pytest.fixture
def hollow(trees, tmp_path):
    """A copy of a tree of ``trees`` to change, its images empty files: ``hollow("regdb")``."""

    def make(layout):
        root = tmp_path / trees[layout].name
        for path in trees[layout].rglob("*"):
            target = root / path.relative_to(trees[layout])
            if path.is_dir():
                target.mkdir(parents=True)
            elif path.suffix in (".txt", ".json"):
                target.write_bytes(path.read_bytes())
            else:
                target.touch()
        return root

    return make


@pytest.fixture(scope="session")
def store(tiny, tmp_path_factory):
    """A store of ``tiny``."""
    folder = tmp_path_factory.mktemp("stores") / "store"
    prepare(read_sysu(tiny), folder, HEIGHT, WIDTH, listener=Silent(), workers=1)
    return folder


@pytest.fixture(scope="session")
def source(store):
    return StoredImages(store)


@pytest.fixture
def small_run(store):
    """Settings of a run that takes seconds; keyword arguments change them: ``small_run(train__epochs=3)``."""

    def make(**changes):
        values = {section: dict(settings) for section, settings in SMALL.items()}
        values["data"]["root"] = str(store)
        for key, value in changes.items():
            section, name = key.split("__")
            values.setdefault(section, {})[name] = value
        return resolve_config([ConfigLayer(values, "the test")])

    return make


@pytest.fixture(scope="session")
def small_yaml(tmp_path_factory):
    """The same settings as a file, without a data root."""
    path = tmp_path_factory.mktemp("configs") / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


@pytest.fixture(scope="session")
def network_file(tmp_path_factory, store):
    """A checkpoint of an untrained small network."""
    path = tmp_path_factory.mktemp("checkpoints") / "net.pt"
    network = build_network("resnet18", 12, "none", seed=3)
    values = {**SMALL, "data": {**SMALL["data"], "root": str(store)}}
    description = Description("resnet18", 12, HEIGHT, WIDTH, "synthetic-tiny", 0, config=values)
    write_checkpoint(path, Checkpoint(description, network.state_dict()))
    return path


@pytest.fixture
def lba(monkeypatch, tmp_path):
    """Run a command in an empty folder, in this process: ``lba("train", "--method", "full")``."""
    from typer.testing import CliRunner

    from lba_cli.cli import console
    from lba_cli.cli.app import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LBA_CONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words, status=0):
        console.get_console.cache_clear()
        console.get_listener.cache_clear()
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == status, (result.exit_code, result.output, result.exception)
        assert "Traceback" not in result.output
        return result

    return run

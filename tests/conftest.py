"""Fixtures that many tests share: golden figures, a tiny synthetic data set, its store, and an untrained network."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from types import SimpleNamespace

# Tests run in as many processes as there are cores, so one thread each is fastest. Commands started by tests inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock
from PIL import Image
from small_setup import GOLDEN, HEIGHT, SMALL, WIDTH

from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.data.prepare import prepare
from lba_cli.data.store import StoredImages
from lba_cli.datasets import get_dataset
from lba_cli.datasets.synthesize import plan_synthetic, write_synthetic
from lba_cli.datasets.sysu import SYSU, read_sysu
from lba_cli.export import export
from lba_cli.model.checkpoint import Checkpoint, Description, read_checkpoint, rebuild_network, write_checkpoint
from lba_cli.model.initial_weights import build_network
from lba_cli.reporting import Silent
from lba_cli.synthetic import PRESETS, jobs
from lba_cli.synthetic.cameras import CAMERAS

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_once(tmp_path_factory):
    """Make something on disk once for all processes of this test run: ``make_once("tiny", make)``.

    ``make`` receives a path that doesn't exist yet and must create a file or a folder there. The path is returned.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    shared = base / "shared"
    shared.mkdir(exist_ok=True)

    def get(name, make):
        finished = shared / f"{name}.finished"
        with FileLock(shared / f"{name}.lock"):
            if not finished.exists():
                make(shared / name)
                finished.touch()
        return shared / name

    return get


@pytest.fixture(scope="session")
def golden():
    """Load a golden ``.npz`` by its name."""
    return lambda name: np.load(GOLDEN / f"{name}.npz")


@pytest.fixture(scope="session")
def official():
    """The program that writes checkpoints in the released layout."""
    return golden_program("official_checkpoint")


def golden_program(name):
    spec = importlib.util.spec_from_file_location(name, GOLDEN / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)  # one of the programs imports the other
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def agw_file(official, make_once):
    """A checkpoint in AGW's and CAJ's released layout, with the salt ``golden``."""

    def make(path):
        net = golden_program("agw_checkpoint").state_dict("golden")
        facts = {"cmc": np.linspace(0.4, 0.99, 20), "mAP": np.float64(0.4765), "mINP": np.float64(0.353), "epoch": 60}
        torch.save({"net": net, **facts}, path)

    return make_once("agw.t", make)


@pytest.fixture(scope="session")
def official_file(official, make_once):
    """A checkpoint in the released layout, with the salt ``golden``."""

    def make(path):
        content = {
            "net": official.state_dict("golden"),
            "cmc": np.linspace(0.5, 0.99, 20, dtype=np.float32),
            "mAP": np.float64(0.55),
            "mINP": np.float64(0.4),
            "epoch": 80,
        }
        torch.save(content, path)

    return make_once("sysu_pretrained.t", make)


@pytest.fixture(scope="session")
def tiny(make_once):
    """The synthetic data set ``tiny``; tests must not change it."""

    def make(folder):
        write_synthetic(SYSU, "tiny", folder / "SYSU-MM01", seed=0, workers=1, listener=Silent())

    return make_once("tiny", make) / "SYSU-MM01"


@pytest.fixture(scope="session")
def trees(tiny, make_once):
    """The synthetic data set ``tiny`` in every layout, by the layout's name; tests must not change it.

    Only the SYSU-MM01 layout shows people. The images of the others are noise, which takes a tenth of the time.
    """
    names = {"regdb": "RegDB", "llcm": "LLCM", "folder": "own images"}

    def noise(person, camera, frame, seed, rng):
        pixels = rng.integers(0, 256, (frame.height[0], frame.width[0], 1 if CAMERAS[camera].infrared else 3), np.uint8)
        return SimpleNamespace(image=Image.fromarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))))

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs, "render", noise)
            for layout, name in names.items():
                write_synthetic(get_dataset(layout), "tiny", folder / name, workers=1, listener=Silent())

    folder = make_once("trees", make)
    return {"sysu": tiny, **{layout: folder / name for layout, name in names.items()}}


@pytest.fixture(scope="session")
def true_people(tiny, make_once):
    """The test people of ``tiny`` with their truth maps, in the layout of SYSU-MM01; tests must not change it."""

    def make(folder):
        (folder / "exp").mkdir(parents=True)
        for name in ("synthetic.json", "exp/train_id.txt", "exp/val_id.txt", "exp/test_id.txt"):
            shutil.copyfile(tiny / name, folder / name)
        for camera in CAMERAS:
            (folder / f"cam{camera}").mkdir()
        tested = {int(word) for word in (tiny / "exp" / "test_id.txt").read_text().split(",")}
        drawn = [job for job in plan_synthetic(SYSU, "tiny").jobs if job.identity in tested]
        jobs.draw(folder, PRESETS["tiny"].frame, drawn, truth=True)

    return make_once("true_people", make)


@pytest.fixture
def hollow(trees, tmp_path):
    """Copy a tree of ``trees``, with empty files for its images, so that a test can change it: ``hollow("regdb")``."""

    def make(layout):
        root = tmp_path / trees[layout].name
        for folder, _, names in os.walk(trees[layout]):
            target = root / os.path.relpath(folder, trees[layout])
            target.mkdir(parents=True)
            for name in names:
                if name.endswith((".txt", ".json")):
                    shutil.copyfile(f"{folder}/{name}", target / name)
                else:
                    os.close(os.open(f"{target}/{name}", os.O_CREAT | os.O_WRONLY, 0o666))  # faster than Path.touch
        return root

    return make


@pytest.fixture(scope="session")
def store(tiny, make_once):
    """A store of ``tiny``; tests must not change it."""

    def make(folder):
        prepare(read_sysu(tiny), folder / "store", HEIGHT, WIDTH, listener=Silent(), workers=1)

    return make_once("stores", make) / "store"


@pytest.fixture(scope="session")
def source(store):
    return StoredImages(store)


@pytest.fixture
def small_run(store):
    """Make the config of a run that takes seconds; keyword arguments change keys: ``small_run(train__epochs=3)``."""

    def make(**changes):
        values = {section: dict(keys) for section, keys in SMALL.items()}
        values["data"]["root"] = str(store)
        for name, value in changes.items():
            section, key = name.split("__")
            values.setdefault(section, {})[key] = value
        return resolve_config([ConfigLayer(values, "the test")])

    return make


@pytest.fixture(scope="session")
def small_yaml(tmp_path_factory):
    """The config of ``small_run`` as a file, without a data root."""
    path = tmp_path_factory.mktemp("configs") / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


@pytest.fixture(scope="session")
def network_file(make_once, store):
    """A checkpoint of an untrained small network; tests must not change it."""

    def make(path):
        network = build_network("resnet18", 12, "none", seed=3)
        values = {**SMALL, "data": {**SMALL["data"], "root": str(store)}}
        description = Description("resnet18", 12, HEIGHT, WIDTH, "synthetic-tiny", 0, config=values)
        write_checkpoint(path, Checkpoint(description, network.state_dict()))

    return make_once("net.pt", make)


@pytest.fixture(scope="session")
def onnx_file(make_once, network_file):
    """``network_file`` as an ONNX file; tests must not change it."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")

    def make(path):
        checkpoint = read_checkpoint(network_file)
        export(rebuild_network(checkpoint), checkpoint.description, "onnx", path)

    return make_once("person.onnx", make)


@pytest.fixture
def lba(monkeypatch, tmp_path):
    """Run a command in this process, in an empty folder: ``lba("train", "--method", "full")``."""
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

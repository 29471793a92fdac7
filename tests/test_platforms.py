"""The core works without the calls that Python lacks on Windows or macOS, and on Apple's GPU if there is one."""

import errno
import hashlib
import os
import signal
import sys
import warnings
from functools import partial

import filelock
import pytest
import torch
from fake_listener import Recorder
from small_setup import HEIGHT, WIDTH

from lba_cli import compute, files, locks, processes
from lba_cli.cli.error_handling import _explain
from lba_cli.compute import own_device, resolve_device, resolve_precision
from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.data import loaders, parallel
from lba_cli.data.augmentation import Augmentation
from lba_cli.data.prepare import prepare
from lba_cli.data.sampler import IdentitySampler
from lba_cli.datasets.sysu import read_sysu
from lba_cli.errors import ConfigError, Terminated
from lba_cli.files import append_line, write_text
from lba_cli.reporting import Silent
from lba_cli.signals import StopSignalHandlers, signals_deferred
from lba_cli.training.state import resolve_auto

OF_SIGNAL = ("pthread_sigmask", "SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK", "SIGHUP", "SIGKILL", "pthread_kill")
OF_OS = ("pread", "pwrite", "posix_fallocate", "sched_getaffinity", "setpgid", "fork", "getuid", "mkfifo")
FLAGS = ("O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY")
LACKING = {signal: OF_SIGNAL, os: OF_OS + FLAGS}


@pytest.fixture
def other_system(monkeypatch):
    """Take the calls away. Locks are then files that exist, as where there is no flock."""
    for module, names in LACKING.items():
        for name in names:
            monkeypatch.delattr(module, name, raising=False)
    for name in ("fcntl", "resource", "pwd", "grp"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(locks, "FileLock", filelock.SoftFileLock)
    monkeypatch.setattr(files, "ON_WINDOWS", True)


@pytest.mark.slow
def test_the_core_of_the_commands(other_system, lba, small_yaml, tiny, tmp_path):
    """Preparing, training, resuming, evaluating, embedding and searching, from a folder and from its store."""
    data = ("--data", tiny, "--config", small_yaml)
    lba("prepare", "sysu", "--root", tiny, "--output", "s", "--config", small_yaml, "--workers", "1")
    lba("train", *data, "--output", "run", "--set", "train.epochs=1", "--set", "data.root=s")
    lba("train", "--resume", "run", "--set", "train.epochs=2", "--set", "train.checkpoint_minutes=0.00001")
    assert (tmp_path / "run" / "checkpoints" / "previous.pt").is_file()
    lba("evaluate", "run", "--json", "figures.json", "--save-features", "f.npz")
    lba("embed", tiny / "cam3", "--modality", "infrared", "--checkpoint", "run", "--output", "e.npz")
    lba("search", "build", tiny / "cam1", "--modality", "visible", "--checkpoint", "run", "--index", "g")
    lba("search", "add", "g", tiny / "cam2")
    lba("search", "query", "g", tiny / "cam3", "--modality", "infrared", "--json", "ranks.json")
    lba("visualize", "curves", "--run", "run", "--output", "curves.png")
    assert not list(tmp_path.rglob("*.partial")) + list(tmp_path.rglob("*.soft"))


@pytest.mark.slow
def test_synthetic_people_are_drawn(other_system, lba, tmp_path):
    lba("prepare", "synthetic", "--preset", "tiny", "--output", "drawn", "--workers", "1")
    assert len(list((tmp_path / "drawn").rglob("*.jpg"))) > 100


@pytest.mark.parametrize("way", ["threads", "processes"])
def test_a_pool_has_threads_where_signals_cannot_be_blocked(request, way):
    if way == "threads":
        request.getfixturevalue("other_system")
    pool = parallel._make_pool(2)
    assert type(pool).__name__ == {"threads": "ThreadPoolExecutor", "processes": "ProcessPoolExecutor"}[way]
    pool.shutdown()


def test_threads_do_all_jobs_and_an_error_ends_them(other_system):
    with parallel.map_chunks(sum, list(range(100)), workers=3, chunk=7) as chunks:
        assert sorted(chunks) == sorted(
            (len(part), sum(part)) for part in (range(100)[n : n + 7] for n in range(0, 100, 7))
        )
    with pytest.raises(TypeError), parallel.map_chunks(sum, ["a"] * 50, workers=3, chunk=2) as chunks:
        list(chunks)


@pytest.mark.slow
def test_workers_that_do_not_inherit_memory_load_the_same_batches(source, monkeypatch):
    """Windows and macOS start workers anew, and hand them the data set through a pipe."""
    positions, sampler = [(0, 0), (0, 1)], IdentitySampler(source.samples, 3, 2, seed=0)

    def load(workers):
        return list(loaders.training_batches(source, sampler, Augmentation(), 0, positions, workers=workers, pin=False))

    serial = load(0)
    monkeypatch.setattr(loaders, "DataLoader", partial(loaders.DataLoader, multiprocessing_context="spawn"))
    for batch, wanted in zip(load(1), serial, strict=True):
        assert all(torch.equal(*pair) for pair in zip(batch, wanted, strict=True))


def test_a_store_has_the_same_bytes_and_all_its_space(other_system, store, tiny, tmp_path):
    prepare(read_sysu(tiny), tmp_path / "s", HEIGHT, WIDTH, listener=Silent(), workers=2)
    digests = [hashlib.sha256((folder / "images.npy").read_bytes()).digest() for folder in (store, tmp_path / "s")]
    assert digests[0] == digests[1]


def test_a_full_disk_is_noticed_before_images_are_decoded(other_system, monkeypatch, tiny, tmp_path):
    """Zeros are written where a file's space can't be claimed otherwise."""
    from lba_cli.data import prepare as module

    class Full(bytes):
        def __getitem__(self, _):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "ZEROS", Full(2**20))
    monkeypatch.setattr(module, "map_chunks", lambda *_, **__: pytest.fail("an image was decoded"))
    with pytest.raises(OSError, match="No space left"):
        prepare(read_sysu(tiny), tmp_path / "s", HEIGHT, WIDTH, listener=Silent(), workers=1)
    assert not (tmp_path / "s").exists()


def test_signals_are_deferred(other_system):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    finished = []
    try:
        StopSignalHandlers()
        for number, raised in ((signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)):
            with pytest.raises(raised), signals_deferred(for_children=True):
                signal.raise_signal(number)
                finished.append(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert len(finished) == 2


def test_lines_end_alike_on_every_system(other_system, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "linesep", "\r\n")
    write_text(tmp_path / "a.csv", "a\nb\n")
    append_line(tmp_path / "a.csv", "c")
    assert (tmp_path / "a.csv").read_bytes() == b"a\nb\nc\n"


@pytest.fixture
def apple(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # so that it is restored


def config(**keys):
    return resolve_config([ConfigLayer({"run": {"device": "mps"}, **keys}, "the test")])


def test_apples_gpu_is_used_where_it_is_asked_for(apple):
    assert resolve_device("mps") == own_device("mps") == torch.device("mps")
    assert resolve_device("auto").type in ("cpu", "cuda"), "it has never been tried, so nobody gets it unasked"
    assert resolve_auto(config(), "sysu").run.device == "mps"
    assert resolve_precision("auto", torch.device("mps")) == "tf32"


def test_without_apples_gpu_the_cpu_computes_and_the_run_says_and_records_it(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    heard = Recorder()
    assert resolve_auto(config(), "sysu", heard).run.device == "cpu"
    assert heard.warnings == ["run.device=mps: PyTorch finds no Apple GPU here, so the CPU is used"]
    assert own_device("mps") == torch.device("cpu")


def test_an_operator_that_apples_gpu_lacks_is_one_line(apple):
    shown, heard = [], Recorder()
    warnings.showwarning = lambda message, *_: shown.append(str(message))
    own_device("mps", heard)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        show = compute.warnings.showwarning
        for text in (
            "The operator 'aten::x' is not currently supported on the MPS backend and will fall back to run on the CPU. "
            "This may have performance implications. (Triggered internally at x.mm:13.)",
            "something else",
        ):
            show(UserWarning(text), UserWarning, "x.py", 1)
    operator = (
        "The operator 'aten::x' is not currently supported on the MPS backend and will fall back to run on the CPU"
    )
    assert heard.warnings == [f"run.device=mps: {operator}"]
    assert shown == ["something else"]
    problem = NotImplementedError(
        "The operator 'aten::x' is not currently implemented for the MPS device. If you want …"
    )
    assert _explain(problem)[0] == 2
    assert "use run.device=cpu" in _explain(problem)[1]
    assert _explain(NotImplementedError("ours"))[0] == 1


def test_several_processes_cannot_share_apples_gpu(apple, monkeypatch):
    monkeypatch.setattr(processes, "_current", processes.World(size=2, local_size=2, by_torchrun=True))
    with pytest.raises(ConfigError, match="run.device=mps: 2 processes can't share a GPU"):
        own_device("mps")


def test_other_names_of_devices_are_refused():
    for name in ("mps:1", "cuda:01", "cuda:-1", "cuda:1000", "cuda: 1"):
        with pytest.raises(ConfigError, match=f"allowed: auto, cpu, cuda, cuda:N, mps, not '{name}'"):
            resolve_config([ConfigLayer({"run": {"device": name}}, "the test")])

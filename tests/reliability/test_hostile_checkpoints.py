"""Hostile checkpoints: each is refused in one line and in bounded memory, and none runs code."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from reliability import hostile_checkpoints

LIMIT = """
import resource, sys
from pathlib import Path
from lba_cli.errors import CheckpointError
from lba_cli.model import load_network
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1_000_000_000,) * 2)
for name in sys.argv[1:]:
    try:
        load_network(name)
    except CheckpointError as problem:
        print(str(problem).replace(chr(10), "<newline>"))
    else:
        sys.exit(f"{name} was loaded")
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return hostile_checkpoints.write(tmp_path_factory.mktemp("hostile"))


def test_there_are_many(paths):
    assert len(paths) > 40


def test_valid_ones_are_loaded(tmp_path):
    """The hostile files differ from these by what their names say; nothing else may be the reason to refuse them."""
    from lba_cli.model import load_network

    hostile_checkpoints.write_good(tmp_path / "good.pt")
    load_network(tmp_path / "good.pt")
    (tmp_path / "also-good.pt").write_bytes(hostile_checkpoints.saved(hostile_checkpoints.content()))
    load_network(tmp_path / "also-good.pt")


def test_each_is_refused_in_one_line_and_bounded_memory(paths, tmp_path):
    """Load all in one process whose address space may grow by one gigabyte; a sparse file of 4 TiB is among them."""
    result = subprocess.run(
        [sys.executable, "-c", LIMIT, *map(str, paths)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    *messages, peak = result.stdout.splitlines()
    assert len(messages) == len(paths)
    for path, message in zip(paths, messages, strict=True):
        assert message.startswith(f"{path}: "), message
        assert "<newline>" not in message
        assert len(message) < 500
        assert message.isprintable()
    assert int(peak) * 1024 < 2_000_000_000, peak
    assert not (tmp_path / hostile_checkpoints.TRAP).exists()
    assert not Path(hostile_checkpoints.TRAP).exists()


@pytest.mark.parametrize("command", ["evaluate", "export", "visualize"])
@pytest.mark.parametrize("name", ["system-in-archive.pt", "fifo.pt", "nan.pt", "cut-at-0.9.pt", "unknown-tensor.pt"])
def test_the_commands_exit_with_2(lba, paths, tmp_path, command, name):
    words = {
        "evaluate": ["evaluate"],
        "export": ["export", "--format", "safetensors", "--output", "x.safetensors"],
        "visualize": ["visualize", "correspondences"],
    }
    started = time.monotonic()
    result = lba(*words[command], "--checkpoint", paths[0].parent / name, status=2)
    assert result.output.startswith("error: ")
    assert len(result.output.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
    assert time.monotonic() - started < 30, "the command hangs"


def test_a_run_is_not_resumed_from_one(lba, small_yaml, store, paths, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "last.pt").write_bytes((paths[0].parent / "system-in-archive.pt").read_bytes())
    result = lba("train", "--resume", "run", "--data", store, status=2)
    assert "could run code" in result.output
    assert not (tmp_path / hostile_checkpoints.TRAP).exists()


@pytest.mark.parametrize("name", ["system-in-archive.pt", "cut-at-0.5.pt", "sparse.pt", "lying.safetensors"])
def test_a_run_does_not_start_from_one(lba, small_yaml, store, paths, tmp_path, name):
    words = ("--config", small_yaml, "--data", store, "--output", "run")
    result = lba("train", *words, "--set", f"model.pretrained={paths[0].parent / name}", status=2)
    assert "error: " in result.output
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / hostile_checkpoints.TRAP).exists()

"""Devices, precision, and memory that is kept between steps."""

import platform
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from lba_cli.compute import arithmetic, mixed_precision, resolve_device, resolve_precision
from lba_cli.errors import ConfigError
from lba_cli.reporting import Silent
from lba_cli.training import loop
from lba_cli.training.run_folder import RunFolder

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "convolutions"), [("float32", False), ("tf32", True), ("bfloat16", True)])
def test_only_convolutions_may_be_rounded_and_the_flags_are_put_back(precision, convolutions):
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with arithmetic(precision, CPU):
        assert torch.backends.cudnn.allow_tf32 is convolutions
        assert torch.backends.cuda.matmul.allow_tf32 is False
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before


NEWER = """
import torch
from lba_cli.compute import arithmetic
torch.backends.cuda.matmul.fp32_precision = "tf32"
switches = torch.backends.cudnn.conv, torch.backends.cuda.matmul
for precision in ("float32", "tf32"):
    before = [each.fp32_precision for each in switches]
    with arithmetic(precision, torch.device("cpu")):
        print([each.fp32_precision for each in switches])
    assert [each.fp32_precision for each in switches] == before
"""


@pytest.mark.skipif(not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="since PyTorch 2.9")
def test_flags_that_were_set_by_their_newer_names():
    """Run in a process of its own, because PyTorch remembers by which name a flag was set."""
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", NEWER], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["['ieee', 'ieee']", "['tf32', 'ieee']"], done.stderr


def test_mixed_precision_rounds_matrix_products_only_when_asked():
    product = {}
    for precision in ("float32", "tf32", "bfloat16"):
        with mixed_precision(precision, CPU):
            product[precision] = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert product == {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}


def test_auto_is_resolved():
    assert resolve_precision("auto", CPU) in ("tf32", "bfloat16")
    assert resolve_precision("float32", CPU) == "float32"
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


CLEARED = """
import resource, sys, torch
from contextlib import nullcontext, suppress
from pathlib import Path
from lba_cli.compute import memory_kept
CPU = torch.device("cpu")
def touch(count):
    torch.ones(count)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
def cleared(count):
    seen = [touch(count) for _ in range(10)]  # small blocks may be in the way of the first
    return seen[-1] - seen[-2]
with suppress(KeyError), memory_kept(CPU) if sys.argv[1] == "keep" else nullcontext():
    within, had = cleared(2**24), resident()
    raise KeyError
given_back = had - resident()
print(within, given_back * resource.getpagesize(), cleared(2**26))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc")
def test_memory_is_kept_for_the_next_tensors_and_given_back_at_the_end():
    """Write 64 MiB again and again in processes of their own: a thousand pages, or 32 huge ones."""
    root = Path(__file__).parent.parent
    seen = {}
    for way in ("keep", "return"):
        words = [sys.executable, "-c", CLEARED, way]
        seen[way] = subprocess.run(words, cwd=root, capture_output=True, check=True).stdout.split()
    (within, given_back, after), (always, _, _) = (map(int, seen[way]) for way in ("keep", "return"))
    assert within < 10 < always
    assert given_back >= 2**26
    assert after > 10  # what doesn't fit into the heap is allocated by the system again


def test_memory_is_kept_within_an_epoch_only(small_run, source, tmp_path, monkeypatch):
    seen = []

    @contextmanager
    def kept(device):
        seen.append(f"kept on {device}")
        yield
        seen.append("given back")

    monkeypatch.setattr(loop, "memory_kept", kept)
    evaluate = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", lambda *given, **more: seen.append("evaluated") or evaluate(*given, **more))
    loop.train(small_run(), source, RunFolder(tmp_path / "run"), Silent())
    assert seen == ["kept on cpu", "given back", "evaluated"] * 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device():
    with pytest.raises(ConfigError, match="sees no CUDA device"):
        resolve_device("cuda:1")

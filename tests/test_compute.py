"""Devices, precision of arithmetic, and memory."""

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
def test_only_convolutions_may_round_and_pytorchs_flags_are_restored(precision, convolutions):
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with arithmetic(precision, CPU):
        assert torch.backends.cudnn.allow_tf32 is convolutions
        assert torch.backends.cuda.matmul.allow_tf32 is False
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before


NEW_FLAGS = """
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


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="since PyTorch 2.9")
def test_flags_that_were_set_by_their_new_names():
    """PyTorch remembers by which names they were set, so this needs a process of its own."""
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", NEW_FLAGS], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["['ieee', 'ieee']", "['tf32', 'ieee']"], done.stderr


def test_mixed_precision_rounds_matrix_products_only_when_asked():
    product = {}
    for precision in ("float32", "tf32", "bfloat16"):
        with mixed_precision(precision, CPU):
            product[precision] = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert product == {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}


@pytest.mark.parametrize(
    ("amx", "avx512", "expected"),
    [(False, False, "tf32"), (True, False, "bfloat16"), (False, True, "bfloat16"), (True, True, "bfloat16")],
)
def test_auto_is_bfloat16_where_the_processor_has_instructions_for_it(monkeypatch, amx, avx512, expected):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    assert resolve_precision("auto", CPU) == expected


def test_auto_is_float32_where_pytorch_does_not_know_the_processor(monkeypatch):
    for flag in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, flag, raising=False)
    assert resolve_precision("auto", CPU) == "tf32"


def test_auto_resolves_to_a_device_and_a_precision():
    assert resolve_precision("auto", CPU) in ("tf32", "bfloat16")
    assert resolve_precision("float32", CPU) == "float32"
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


PAGE_FAULTS = """
import resource, sys, torch
from contextlib import nullcontext, suppress
from pathlib import Path
from lba_cli.compute import keep_memory
CPU = torch.device("cpu")
def touch(count):
    torch.ones(count)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def resident_pages():
    return int(Path("/proc/self/statm").read_text().split()[1])
def cleared(count):
    seen = [touch(count) for _ in range(10)]  # small blocks may be in the way of the first
    return seen[-1] - seen[-2]
with suppress(KeyError), keep_memory(CPU) if sys.argv[1] == "keep" else nullcontext():
    within, before = cleared(2**24), resident_pages()
    raise KeyError
returned = before - resident_pages()
print(within, returned * resource.getpagesize(), cleared(2**26))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_of_freed_tensors_is_reused_and_returned_at_the_end():
    """A process writes 64 MiB repeatedly (a thousand pages, or 32 huge ones) and counts the pages that the system clears."""
    root = Path(__file__).parent.parent
    seen = {}
    for way in ("keep", "return"):
        words = [sys.executable, "-c", PAGE_FAULTS, way]
        seen[way] = subprocess.run(words, cwd=root, capture_output=True, check=True).stdout.split()
    (within, returned, after), (always, _, _) = (map(int, seen[way]) for way in ("keep", "return"))
    assert within < 10 < always
    assert returned >= 2**26
    assert after > 10  # blocks beyond the threshold come from the system again


@pytest.mark.slow
def test_training_keeps_memory_during_steps_and_not_during_evaluations(small_run, source, tmp_path, monkeypatch):
    seen = []

    @contextmanager
    def recorded(device):
        seen.append(f"memory kept on {device}")
        yield
        seen.append("returned")

    monkeypatch.setattr(loop, "keep_memory", recorded)
    evaluate = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", lambda *given, **more: seen.append("evaluated") or evaluate(*given, **more))
    loop.train(small_run(train__evaluate_every=1), source, RunFolder(tmp_path / "run"), Silent())
    assert seen == ["memory kept on cpu", "returned", "evaluated"] * 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_missing_device_is_refused():
    with pytest.raises(ConfigError, match="finds no CUDA device"):
        resolve_device("cuda:1")

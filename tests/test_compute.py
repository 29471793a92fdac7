"""Devices, precision of arithmetic, and memory."""

import platform
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from lba_cli.compute import arithmetic, exact_arithmetic, mixed_precision, own_device, resolve_device, resolve_precision
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


def test_exact_arithmetic_does_not_round_even_if_the_program_allows_it():
    """As it does under TORCH_ALLOW_TF32_CUBLAS_OVERRIDE, which some containers set."""
    before, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, True
    try:
        with exact_arithmetic(CPU):
            assert not torch.backends.cudnn.allow_tf32
            assert not torch.backends.cuda.matmul.allow_tf32
            assert torch.is_inference_mode_enabled()
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


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


@pytest.fixture
def two_gpus(monkeypatch):
    """Pretend that there are two GPUs, of which only the second has bfloat16. Return a list whose last entry is the current GPU."""
    current = [0]

    @contextmanager
    def device(chosen):
        current.append(torch.device(chosen).index or 0)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda chosen: current.append(torch.device(chosen).index))
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: current[-1] == 1)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    return current


def test_a_gpu_with_a_number_becomes_the_current_one(two_gpus):
    assert own_device("cuda") == torch.device("cuda")
    assert two_gpus == [0]
    assert own_device("cuda:1") == torch.device("cuda:1")
    assert two_gpus == [0, 1]


def test_the_chosen_gpu_decides_on_bfloat16(two_gpus):
    """PyTorch refuses an autocast to bfloat16 where the current GPU lacks it."""
    assert resolve_precision("auto", torch.device("cuda:0")) == "tf32"
    assert resolve_precision("auto", torch.device("cuda:1")) == "bfloat16"
    assert mixed_precision("auto", torch.device("cuda:1"))._enabled
    assert two_gpus == [0]


@pytest.mark.parametrize("number", [2, 128, 255, 256])
def test_a_gpu_that_is_not_there_is_refused(two_gpus, number):
    """PyTorch takes numbers modulo 256."""
    with pytest.raises(ConfigError, match=f"cuda:{number}: there is no such device; the last one is cuda:1"):
        resolve_device(f"cuda:{number}")


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

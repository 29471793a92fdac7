"""Run commands without enough files, memory, shared memory or workers, and check their messages and what they leave.

    python tests/reliability/limited_resources.py [--only limits files workers 'shared memory']

A command must exit with status 2 and one line, and leave no process and no half-written file; a training run must leave a whole
last state. Where a limit is loose enough, the command may succeed. The script prints one line per case and exits with status 1
if a case fails. It needs Linux; the cases of shared memory need ``unshare``.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from reliability.processes import LOG, children_of, exit_status, finish, left_in_session, make_data, start
from small_setup import HEIGHT, WIDTH

from lba_cli.data.store import StoredImages
from lba_cli.model.checkpoint import read_checkpoint

INSIDE = "LBA_INSIDE_A_NAMESPACE"
SIZE = ("--set", f"data.height={HEIGHT}", "--set", f"data.width={WIDTH}")
WORKERS = ("--set", "data.workers=2")
MIB = 2**20


def commands(base: Path) -> dict[str, tuple[object, ...]]:
    """Return the words of each command, which writes into the current folder."""
    long = ("--set", "train.steps_per_epoch=40", "--set", "train.checkpoint_minutes=0.001")
    data = ("--data", base / "store", *WORKERS)
    return {
        "train": ("train", "--config", base / "small.yaml", *data, *long, "--output", "run"),
        "evaluate": ("evaluate", "--checkpoint", base / "run", *data, "--json", "figures.json"),
        "prepare": ("prepare", "sysu", "--root", base / "tiny", *SIZE, "--output", "store", "--workers", 2),
    }


def few_files(more: int) -> None:
    """Let this process open only ``more`` further files."""
    limit = len(os.listdir("/proc/self/fd")) + more  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def little_memory(more: int) -> None:
    """Let this process's address space grow by ``more`` bytes only."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))


def judge(folder: Path, process: int, status: int, *, may_succeed: bool) -> str:
    """Return what is wrong with how a command ended, or an empty string."""
    log = (folder / LOG).read_text()
    if status == 0 and may_succeed:
        return ""
    errors = [line for line in log.splitlines() if line.startswith(("error", "internal"))]
    problems = []
    if status != 2:
        problems.append(f"exit status {status}")
    own = log.split("/multiprocessing/util.py")[0].rsplit("Traceback", 1)[0] if "_run_finalizers" in log else log
    if (
        len(errors) != 1 or not errors[0].startswith("error: ") or "Traceback" in own
    ):  # Python's own exit handlers may need files
        problems.append(f"said {log[-1500:]!r}")
    for _ in range(50):
        if not (left := left_in_session(process)):
            break
        time.sleep(0.1)
    if left:
        problems.append(f"left running {left}")
    last = folder / "run" / "checkpoints" / "last.pt"
    if last.exists():
        read_checkpoint(last)
    if (folder / "store").exists():
        StoredImages(folder / "store")  # written, but there was no memory left to report it
    files = [str(path.relative_to(folder)) for path in folder.iterdir() if path.name not in (LOG, "run", "store")]
    if files := files + [str(path.relative_to(folder)) for path in folder.rglob(".*")]:
        problems.append(f"left behind {files}")
    return "; ".join(problems)


def under(base: Path, words: tuple[object, ...], before: Callable[[], object]) -> tuple[int, str]:
    """Run a command after ``before``; return its exit status, and what is wrong with how it ended."""
    folder = Path(tempfile.mkdtemp(dir=base))
    process = start(folder, *words, before=before)
    status = exit_status(process)
    return status, judge(folder, process, status, may_succeed=True)


def limits(base: Path) -> Iterator[tuple[str, str]]:
    """Run every command under limits from tight to loose; it must fail under the tightest."""
    makers: dict[str, tuple[Callable[[int], None], tuple[int, ...]]] = {
        "files": (few_files, (0, 3, 6, 10, 16)),
        "memory": (little_memory, (MIB, 20 * MIB, 60 * MIB, 150 * MIB)),
    }
    for what, (limit, amounts) in makers.items():
        for command, words in commands(base).items():
            statuses = []
            for more in amounts:
                status, problems = under(base, words, lambda limit=limit, more=more: limit(more))
                statuses.append(status)
                yield f"{command}, {what}: {more:,} more", problems
            yield f"{command}, {what}", "" if 2 in statuses else f"was never short: {statuses}"


def killed_worker(base: Path, words: tuple[object, ...], chance: random.Random) -> str:
    """Send SIGKILL to one worker of a command; return what is wrong with how the command ends, or an empty string."""
    folder = Path(tempfile.mkdtemp(dir=base))
    process = start(folder, *words)
    until = time.monotonic() + 60
    workers: list[int] = []
    while len(workers) < 2 and time.monotonic() < until:
        time.sleep(0.02)
        workers = [number for number, line in children_of(process).items() if "resource_tracker" not in line]
    if len(workers) < 2:
        os.kill(process, signal.SIGKILL)
        return f"there were never two workers: exit status {exit_status(process)}"
    time.sleep(chance.uniform(0, 0.5))
    os.kill(chance.choice(workers), signal.SIGKILL)
    return judge(folder, process, exit_status(process), may_succeed=False)


def workers(base: Path) -> Iterator[tuple[str, str]]:
    """Kill a worker of each command that has long-lived workers."""
    chance = random.Random(0)
    every = commands(base)
    for command in ("train", "prepare"):
        words = (*every[command], "--set", "train.steps_per_epoch=100000") if command == "train" else every[command]
        for attempt in range(2):
            yield f"{command}, a worker killed, {attempt + 1}", killed_worker(base, words, chance)


def shared_memory(base: Path) -> Iterator[tuple[str, str]]:
    """Run the commands that load images in workers, with 128 KiB of shared memory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", "/dev/shm"], check=True)
    for command in ("train", "evaluate"):
        status, problems = under(base, commands(base)[command], lambda: None)
        yield f"{command}, shared memory", problems or ("" if status == 2 else "was never short")


def tightest(base: Path) -> Iterator[tuple[str, str]]:
    """Run every command with only six files to open."""
    for command, words in commands(base).items():
        status, problems = under(base, words, lambda: few_files(6))
        yield f"{command}, six files more", problems or ("" if status == 2 else "was never short")


CASES = {"limits": limits, "files": tightest, "workers": workers, "shared memory": shared_memory}


def main() -> int:
    """Run the cases; those of shared memory run in a namespace of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=CASES, nargs="+", default=["limits", "workers"])
    only = parser.parse_args().only
    if "shared memory" in only and INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--map-root-user", "--mount", sys.executable, *sys.argv])
    base, failed = Path(tempfile.mkdtemp()), 0
    try:
        make_data(base)
        finish(base, "train", "--config", base / "small.yaml", "--data", base / "store", "--output", base / "run")
        for what in only:
            for name, problems in CASES[what](base):
                print(f"{name:40} {problems or 'ok'}", flush=True)
                failed += bool(problems)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

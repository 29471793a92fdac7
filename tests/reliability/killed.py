"""Kill commands with SIGKILL at random moments, go on, and compare with what was never killed, bit for bit.

    python tests/reliability/killed.py [--train 20] [--prepare 10] [--evaluate 10] [--export 10] [--seed 0]

Prints a line a command and exits with 1 if anything differs. Commands run in processes forked from this one, which has the
libraries loaded, so that a kill hits the command and not its imports.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from cases import HEIGHT, WIDTH
from reliability.processes import end, finish, make_data, start

from lba_cli.model.checkpoint import read_checkpoint

SIZE = ("--set", f"data.height={HEIGHT}", "--set", f"data.width={WIDTH}")
RECIPE = ("--set", "train.epochs=3", "--set", "train.steps_per_epoch=4", "--set", "train.checkpoint_minutes=0.001")


def kill(process: int, seconds: float) -> bool:
    """SIGKILL ``process`` after so many seconds; whether it was still there."""
    time.sleep(seconds)
    return end(process)


def kill_in_a_write(process: int, folder: Path, name: str, number: int) -> bool:
    """SIGKILL ``process`` as soon as it writes ``name`` in ``folder`` for the ``number``-th time; whether it did."""
    seen: set[str] = set()
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        seen |= {path.name for path in folder.glob(f".{name}.*")} if folder.is_dir() else set()
        if len(seen) >= number:
            return end(process)
    return False


def same_runs(first: Path, second: Path) -> bool:
    """Whether two runs have the same metrics, to the byte, and the same weights and optimizer states, to the bit."""
    if (first / "metrics.jsonl").read_bytes() != (second / "metrics.jsonl").read_bytes():
        return False
    for name in ("last.pt", "best.pt"):
        one, other = (read_checkpoint(folder / "checkpoints" / name) for folder in (first, second))
        tensors = [list(checkpoint.weights.values()) for checkpoint in (one, other)]
        if name == "last.pt":
            for checkpoint, found in zip((one, other), tensors, strict=True):
                moments = checkpoint.training["optimizer"]["state"]
                found += [moments[number]["momentum_buffer"] for number in sorted(moments)]
        if not all(torch.equal(*pair) for pair in zip(*tensors, strict=True)):
            return False
    return True


def killed_trainings(base: Path, count: int, chance: random.Random) -> int:
    """How many of ``count`` trainings, each killed one to three times, end as the one that was not."""
    train = ("train", "--config", base / "small.yaml", "--data", base / "store", *RECIPE)
    duration = finish(base, *train, "--output", "never-killed")
    same, kills, in_writes = 0, 0, 0
    for number in range(count):
        run, workers = base / f"run{number}", ("--set", f"data.workers={number % 3}")
        for attempt in range(chance.choice((1, 1, 2, 3))):
            words = ("--resume", run) if (run / "config.yaml").exists() else ("--output", run)
            process = start(base, *train, *words, *workers)
            if (number + attempt) % 3 == 0:
                hit = kill_in_a_write(process, run / "checkpoints", "last.pt", chance.randint(1, 4))
                in_writes += hit
            else:
                hit = kill(process, chance.uniform(0, duration))
            kills += hit
        finish(base, *train, *(("--resume", run) if (run / "config.yaml").exists() else ("--output", run)), *workers)
        left = [path.name for path in run.rglob(".*")]
        same += same_runs(base / "never-killed", run) and not left
        shutil.rmtree(run)
    print(
        f"train: {same} of {count} runs end bit-identical after {kills} kills, {in_writes} of them in a checkpoint write"
    )
    assert kills >= count // 2, "too few were still running when the kill came to show anything"
    return same


def killed_preparations(base: Path, count: int, chance: random.Random) -> int:
    """How many of ``count`` preparations leave nothing or a whole store when killed, and are then made as if never killed."""
    words = ("prepare", "sysu", "--root", base / "tiny", *SIZE, "--npy")
    duration = finish(base, *words, "--output", "prepared")
    same = kills = 0
    for number in range(count):
        store = base / "stores" / f"store{number}"
        kills += kill(start(base, *words, "--output", store, "--workers", 1 + number % 2), chance.uniform(0, duration))
        if store.exists():
            finish(base, *words, "--output", store, "--verify")
        else:
            finish(base, *words, "--output", store)
        names = [path.name for path in (base / "prepared").iterdir()]
        same += all(
            (store / name).read_bytes() == (base / "prepared" / name).read_bytes() for name in names
        ) and not list(store.parent.glob(".*"))
        shutil.rmtree(store)
    print(f"prepare: {same} of {count} stores are as if never killed, after {kills} kills")
    assert kills >= count // 2, "too few were still running when the kill came to show anything"
    return same


def killed_outputs(
    base: Path, what: str, words: tuple[object, ...], name: str, count: int, chance: random.Random
) -> int:
    """How many of ``count`` kills leave the file ``name`` absent or whole, at every moment looked at, and nothing else."""
    folder = base / what
    folder.mkdir()
    duration = finish(folder, *words)
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    same = kills = 0
    for _ in range(count):
        process, until = start(folder, *words), time.monotonic() + chance.uniform(0, duration)
        intact = True
        while time.monotonic() < until:
            if (folder / name).exists():
                intact &= (folder / name).read_bytes() == whole
            time.sleep(0.002)
        kills += end(process)
        intact &= not (folder / name).exists() or (folder / name).read_bytes() == whole
        (folder / name).unlink(missing_ok=True)
        finish(folder, *words)
        left = [path.name for path in folder.iterdir() if path.name not in (name, "log.txt")]
        same += intact and (folder / name).read_bytes() == whole and not left
        (folder / name).unlink()
    print(f"{what}: {same} of {count} outputs were absent or whole at every moment, after {kills} kills")
    assert kills >= count // 2, "too few were still running when the kill came to show anything"
    return same


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, count in (("train", 20), ("prepare", 10), ("evaluate", 10), ("export", 10), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=count)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    base = Path(tempfile.mkdtemp())  # not TemporaryDirectory, which a forked process would remove at its end
    try:
        make_data(base)
        good = killed_trainings(base, asked.train, chance) == asked.train
        if asked.prepare:
            good &= killed_preparations(base, asked.prepare, chance) == asked.prepare
        checkpoint = ("--checkpoint", base / "never-killed" / "checkpoints" / "best.pt")
        if asked.evaluate:
            words = ("evaluate", *checkpoint, "--data", base / "store", "--json", "figures.json")
            good &= killed_outputs(base, "evaluate", words, "figures.json", asked.evaluate, chance) == asked.evaluate
        if asked.export:
            words = ("export", *checkpoint, "--format", "safetensors", "--output", "net.safetensors", "--no-card")
            good &= killed_outputs(base, "export", words, "net.safetensors", asked.export, chance) == asked.export
    finally:
        shutil.rmtree(base)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

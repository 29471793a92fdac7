"""Kill commands with SIGKILL at random moments, continue them, and compare bit for bit with commands that were never killed.

    python tests/reliability/killed.py [--train 20] [--prepare 10] [--evaluate 10] [--export 10] [--report 5]
        [--embed 20] [--search 10] [--seed 0]

The script prints one line per command and exits with status 1 if anything differs. Commands run in processes forked from this
one, which has the libraries loaded, so that a kill hits the command's work and not its imports.
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
from reliability.processes import LOG, end, finish, make_data, start
from small_setup import HEIGHT, WIDTH

from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.search.index import open_index

SIZE = ("--set", f"data.height={HEIGHT}", "--set", f"data.width={WIDTH}")
RECIPE = ("--set", "train.epochs=3", "--set", "train.steps_per_epoch=4", "--set", "train.checkpoint_minutes=0.001")


def kill(process: int, seconds: float) -> bool:
    """Send SIGKILL to ``process`` after ``seconds``; return whether it was still running."""
    time.sleep(seconds)
    return end(process)


def kill_in_a_write(process: int, folder: Path, name: str, number: int) -> bool:
    """Send SIGKILL to ``process`` when it writes ``name`` in ``folder`` for the ``number``-th time; return whether it did."""
    seen: set[str] = set()
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        seen |= {path.name for path in folder.glob(f".{name}.*")} if folder.is_dir() else set()
        if len(seen) >= number:
            return end(process)
    return False


def same_runs(first: Path, second: Path) -> bool:
    """Return whether two runs have the same metrics, weights and optimizer states, bit for bit."""
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
    """Kill each of ``count`` runs one to three times; return how many end like the run that was never killed."""
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
    assert kills >= count // 2, "too many commands had ended before they were killed"
    return same


def killed_preparations(base: Path, count: int, chance: random.Random) -> int:
    """Kill ``count`` preparations; return how many leave nothing or a whole store, and then end as if never killed."""
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
    assert kills >= count // 2, "too many commands had ended before they were killed"
    return same


def killed_outputs(
    base: Path, what: str, words: tuple[object, ...], name: str, count: int, chance: random.Random
) -> int:
    """Kill a command ``count`` times; return how often the file ``name`` was absent or whole at every moment, and alone."""
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
    assert kills >= count // 2, "too many commands had ended before they were killed"
    return same


def killed_embeddings(base: Path, checkpoint: tuple[object, ...], count: int, chance: random.Random) -> int:
    """Kill each of ``count`` embeddings one to three times; return how many end with the same bytes when continued."""
    words = ("embed", base / "tiny", "--modality", "visible", *checkpoint, "--set", "evaluation.batch_size=8")
    same = kills = continued = 0
    for ending in ("npz", "csv"):
        duration = finish(base, *words, "--output", f"whole.{ending}")
        for number in range(ending == "csv", count, 2):
            folder = base / f"embedded{number}"
            folder.mkdir()
            output = folder / f"vectors.{ending}"
            for _ in range(chance.choice((1, 1, 2, 3))):
                kills += kill(start(folder, *words, "--output", output), chance.uniform(0, duration))
                intact = not output.exists() or output.read_bytes() == (base / f"whole.{ending}").read_bytes()
                if output.exists():
                    break
            if not output.exists():
                finish(folder, *words, "--output", output)
                continued += "continuing after" in (folder / LOG).read_text()
            left = {path.name for path in folder.iterdir()} - {LOG, output.name}
            same += intact and output.read_bytes() == (base / f"whole.{ending}").read_bytes() and not left
            shutil.rmtree(folder)
    print(
        f"embed: {same} of {count} files are as if never killed, after {kills} kills, {continued} were continued in the middle"
    )
    assert kills >= count // 2, "too many commands had ended before they were killed"
    return same


def killed_indexes(base: Path, checkpoint: tuple[object, ...], count: int, chance: random.Random) -> int:
    """Kill builds of and additions to ``count`` indexes; return how many are absent, old or new, and then end as if never killed."""

    def content() -> tuple[list[str], bytes]:
        opened = open_index(folder / "gallery", fully=True)
        return opened.paths, opened.vectors.tobytes()

    folder = base / "indexes"
    folder.mkdir()
    build = ("search", "build", base / "tiny" / "cam1", "--index", "gallery", "--modality", "visible", *checkpoint)
    add = ("search", "add", "gallery", base / "tiny" / "cam2")
    same = kills = 0
    durations, wanted = [], []
    for words in (build, add):
        durations.append(finish(folder, *words))
        wanted.append(content())
    for _ in range(count):
        shutil.rmtree(folder / "gallery")
        kills += kill(start(folder, *build), chance.uniform(0, durations[0]))
        good = not (folder / "gallery").exists() or content() == wanted[0]
        if not (folder / "gallery").exists():
            finish(folder, *build)
        kills += kill(start(folder, *add), chance.uniform(0, durations[1]))
        good &= content() in wanted
        finish(folder, *add)
        good &= content() == wanted[1] and len(list((folder / "gallery").iterdir())) == 3
        same += good and {path.name for path in folder.iterdir()} == {LOG, "gallery"}
    print(f"search: {same} of {count} indexes were absent, old or new, and are as if never killed, after {kills} kills")
    assert kills >= count // 2, "too many commands had ended before they were killed"
    return same


def main() -> int:
    """Run the experiments that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    counts = {
        "train": 20,
        "prepare": 10,
        "evaluate": 10,
        "export": 10,
        "report": 5,
        "embed": 20,
        "search": 10,
        "seed": 0,
    }
    for name, count in counts.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    base = Path(tempfile.mkdtemp())  # a forked process would remove a TemporaryDirectory when it ends
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
        if asked.report:
            words = ("visualize", "report", *checkpoint, "--data", base / "store", "--output", "report.html")
            good &= killed_outputs(base, "report", words, "report.html", asked.report, chance) == asked.report
        if asked.embed:
            good &= killed_embeddings(base, checkpoint, asked.embed, chance) == asked.embed
        if asked.search:
            good &= killed_indexes(base, checkpoint, asked.search, chance) == asked.search
    finally:
        shutil.rmtree(base)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

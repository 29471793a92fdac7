"""Stop every command with SIGINT and with SIGTERM in the middle of its work, and check how it ends.

    python tests/reliability/stopped.py [--only COMMAND …] [--seed 0]

A command must exit with status 130 or 143 within seconds, and leave no process and no half-written file. A training run and an
embedding must leave a state to continue from. The script prints one line per command and signal, and exits with status 1 if a
command ends otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from reliability.processes import LOG, end, exit_status, finish, left_in_session, make_data, start
from small_setup import HEIGHT, WIDTH

SECONDS = 10.0
ENDED_BEFORE = "it had ended before"
SIZE = ("--set", f"data.height={HEIGHT}", "--set", f"data.width={WIDTH}")


def commands(base: Path) -> dict[str, tuple[object, ...]]:
    """Return the words of each command, with options that make it last long enough."""
    checkpoint = ("--checkpoint", base / "run", "--data", base / "store")
    gallery = ("--modality", "visible", "--checkpoint", base / "run", "--set", "evaluation.batch_size=4")
    long = ("--set", "train.steps_per_epoch=300", "--set", "data.workers=2")
    return {
        "prepare sysu": ("prepare", "sysu", "--root", base / "tiny", *SIZE, "--output", "store", "--workers", 2),
        "prepare synthetic": ("prepare", "synthetic", "--preset", "small", "--output", "people"),
        "train": ("train", "--config", base / "small.yaml", "--data", base / "store", "--output", "run", *long),
        "evaluate": ("evaluate", *checkpoint, "--mode", "all", "--json", "figures.json", "--set", "data.workers=2"),
        "export": ("export", "--checkpoint", base / "run", "--format", "pt2", "--output", "net.pt2"),
        "visualize": ("visualize", "ranking", *checkpoint, "--output", "ranking.png", "--set", "data.workers=2"),
        "visualize report": ("visualize", "report", *checkpoint, "--output", "report.html"),
        "embed": ("embed", base / "tiny", *gallery, "--output", "vectors.npz"),
        "search build": ("search", "build", base / "tiny", *gallery, "--index", "gallery"),
        "demo": ("demo", "--output", "demo"),
    }


def cpu_time(process: int) -> float:
    """Return the seconds of CPU time that ``process`` has used."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def stop(folder: Path, words: tuple[object, ...], number: signal.Signals, seconds: float) -> str:
    """Stop a command after ``seconds``; return ``ok`` and the time it took to end, or what is wrong."""
    process = start(folder, *words)
    if words[0] == "train":  # on a busy machine it may not have begun when a fixed time is over
        while (
            os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and cpu_time(process) < seconds
        ):
            time.sleep(0.01)
    else:
        time.sleep(seconds)
    if os.waitpid(process, os.WNOHANG) != (0, 0):
        return ENDED_BEFORE
    sent = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(process, number)  # like Ctrl-C in a terminal, which reaches every process of the group
    else:
        os.kill(process, number)
    while not os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if time.monotonic() - sent > SECONDS:
            end(process)
            return f"it ran on for {SECONDS:.0f} seconds"
        time.sleep(0.01)
    took, status = time.monotonic() - sent, exit_status(process)
    if status == 0:
        return ENDED_BEFORE
    time.sleep(0.5)
    log = (folder / LOG).read_text()
    problems = []
    if status != 128 + number:
        problems.append(f"exit status {status}")
    if left := left_in_session(process):
        problems.append(f"left running: {left}")
    if "Traceback" in log:
        problems.append("a traceback")
    files = [str(path.relative_to(folder)) for path in folder.iterdir() if path.name not in (LOG, "run", "demo")]
    hidden = [str(path.relative_to(folder)) for path in folder.rglob(".*")]
    if words[0] in ("embed", "search") and hidden == [f".{words[-1]}.unfinished"]:
        hidden, files = [], [name for name in files if not name.startswith(".")]
        finish(folder, *words)
        if list(folder.glob(".*")) or not (folder / str(words[-1])).exists():
            problems.append("it can't be continued")
    if files or hidden:
        problems.append(f"left behind: {files + hidden}")
    if words[0] == "train" and not (folder / "run" / "checkpoints" / "last.pt").is_file():
        problems.append("no state saved")
    return "; ".join(problems) or f"ok, {took:.1f} s"


def main() -> int:
    """Stop each command with both signals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="COMMAND", help="stop these commands only")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    bad = 0
    base = Path(tempfile.mkdtemp())  # a forked process would remove a TemporaryDirectory when it ends
    try:
        make_data(base)
        chosen = {name: words for name, words in commands(base).items() if name in (asked.only or commands(base))}
        if any(base / "run" in words for words in chosen.values()):
            finish(base, "train", "--config", base / "small.yaml", "--data", base / "store", "--output", base / "run")
        for command, words in chosen.items():
            seconds = 3.0
            if command not in ("train", "demo", "prepare synthetic"):  # these three last long enough
                folder = base / "whole" / command
                folder.mkdir(parents=True)
                seconds = finish(folder, *words)
            for number in (signal.SIGINT, signal.SIGTERM):
                delay, ending = chance.uniform(0.3, 0.8) * seconds, ENDED_BEFORE
                while ending == ENDED_BEFORE and delay > 0.01:
                    folder = Path(tempfile.mkdtemp(dir=base))
                    ending = stop(folder, words, number, delay)
                    delay /= 2
                bad += not ending.startswith("ok")
                print(f"{command:18} {number.name:8} {ending}", flush=True)
                if not ending.startswith("ok"):
                    print((folder / LOG).read_text())
    finally:
        shutil.rmtree(base)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

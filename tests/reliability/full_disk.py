"""Run every command that writes on a disk that fills up, and check its message and what it leaves.

    python tests/reliability/full_disk.py [--only WORD …] [--shares 0 0.02 0.5 0.9]

The disk is a small tmpfs, mounted in a namespace of its own, so this needs Linux and ``unshare``. Each command runs with several
amounts of free space, from none to nearly enough. It must exit with status 2 and one line, leave all existing files as they
were, and leave nothing new except a run or an embedding that can be continued, or finished parts of the demo. With enough
space it must then succeed. The script prints one line per case and exits with status 1 if a case fails.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from reliability.processes import LOG, exit_status, finish, make_data, start
from small_setup import HEIGHT, WIDTH

INSIDE = "LBA_INSIDE_A_NAMESPACE"
SIZE = ("--set", f"data.height={HEIGHT}", "--set", f"data.width={WIDTH}")
SHARES = (0.0, 0.02, 0.5, 0.9)


def commands(base: Path) -> dict[str, tuple[object, ...]]:
    """Return the words of each command, which writes into the current folder."""
    checkpoint = ("--checkpoint", base / "run")
    data = ("--data", base / "store")
    train = ("train", "--config", base / "small.yaml", *data)
    pictures = {
        f"visualize {what} {kind}": ("visualize", what, *checkpoint, *data, "--output", f"picture.{kind}")
        for what, kind in (("correspondences", "png"), ("ranking", "pdf"), ("masks", "svg"))
    }
    visible = ("--modality", "visible", *checkpoint)
    return {
        "prepare": ("prepare", "sysu", "--root", base / "tiny", *SIZE, "--output", "store", "--workers", 1),
        "prepare with workers": (
            "prepare",
            "sysu",
            "--root",
            base / "tiny",
            *SIZE,
            "--output",
            "store",
            "--workers",
            2,
        ),
        "prepare --npy": (
            "prepare",
            "sysu",
            "--root",
            base / "tiny",
            *SIZE,
            "--output",
            "store",
            "--npy",
            "--workers",
            1,
        ),
        "prepare synthetic": ("prepare", "synthetic", "--preset", "tiny", "--output", "people", "--workers", 1),
        "train": (*train, "--output", "run"),
        "train, tensorboard": (*train, "--output", "run", "--set", "train.tensorboard=true"),
        "evaluate --json": ("evaluate", *checkpoint, *data, "--json", "figures.json"),
        "export safetensors": ("export", *checkpoint, "--format", "safetensors", "--output", "net.safetensors"),
        "export onnx": ("export", *checkpoint, "--format", "onnx", "--output", "net.onnx"),
        "export pt2": ("export", *checkpoint, "--format", "pt2", "--output", "net.pt2"),
        "embed npz": ("embed", base / "tiny", *visible, "--output", "x.npz"),
        "embed csv": ("embed", base / "tiny", *visible, "--output", "x.csv"),
        "search build": ("search", "build", base / "tiny", *visible, "--index", "new"),
        "search build faiss": ("search", "build", base / "tiny", *visible, "--index", "new", "--engine", "faiss"),
        "search add": ("search", "add", "gallery", base / "tiny", *checkpoint),
        "search remove": ("search", "remove", "gallery", base / "tiny" / "cam1" / "*" / "*1.jpg"),
        **pictures,
        "visualize report": ("visualize", "report", *checkpoint, *data, "--output", "report.html"),
        "visualize curves": ("visualize", "curves", "--run", base / "run", "--output", "picture.png"),
        "demo": ("demo", "--output", "demo"),
    }


def try_with(room: int, total: int, disk: Path, words: tuple[object, ...], log: Path) -> str:
    """Run a command with ``room`` bytes free on ``disk``; return what went wrong, or an empty string."""
    fill(disk / "filler", total - room)
    before = digests(disk)
    log.unlink(missing_ok=True)
    status = exit_status(start(disk, *words, log=log))
    output = log.read_text()
    errors = [line for line in output.splitlines() if line.startswith(("error", "internal"))]
    problems = []
    if status != 2:
        problems.append(f"exit status {status}")
    if "Traceback" in output or len(errors) != 1 or "disk is full" not in errors[0]:
        problems.append(f"said {output[-300:]!r}")
    after = digests(disk)
    if changed := [name for name in before if after.get(name) != before[name]]:
        problems.append(f"changed {changed}")
    new = sorted(after.keys() - before.keys())
    if words[0] == "embed" or words[:2] == ("search", "build"):
        problems += continued(disk, words, log)
        new = []
    elif words[0] not in ("train", "demo") and new:
        problems.append(f"left {new[:5]}")
    if half := [name for name in new if any(part.startswith(".") for part in Path(name).parts)]:
        problems.append(f"left half-written {half[:5]}")
    if words[0] == "train" and new:
        (disk / "filler").unlink()
        if exit_status(start(disk, "train", "--resume", "run", log=log)):
            problems.append(f"can't be resumed: {log.read_text()[-300:]!r}")
    for path in disk.iterdir():
        if path.name not in {Path(name).parts[0] for name in before}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return "; ".join(problems)


def continued(disk: Path, words: tuple[object, ...], log: Path) -> list[str]:
    """Continue an embedding with enough space; return how it differs from one that was never stopped."""
    place = 1 + words.index("--output" if words[0] == "embed" else "--index")
    output = disk / str(words[place])
    whole = disk / f"whole{output.suffix}"
    if output.exists():
        return ["left its output"]
    (disk / "filler").unlink()
    for each in (words, (*words[:place], whole.name, *words[place + 1 :])):
        if exit_status(start(disk, *each, log=log)):
            return [f"can't be continued: {log.read_text()[-300:]!r}"]
    same = digests(output) == digests(whole) if output.is_dir() else output.read_bytes() == whole.read_bytes()
    return [] if same and not list(disk.glob(".*")) else ["ends with another output, or leaves its state behind"]


def fill(path: Path, size: int) -> None:
    """Make ``path`` take up ``size`` bytes, or all free space if there is less."""
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(1, size))
        except OSError:
            while True:
                try:
                    os.write(file.fileno(), bytes(4096))
                except OSError:
                    return


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below ``folder``, hidden ones included."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def used(folder: Path) -> int:
    """Return the bytes in use on the disk at ``folder``."""
    stat = os.statvfs(folder)
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize


def every_case(base: Path, only: Sequence[str], shares: Sequence[float]) -> int:
    """Run the commands whose names contain one of the words ``only``, each with these shares of the space it needs; count the failures."""
    make_data(base)
    log = base / LOG
    chosen = {name: words for name, words in commands(base).items() if matches(name, only)}
    if any(word in words for words in chosen.values() for word in (base / "run", "gallery")):
        finish(base, "train", "--config", base / "small.yaml", "--data", base / "store", "--output", base / "run")
    if any("gallery" in words for words in chosen.values()):
        model = ("--modality", "visible", "--checkpoint", base / "run")
        finish(base, "search", "build", base / "tiny" / "cam1", "--index", base / "gallery", *model)
    failed = 0
    for name, words in chosen.items():
        disk = base / "disk"
        disk.mkdir()
        size = 600 if name.startswith(("train", "demo")) else 120
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(disk)], check=True)
        (disk / "mine.txt").write_text("a file of the user's")
        mine = {"mine.txt"}
        if words[:2] in (("search", "add"), ("search", "remove")):
            shutil.copytree(base / "gallery", disk / "gallery")
            mine.add("gallery")
        before = used(disk)
        total = os.statvfs(disk).f_bfree * os.statvfs(disk).f_frsize
        needed = 30_000_000
        if name != "demo":
            status = exit_status(start(disk, *words, log=log))
            assert status == 0, (name, log.read_text())
            needed = used(disk) - before
            if "gallery" in mine:  # its new files lie beside the old ones for a while
                needed = sum(path.stat().st_size for path in (disk / "gallery").iterdir())
                shutil.rmtree(disk / "gallery")
                shutil.copytree(base / "gallery", disk / "gallery")
            for path in disk.iterdir():
                if path.name not in mine:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        for share in shares if needed > 100_000 else (0.0,):
            problems = try_with(int(share * needed), total, disk, words, log)
            failed += bool(problems)
            print(f"{name:28} room for {share:4.0%}: {problems or 'ok'}", flush=True)
        subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()
    return failed + (resuming(base, log) if matches("train, resumed", only) else 0)


def matches(name: str, only: Sequence[str]) -> bool:
    return any(word in name for word in only)


def resuming(base: Path, log: Path) -> int:
    """Fill the disk under a resumed run: it must keep its last state, and continue once there is space."""
    disk = base / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(disk)], check=True)
    train = ("train", "--config", base / "small.yaml", "--data", base / "store")
    finish(disk, *train, "--output", "run")
    (disk / LOG).unlink()
    last = disk / "run" / "checkpoints" / "last.pt"
    last.with_name("previous.pt").unlink()  # otherwise its space would be reused
    good, room = last.read_bytes(), os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    failed = 0
    for left in (0, 10_000_000):
        fill(disk / "filler", room - left)
        status = exit_status(start(disk, "train", "--resume", "run", "--set", "train.epochs=3", log=log))
        message = log.read_text().strip().splitlines()[-1]
        ok = status == 2 and message.startswith("error: the disk is full") and last.read_bytes() == good
        ok &= not list((disk / "run").rglob(".*"))
        print(f"{'train, resumed':28} room for {left:,} bytes: {'ok' if ok else (status, message)}", flush=True)
        failed += not ok
        (disk / "filler").unlink()
    finish(disk, "train", "--resume", "run", "--set", "train.epochs=3")
    subprocess.run(["umount", str(disk)], check=True)
    return failed


def main() -> int:
    """Run the cases in a namespace of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        default=[""],
        metavar="WORD",
        help="run the commands whose names contain one of these words",
    )
    parser.add_argument(
        "--shares", type=float, nargs="+", default=SHARES, help="free space, as shares of what is needed"
    )
    asked = parser.parse_args()
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--map-root-user", "--mount", sys.executable, *sys.argv])
    base = Path(tempfile.mkdtemp())
    try:
        return 1 if every_case(base, asked.only, asked.shares) else 0
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

"""Fill the disk under every command that writes: what is said, and what is left.

    python tests/reliability/full_disk.py [--only WORD]

Mounts a tmpfs of a few megabytes in a namespace of its own (so it needs Linux and ``unshare``), and for each command leaves
several amounts of room, from none to nearly enough. Each must exit with 2 and one line, leave every file that was there as it was,
and leave nothing new behind but a run or an embedding that can be gone on with, or the demo's finished parts; with room enough it must
then succeed. Prints a line a case, and exits with 1 if one fails.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from reliability.processes import LOG, exit_status, finish, make_data, start
from small_setup import HEIGHT, WIDTH

INSIDE = "LBA_INSIDE_A_NAMESPACE"
SIZE = ("--set", f"data.height={HEIGHT}", "--set", f"data.width={WIDTH}")
SHARES = (0.0, 0.02, 0.5, 0.9)


def commands(base: Path) -> dict[str, tuple[object, ...]]:
    """Each command's words; what it writes goes into the current folder."""
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
    """Run a command with ``room`` bytes left on ``disk``; what went wrong, or nothing."""
    fill(disk / "filler", total - room)
    before = digests(disk)
    log.unlink(missing_ok=True)
    status = exit_status(start(disk, *words, log=log))
    told = log.read_text()
    errors = [line for line in told.splitlines() if line.startswith(("error", "internal"))]
    problems = []
    if status != 2:
        problems.append(f"exit status {status}")
    if "Traceback" in told or len(errors) != 1 or "disk is full" not in errors[0]:
        problems.append(f"said {told[-300:]!r}")
    after = digests(disk)
    if changed := [name for name in before if after.get(name) != before[name]]:
        problems.append(f"changed {changed}")
    new = sorted(after.keys() - before.keys())
    if words[0] == "embed":
        problems += gone_on_with(disk, words, log)
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


def gone_on_with(disk: Path, words: tuple[object, ...], log: Path) -> list[str]:
    """What goes wrong when an embedding goes on, with room enough, and is compared with one that was never stopped."""
    output = disk / str(words[-1])
    if output.exists():
        return ["left its output"]
    (disk / "filler").unlink()
    for each in (words, (*words[:-1], f"whole{output.suffix}")):
        if exit_status(start(disk, *each, log=log)):
            return [f"can't go on: {log.read_text()[-300:]!r}"]
    same = output.read_bytes() == (disk / f"whole{output.suffix}").read_bytes()
    return [] if same and not list(disk.glob(".*")) else ["goes on to another file, or leaves its state"]


def fill(path: Path, size: int) -> None:
    """Make ``path`` take up ``size`` bytes, or whatever there is."""
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
    """The SHA-256 of every file below ``folder``, hidden ones too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def used(folder: Path) -> int:
    """The bytes on the disk at ``folder``."""
    stat = os.statvfs(folder)
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize


def every_case(base: Path, only: str) -> int:
    """Run the cases; how many of them fail."""
    make_data(base)
    log = base / LOG
    finish(base, "train", "--config", base / "small.yaml", "--data", base / "store", "--output", base / "run")
    model = ("--modality", "visible", "--checkpoint", base / "run")
    finish(base, "search", "build", base / "tiny" / "cam1", "--index", base / "gallery", *model)
    failed = 0
    for name, words in commands(base).items():
        if only not in name:
            continue
        disk = base / "disk"
        disk.mkdir()
        size = 600 if name.startswith(("train", "demo")) else 120
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(disk)], check=True)
        (disk / "mine.txt").write_text("what the user had")
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
            if "gallery" in mine:  # whose new files lie beside the old ones for a while
                needed = sum(path.stat().st_size for path in (disk / "gallery").iterdir())
                shutil.rmtree(disk / "gallery")
                shutil.copytree(base / "gallery", disk / "gallery")
            for path in disk.iterdir():
                if path.name not in mine:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        for share in SHARES if needed > 100_000 else SHARES[:1]:
            told = try_with(int(share * needed), total, disk, words, log)
            failed += bool(told)
            print(f"{name:28} room for {share:4.0%}: {told or 'ok'}", flush=True)
        subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()
    return failed + (resuming(base, log) if only in "train, resumed" else 0)


def resuming(base: Path, log: Path) -> int:
    """A run whose disk fills up keeps its last state whole, and goes on once there is room."""
    disk = base / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(disk)], check=True)
    train = ("train", "--config", base / "small.yaml", "--data", base / "store")
    finish(disk, *train, "--output", "run")
    (disk / LOG).unlink()
    last = disk / "run" / "checkpoints" / "last.pt"
    last.with_name("previous.pt").unlink()  # or its place would be taken
    good, room = last.read_bytes(), os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    failed = 0
    for left in (0, 10_000_000):
        fill(disk / "filler", room - left)
        status = exit_status(start(disk, "train", "--resume", "run", "--set", "train.epochs=3", log=log))
        told = log.read_text().strip().splitlines()[-1]
        ok = status == 2 and told.startswith("error: the disk is full") and last.read_bytes() == good
        ok &= not list((disk / "run").rglob(".*"))
        print(f"{'train, resumed':28} room for {left:,} bytes: {'ok' if ok else (status, told)}", flush=True)
        failed += not ok
        (disk / "filler").unlink()
    finish(disk, "train", "--resume", "run", "--set", "train.epochs=3")
    subprocess.run(["umount", str(disk)], check=True)
    return failed


def main() -> int:
    """Enter a namespace and run the cases there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="WORD", help="commands whose name has this word")
    asked = parser.parse_args()
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--map-root-user", "--mount", sys.executable, *sys.argv])
    base = Path(tempfile.mkdtemp())
    try:
        return 1 if every_case(base, asked.only) else 0
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

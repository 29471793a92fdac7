"""The synthetic data set in SYSU-MM01's layout: what is on disk, and what that depends on."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

import lba_cli
from lba_cli.datasets import sysu
from lba_cli.datasets.synthesize import plan_synthetic, write_synthetic
from lba_cli.datasets.sysu import SYSU
from lba_cli.datasets.sysu_inventory import entries_of_size, sysu_inventory
from lba_cli.errors import ConfigError, DataError, LbaError
from lba_cli.reporting import Silent
from lba_cli.synthetic import PRESETS, Job

INFRARED = (3, 6)
VISIBLE = (1, 2, 4, 5)
GROUPS = ("train", "val", "test")


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def ids(root: Path, group: str) -> list[int]:
    return [int(word) for word in (root / "exp" / f"{group}_id.txt").read_text().split(",")]


# --- what is on disk ---


def test_every_planned_image_is_there_and_nothing_else(tiny: Path) -> None:
    planned = {tiny / job.path for job in plan_synthetic(SYSU, "tiny").jobs}
    assert set(tiny.rglob("*.jpg")) == planned
    others = {str(path.relative_to(tiny)) for path in tiny.rglob("*") if path.is_file()} - {
        str(path.relative_to(tiny)) for path in planned
    }
    lists = {f"exp/{group}_id.txt" for group in GROUPS}
    assert others == lists | {"exp/rand_perm_cam.mat", "README.txt", "synthetic.json"}


def test_image_names_count_from_one(tiny: Path) -> None:
    for camera in range(1, 7):
        for folder in (tiny / f"cam{camera}").iterdir():
            names = sorted(path.name for path in folder.iterdir())
            assert names == [f"{index:04d}.jpg" for index in range(1, len(names) + 1)]
            assert len(folder.name) == 4


def test_lists_have_every_identity_once_in_ascending_order(tiny: Path) -> None:
    lists = [ids(tiny, group) for group in GROUPS]
    assert [len(each) for each in lists] == [9, 3, 6]
    together = [identity for each in lists for identity in each]
    assert sorted(together) == sorted({job.identity for job in plan_synthetic(SYSU, "tiny").jobs})
    assert all(each == sorted(each) for each in lists)
    assert max(together) > len(together), "the numbers are meant to have gaps"


def test_lists_are_one_line(tiny: Path) -> None:
    assert all((tiny / "exp" / f"{group}_id.txt").read_text().count("\n") == 1 for group in GROUPS)


def test_images_have_the_sizes_of_the_preset(tiny: Path) -> None:
    sizes = set()
    frame = PRESETS["tiny"].frame
    for path in tiny.rglob("*.jpg"):
        with Image.open(path) as image:
            assert image.mode == "RGB"
            assert frame.width[0] <= image.width <= frame.width[1]
            assert frame.height[0] <= image.height <= frame.height[1]
            sizes.add(image.size)
    assert len(sizes) > 20


def test_infrared_images_have_equal_channels_and_visible_ones_do_not(tiny: Path) -> None:
    for path in tiny.rglob("*.jpg"):
        pixels = np.asarray(Image.open(path)).astype(int)
        spread = np.ptp(pixels, axis=2).max()
        assert (spread == 0) == (int(path.parts[-3][3:]) in INFRARED), path


def test_permutations_are_valid(tiny: Path) -> None:
    cameras = loadmat(tiny / "exp" / "rand_perm_cam.mat")["rand_perm_cam"]
    assert cameras.shape == (6, 1)
    counts = Counter((job.camera, job.identity) for job in plan_synthetic(SYSU, "tiny").jobs)
    last = max(job.identity for job in plan_synthetic(SYSU, "tiny").jobs)
    seen = set()
    for camera in range(1, 7):
        cells = cameras[camera - 1, 0]
        assert cells.shape == (last, 1)
        for identity in range(1, last + 1):
            cell, images = cells[identity - 1, 0], counts[camera, identity]
            if images == 0:
                assert cell.shape == (0, 0)
                continue
            assert cell.shape == (10, images)
            assert (np.sort(cell, axis=1) == np.arange(1, images + 1)).all()
            seen.add(cell.tobytes())
    assert len(seen) > 60, "the permutations are all the same"


def test_every_query_has_a_match_in_both_searches(tiny: Path) -> None:
    under = {(job.camera, job.identity) for job in plan_synthetic(SYSU, "tiny").jobs}
    for identity in ids(tiny, "test"):
        for camera in INFRARED:
            excluded = 2 if camera == 3 else None
            assert (camera, identity) not in under or any(
                (other, identity) in under for other in (1, 2) if other != excluded
            )
    assert all(any((camera, identity) in under for identity in ids(tiny, "test")) for camera in range(1, 7))


def test_some_identities_are_absent_from_some_cameras() -> None:
    under = {(job.camera, job.identity) for job in plan_synthetic(SYSU, "tiny").jobs}
    identities = {job.identity for job in plan_synthetic(SYSU, "tiny").jobs}
    assert len(under) < 6 * len(identities)
    for identity in identities:
        assert any((camera, identity) in under for camera in VISIBLE)
        assert any((camera, identity) in under for camera in INFRARED)


def test_the_readme_says_how_to_draw_the_images_again(tiny: Path) -> None:
    note = (tiny / "README.txt").read_text()
    assert "lba prepare synthetic --preset tiny --layout sysu --seed 0" in note


def test_the_summary_counts_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = entries_of_size("tiny")[:2]
    monkeypatch.setattr(sysu, "entries_of_size", lambda _: entries)
    summary = write_synthetic(SYSU, "tiny", tmp_path / "two", workers=1, listener=Silent())
    paths = list((tmp_path / "two").rglob("*.jpg"))
    infrared = [path for path in paths if path.parts[-3] in ("cam3", "cam6")]
    assert (summary.identities, summary.images, summary.infrared) == (2, len(paths), len(infrared))


# --- what it depends on ---


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(tiny: Path, tmp_path: Path) -> None:
    write_synthetic(SYSU, "tiny", tmp_path / "again", seed=0, workers=2, listener=Silent())
    assert digests(tmp_path / "again") == digests(tiny)


def test_another_seed_draws_other_people(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = entries_of_size("tiny")[:2]
    monkeypatch.setattr(sysu, "entries_of_size", lambda _: entries)
    write_synthetic(SYSU, "tiny", tmp_path / "other", seed=1, workers=1, listener=Silent())
    other, first = digests(tmp_path / "other"), digests(tiny)
    images = [name for name in other if name.endswith(".jpg")]
    assert images
    assert not [name for name in images if other[name] == first[name]]


def test_all_images_differ(tiny: Path) -> None:
    images = [digest for name, digest in digests(tiny).items() if name.endswith(".jpg")]
    assert len(set(images)) == len(images)


# --- plans ---


def test_the_full_size_has_the_counts_of_the_real_data_set() -> None:
    jobs = plan_synthetic(SYSU, "sysu").jobs
    assert len(jobs) == len(set(jobs)) == 45_863
    counts = Counter((job.identity, job.camera) for job in jobs)
    for entry in sysu_inventory():
        assert {camera: counts[entry.identity, camera] for camera in range(1, 7)} == entry.images
    group_of = {entry.identity: entry.group for entry in sysu_inventory()}
    trained = Counter(job.camera in INFRARED for job in jobs if group_of[job.identity] in ("train", "val"))
    assert (trained[False], trained[True]) == (22_258, 11_909)
    assert sum(group_of[job.identity] == "test" and job.camera in INFRARED for job in jobs) == 3_803


def test_the_small_preset_has_112_people() -> None:
    groups = Counter(entry.group for entry in entries_of_size("small"))
    assert groups == {"train": 64, "val": 16, "test": 32}
    counts = Counter((job.identity, job.camera) for job in plan_synthetic(SYSU, "small").jobs)
    assert len(counts) == 112 * 6
    assert set(counts.values()) == {5, 6, 7}


def test_jobs_depend_on_the_seed() -> None:
    assert plan_synthetic(SYSU, "tiny", 5).jobs[0] == Job(5, 2, 1, 1, "cam1/0002/0001.jpg")
    assert plan_synthetic(SYSU, "tiny", 5).jobs != plan_synthetic(SYSU, "tiny", 6).jobs


# --- mistakes ---


@pytest.mark.parametrize("content", ["file", "folder"])
def test_existing_output_is_refused_and_untouched(tmp_path: Path, content: str) -> None:
    output = tmp_path / "mine"
    kept = output
    if content == "folder":
        output.mkdir()
        kept = output / "thesis.txt"
    kept.write_text("years of work")
    with pytest.raises(LbaError, match="exists already; name another folder with --output") as caught:
        write_synthetic(SYSU, "tiny", output, workers=1, listener=Silent())
    assert "\n" not in str(caught.value)
    assert kept.read_text() == "years of work"
    assert list(tmp_path.iterdir()) == [output]


def test_an_unknown_preset_is_refused_with_the_valid_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'huge'.*tiny, demo, small, loose, sysu"):
        write_synthetic(SYSU, "huge", tmp_path / "x", workers=1, listener=Silent())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("seed", "workers"), [(-1, 1), (0, 0)])
def test_impossible_numbers_are_refused(tmp_path: Path, seed: int, workers: int) -> None:
    with pytest.raises(ConfigError):
        write_synthetic(SYSU, "tiny", tmp_path / "x", seed=seed, workers=workers, listener=Silent())
    assert not list(tmp_path.iterdir())


class _Impatient(Silent):
    """Interrupts at the first sign of progress, as Ctrl-C does."""

    def advance(self, amount: int = 1, **facts: Any) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_leaves_neither_files_nor_processes(tmp_path: Path, workers: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_synthetic(SYSU, "tiny", tmp_path / "x", workers=workers, listener=_Impatient())
    assert not list(tmp_path.iterdir())
    assert not multiprocessing.active_children()


_PROGRAM = """
import sys
from pathlib import Path
from lba_cli.datasets.synthesize import write_synthetic
from lba_cli.datasets.sysu import SYSU
from lba_cli.reporting import JsonLines

if __name__ == "__main__":
    write_synthetic(SYSU, "small", Path(sys.argv[1]), workers=2, listener=JsonLines(sys.stdout))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="only POSIX has process groups")
@pytest.mark.parametrize("blow", [pytest.param("interrupt", marks=pytest.mark.slow), "kill"])
def test_no_process_outlives_a_stopped_program(tmp_path: Path, blow: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    output = tmp_path / "out"
    environment = {**os.environ, "PYTHONPATH": str(Path(lba_cli.__file__).parents[1])}
    command = [sys.executable, str(program), str(output / "small")]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, start_new_session=True, env=environment
    ) as running:
        assert running.stdout is not None
        assert "start" in running.stdout.readline()
        assert "progress" in running.stdout.readline()
        if blow == "interrupt":
            os.killpg(running.pid, signal.SIGINT)
        else:
            running.kill()
        _, errors = running.communicate(timeout=60)
    assert group_ends(running.pid)
    if blow == "interrupt":
        assert "KeyboardInterrupt" in errors
        assert "PoolWorker" not in errors, "a worker printed a traceback as well"
        assert not list(output.iterdir())


def group_ends(group: int, within: float = 30.0) -> bool:
    """Whether all processes of ``group`` end within so many seconds; those that don't are killed."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    return False

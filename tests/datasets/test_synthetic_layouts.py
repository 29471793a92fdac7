"""Synthetic data in the layout of every data set: written, read back, and reproducible."""

import hashlib
import json
from collections import Counter
from functools import cache

import numpy as np
import pytest
from PIL import Image

from lba_cli.datasets import DATASETS, detect, get_dataset, read_dataset
from lba_cli.datasets.synthesize import plan_synthetic, write_synthetic
from lba_cli.errors import ConfigError
from lba_cli.reporting import Silent
from lba_cli.synthetic import PRESETS

OTHERS = ("regdb", "llcm", "folder")


def digests(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("layout", DATASETS)
def test_readers_find_all_images_that_were_written(trees, layout):
    root = trees[layout]
    assert detect(root) is get_dataset(layout)
    listing = read_dataset(root)
    assert (listing.dataset, listing.name, listing.root) == (layout, "synthetic-tiny", root)
    planned = {job.path for job in plan_synthetic(get_dataset(layout), "tiny").jobs}
    assert {sample.path for sample in listing.samples} == planned
    assert json.loads((root / "synthetic.json").read_text()) == {"preset": "tiny", "layout": layout, "seed": 0}


@pytest.mark.parametrize("layout", DATASETS)
def test_there_are_enough_people_and_none_is_in_both_splits(trees, layout):
    listing = read_dataset(trees[layout])
    people = {job.path: job.identity for job in plan_synthetic(get_dataset(layout), "tiny").jobs}
    for trial in {sample.trial for sample in listing.samples}:
        samples = [sample for sample in listing.samples if sample.trial == trial]
        splits = {split: {people[s.path] for s in samples if s.split == split} for split in ("train", "test")}
        assert len(splits["train"]) >= 12
        assert len(splits["test"]) >= 6
        assert not splits["train"] & splits["test"]
        for split in splits:
            person_of = {}
            for s in samples:
                if s.split == split:
                    assert person_of.setdefault(s.identity, people[s.path]) == people[s.path]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Draw the people of ``tiny`` in a layout, unlike ``trees``, whose images are noise: ``drawn("regdb")``."""

    @cache
    def draw(layout):
        folder = tmp_path_factory.mktemp("drawn") / layout
        write_synthetic(get_dataset(layout), "tiny", folder, workers=1, listener=Silent())
        return folder

    return draw


@pytest.mark.slow
@pytest.mark.parametrize("layout", OTHERS)
def test_only_visible_images_have_colours(drawn, layout):
    for sample in read_dataset(drawn(layout)).samples[::17]:
        with Image.open(drawn(layout) / sample.path) as image:
            assert image.mode == "RGB"
            assert (np.ptp(np.asarray(image).astype(int), axis=2).max() == 0) == (sample.modality == "infrared")


@pytest.mark.slow
@pytest.mark.parametrize("layout", OTHERS)
def test_two_workers_write_the_same_bytes(drawn, tmp_path, layout):
    write_synthetic(get_dataset(layout), "tiny", tmp_path / "again", workers=2, listener=Silent())
    assert digests(tmp_path / "again") == digests(drawn(layout))


@pytest.mark.slow
@pytest.mark.parametrize("layout", OTHERS)
def test_all_images_differ(drawn, layout):
    found = digests(drawn(layout))
    images = [found[job.path] for job in plan_synthetic(get_dataset(layout), "tiny").jobs]
    assert len(set(images)) == len(images)


def test_layouts_have_no_person_in_common():
    for preset in ("tiny", "small"):
        people = [{job.identity for job in plan_synthetic(get_dataset(layout), preset).jobs} for layout in DATASETS]
        assert len(set().union(*people)) == sum(map(len, people))


def test_another_seed_gives_other_trials():
    lists = [plan_synthetic(get_dataset("regdb"), "tiny", seed).files for seed in (0, 1)]
    assert lists[0].keys() == lists[1].keys()
    assert all(lists[0][name] != lists[1][name] for name in lists[0])
    halves = [lists[0][f"idx/train_visible_{trial}.txt"] for trial in range(1, 11)]
    assert len(set(halves)) == 10


def test_regdb_has_ten_images_of_everybody_in_ten_trials(trees):
    listing = read_dataset(trees["regdb"])
    counts = Counter((s.trial, s.split, s.modality, s.identity) for s in listing.samples)
    assert set(counts.values()) == {10}
    assert len(counts) == 10 * 2 * 2 * 12
    assert {identity for *_, identity in counts} == set(range(12))
    assert (trees["regdb"] / "idx" / "test_thermal_10.txt").is_file()
    assert all(s.path.endswith(".bmp") for s in listing.samples)


def test_llcm_has_nine_visible_and_eight_infrared_cameras(trees):
    samples = read_dataset(trees["llcm"]).samples
    for split in ("train", "test"):
        cameras = {
            m: {s.camera for s in samples if (s.split, s.modality) == (split, m)} for m in ("visible", "infrared")
        }
        assert cameras == {"visible": set(range(1, 10)), "infrared": {1, 2, 4, 5, 6, 7, 8, 9}}
    assert not (trees["llcm"] / "test_nir" / "cam3").exists()


@pytest.mark.parametrize("query", ["visible", "infrared"])
def test_every_llcm_query_has_a_match_under_another_camera(trees, query):
    tested = [s for s in read_dataset(trees["llcm"]).samples if s.split == "test"]
    others = {(s.identity, s.camera) for s in tested if s.modality != query}
    for s in tested:
        assert any(identity == s.identity and camera != s.camera for identity, camera in others)


def test_own_folders_have_names_with_blanks_cameras_and_distractors(trees):
    listing = read_dataset(trees["folder"])
    (note,) = listing.notes
    assert note.startswith(
        "3 identities have one modality only and are distractors in galleries: 2 have visible images only"
    )
    assert note.endswith("1 has infrared images only ('passer-by 03')")
    assert any(s.path.startswith("visible/person 007/person 007_c1_") for s in listing.samples)
    assert {s.camera for s in listing.samples} == {1, 2, 3, 6}
    assert {s.path.rsplit(".")[-1] for s in listing.samples} == {"jpg", "png"}


def test_names_in_small_own_folders_give_no_camera():
    jobs = plan_synthetic(get_dataset("folder"), "small").jobs
    assert not any("_c" in job.path for job in jobs)
    assert len({job.path for job in jobs}) == len(jobs)


@pytest.mark.parametrize("layout", OTHERS)
def test_only_sysus_layout_has_the_full_size(tmp_path, layout):
    with pytest.raises(ConfigError, match=rf"the layout '{layout}' has the presets tiny and small, not 'sysu'"):
        write_synthetic(get_dataset(layout), "sysu", tmp_path / "x", listener=Silent())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("layout", DATASETS)
def test_plans_contain_each_image_once(layout):
    for preset in PRESETS if layout == "sysu" else ("tiny", "small", "loose"):
        jobs = plan_synthetic(get_dataset(layout), preset).jobs
        assert len({job.path for job in jobs}) == len(jobs)
        assert len({(job.identity, job.camera, job.index) for job in jobs}) == len(jobs)


def test_the_readme_names_layout_and_command(trees):
    note = (trees["llcm"] / "README.txt").read_text()
    assert "laid out as LLCM" in note
    assert "lba prepare synthetic --preset tiny --layout llcm --seed 0" in note

"""Preparing 10,000 images: decode, resize to 288 × 144, write."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest
from plain import preparation
from timing import side_by_side

from lba_cli.data.prepare import prepare
from lba_cli.datasets.synthesize import write_synthetic
from lba_cli.datasets.sysu import SYSU, read_sysu
from lba_cli.reporting import Silent

IMAGES = 10_000


@pytest.mark.everywhere
def test_preparation(tmp_path):
    root = tmp_path / "SYSU-MM01"
    write_synthetic(SYSU, "small", root, seed=0, listener=Silent())
    listing = repeated(root, read_sysu(root))
    paths = [root / sample.path for sample in listing.samples]
    store, array = tmp_path / "store", tmp_path / "plain.npy"

    def remove():
        shutil.rmtree(store, ignore_errors=True)
        array.unlink(missing_ok=True)
        os.sync()

    side_by_side(
        "preparing 10,000 images",
        lambda: prepare(listing, store, 288, 144, listener=Silent()),
        lambda: preparation.prepare(paths, array, 288, 144),
        images=IMAGES,
        prepare=remove,
        rounds=2,
        warm_up=False,
    )


def repeated(root, listing):
    """Return a listing of ``IMAGES`` training images, all of them hard links to those of ``listing``."""
    samples = [sample for sample in listing.samples if sample.split == "train"]
    made = []
    for number in range(IMAGES):
        sample = samples[number % len(samples)]
        path = f"{sample.path[:-4]}-{number}.jpg"
        (root / path).hardlink_to(root / sample.path)
        made.append(replace(sample, path=path))
    return replace(listing, samples=tuple(made))

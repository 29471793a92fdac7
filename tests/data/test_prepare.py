"""Preparing a store, and reading it."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_setup import HEIGHT, WIDTH

from lba_cli.data.prepare import prepare
from lba_cli.data.samples import NO_CAMERA, Listing, Sample, identity_classes, select
from lba_cli.data.store import FolderImages, StoredImages
from lba_cli.datasets.sysu import read_sysu
from lba_cli.errors import DataError, LbaError
from lba_cli.reporting import Silent


def listing_of(root, images):
    """Write arrays as PNG files and list them."""
    samples = []
    for name, array in images.items():
        Image.fromarray(array).save(root / name)
        samples.append(Sample(name, 1, 1, "visible", "train"))
    return Listing("made up", "sysu", root, tuple(samples))


def test_images_are_resized_with_pillows_lanczos_filter(tiny, source):
    listing = read_sysu(tiny)
    assert source.samples == listing.samples
    assert (source.name, source.height, source.width) == ("synthetic-tiny", HEIGHT, WIDTH)
    for index in (0, 100, len(source.samples) - 1):
        with Image.open(tiny / source.samples[index].path) as image:
            wanted = np.asarray(image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(source.read([index])[0], wanted)


def test_folder_and_store_have_the_same_pixels(tiny, source):
    folder = FolderImages(read_sysu(tiny), HEIGHT, WIDTH)
    indices = [5, 3, 3, 200]
    np.testing.assert_array_equal(folder.read(indices), source.read(indices))


def test_a_store_distinguishes_camera_0_from_an_unknown_camera(tmp_path):
    made = listing_of(tmp_path, {f"{n}.png": np.zeros((4, 4, 3), np.uint8) for n in range(3)})
    cameras = (NO_CAMERA, 0, 1)
    samples = tuple(replace(sample, camera=camera) for sample, camera in zip(made.samples, cameras, strict=True))
    prepare(replace(made, samples=samples), tmp_path / "s", 32, 16, listener=Silent(), workers=1)
    assert StoredImages(tmp_path / "s").samples == samples


def test_two_workers_write_the_same_store(tiny, store, tmp_path):
    prepare(read_sysu(tiny), tmp_path / "again", HEIGHT, WIDTH, listener=Silent(), workers=2)
    for name in ("images.npy", "samples.csv", "manifest.json", "rand_perm_cam.mat"):
        assert (tmp_path / "again" / name).read_bytes() == (store / name).read_bytes()


def test_the_arrays_that_other_code_bases_read(tiny, tmp_path):
    prepare(read_sysu(tiny), tmp_path / "s", 32, 16, listener=Silent(), workers=1, shared_arrays=True)
    store = StoredImages(tmp_path / "s")
    classes = identity_classes(store.samples)
    for name, modality in (("rgb", "visible"), ("ir", "infrared")):
        images = np.load(tmp_path / "s" / f"train_{name}_resized_img.npy")
        labels = np.load(tmp_path / "s" / f"train_{name}_resized_label.npy")
        chosen = select(store.samples, "train", modality)
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, store.read(chosen))
        assert labels.tolist() == [classes[store.samples[i].identity] for i in chosen]
    assert sorted(set(classes.values())) == list(range(len(classes)))


def test_an_existing_output_is_not_replaced(tiny, store):
    before = (store / "manifest.json").read_bytes()
    with pytest.raises(LbaError, match="exists already; name another folder with --output, or remove it first"):
        prepare(read_sysu(tiny), store, HEIGHT, WIDTH, listener=Silent())
    assert (store / "manifest.json").read_bytes() == before


def broken_listing(tmp_path):
    listing = listing_of(tmp_path, {f"{n}.png": np.full((8, 8, 3), n, np.uint8) for n in range(5)})
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:40])
    (tmp_path / "3.png").write_text("no image")
    return listing


def test_broken_images_are_all_listed_and_nothing_is_written(tmp_path):
    listing = broken_listing(tmp_path)
    with pytest.raises(DataError) as caught:
        prepare(listing, tmp_path / "store", 8, 8, listener=Silent(), workers=1)
    assert "2 of 5 images" in str(caught.value)
    assert "1.png" in str(caught.value)
    assert "3.png" in str(caught.value)
    assert "--skip-broken" in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n}.png" for n in range(5)]


def test_broken_images_are_left_out_and_recorded(tmp_path):
    made = prepare(broken_listing(tmp_path), tmp_path / "store", 8, 8, listener=Silent(), workers=1, skip_broken=True)
    store = StoredImages(made.store)
    assert [sample.path for sample in store.samples] == ["0.png", "2.png", "4.png"]
    assert store.read([0, 1, 2])[:, 0, 0, 0].tolist() == [0, 2, 4]
    skipped = json.loads((made.store / "manifest.json").read_text())["skipped"]
    assert [entry["path"] for entry in skipped] == ["1.png", "3.png"]


def test_a_broken_image_of_a_folder_is_reported_when_it_is_read(tmp_path):
    folder = FolderImages(broken_listing(tmp_path), 8, 8)
    with pytest.raises(DataError, match=r"3\.png: not a readable image.*--skip-broken"):
        folder.read([3])


@pytest.mark.parametrize("name", ["manifest.json", "samples.csv", "images.npy"])
@pytest.mark.parametrize("damage", ["cut", "gone", "text"])
def test_a_damaged_store_is_refused(tiny, store, tmp_path, name, damage):
    folder = tmp_path / "store"
    folder.mkdir()
    for file in store.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    target = folder / name
    if damage == "cut":
        target.write_bytes(target.read_bytes()[:-100])
    elif damage == "gone":
        target.unlink()
    else:
        target.write_text("nonsense\n")
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        StoredImages(folder)


def test_a_full_disk_is_noticed_before_images_are_decoded(tiny, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        prepare(read_sysu(tiny), tmp_path / "store", 32, 16, listener=Silent(), workers=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("output", [".", "file"])
def test_an_output_that_exists_is_refused(tiny, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LbaError, match="exists already; name another folder with --output, or remove it first"):
        prepare(read_sysu(tiny), Path(output), 32, 16, listener=Silent(), workers=1)


def test_a_store_that_is_replaced_while_it_is_in_use_is_refused(tiny, tmp_path):
    prepare(read_sysu(tiny), tmp_path / "s", 32, 16, listener=Silent(), workers=1)
    store = StoredImages(tmp_path / "s")
    store.read([0])
    shutil.copyfile(tmp_path / "s" / "images.npy", tmp_path / "other.npy")
    (tmp_path / "other.npy").replace(tmp_path / "s" / "images.npy")
    with pytest.raises(DataError, match="replaced or changed while it was in use"):
        store.read([0])


def test_a_failing_disk_is_not_reported_as_a_broken_image(tiny, tmp_path, monkeypatch):
    """Otherwise --skip-broken would leave out intact images."""

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("PIL.Image.open", fail)
    with pytest.raises(OSError, match="Input/output"):
        prepare(read_sysu(tiny), tmp_path / "s", 32, 16, listener=Silent(), workers=1, skip_broken=True)
    assert not (tmp_path / "s").exists()

"""Data sets with several splits: one store for all of them, and one split at a time for whoever opens it."""

import json

import numpy as np
import pytest

from lba_cli.config import DataSection
from lba_cli.data.prepare import prepare
from lba_cli.data.samples import identity_classes, indices_of_trial
from lba_cli.data.store import FolderImages, StoredImages, default_store
from lba_cli.datasets import read_dataset
from lba_cli.datasets.folder import FolderOptions, read_folder
from lba_cli.datasets.open import dataset_at, open_data, open_images, verify_store
from lba_cli.errors import ConfigError, DataError
from lba_cli.reporting import Silent
from lba_cli.vocabulary import DATASETS

HEIGHT, WIDTH = 32, 16


@pytest.fixture(scope="module")
def stores(trees, tmp_path_factory):
    """A store of every layout, by its word."""
    folder = tmp_path_factory.mktemp("layouts")
    for layout, root in trees.items():
        prepare(read_dataset(root), folder / layout, HEIGHT, WIDTH, listener=Silent(), workers=1)
    return {layout: folder / layout for layout in trees}


@pytest.mark.parametrize("layout", DATASETS)
def test_a_store_gives_back_what_was_read(trees, stores, layout):
    listing, store = read_dataset(trees[layout]), StoredImages(stores[layout])
    assert store.samples == listing.samples
    assert (store.name, store.dataset, store.trial) == (listing.name, layout, 0)
    assert store.images == len({sample.path for sample in listing.samples})
    assert np.load(stores[layout] / "images.npy", mmap_mode="r").shape == (store.images, HEIGHT, WIDTH, 3)
    header = (stores[layout] / "samples.csv").read_text().splitlines()[0]
    assert header == "row,crc32,path,identity,camera,modality,part,split"
    assert json.loads((stores[layout] / "manifest.json").read_text())["reader"] == layout


def test_a_split_of_a_store_is_that_of_the_folder(trees, stores):
    listing = read_dataset(trees["regdb"])
    for split in (1, 7, 10):
        stored = StoredImages(stores["regdb"]).of_trial(split)
        folder = FolderImages(listing, HEIGHT, WIDTH).of_trial(split)
        wanted = tuple(sample for sample in listing.samples if sample.trial == split)
        assert stored.samples == folder.samples == wanted
        assert stored.trial == folder.trial == split
        assert stored.fingerprint == folder.fingerprint
        indices = [0, 130, 250, len(wanted) - 1]
        np.testing.assert_array_equal(stored.read(indices), folder.read(indices))
        assert list(identity_classes(stored.samples).values()) == list(range(12))


def test_choosing_a_split_leaves_the_store_as_it_was(stores):
    store = StoredImages(stores["regdb"])
    store.of_trial(2)
    assert store.trial == 0
    assert len(store.samples) == 4800


def test_two_workers_write_the_same_store(trees, stores, tmp_path):
    prepare(read_dataset(trees["regdb"]), tmp_path / "again", HEIGHT, WIDTH, listener=Silent(), workers=2)
    for file in stores["regdb"].iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("store", [True, False])
def test_a_split_must_be_chosen_where_there_are_several(trees, stores, store):
    root = (stores if store else trees)["regdb"]
    assert open_images(root, "auto", HEIGHT, WIDTH, Silent(), split=4).trial == 4
    with pytest.raises(
        DataError, match=r"data\.trial is needed: synthetic-tiny has 10 splits; --set data\.trial=1, or --"
    ):
        open_images(root, "auto", HEIGHT, WIDTH, Silent())
    with pytest.raises(DataError, match=r"data\.trial=11: synthetic-tiny has the splits 1 to 10"):
        open_images(root, "auto", HEIGHT, WIDTH, Silent(), split=11)


@pytest.mark.parametrize("layout", ["sysu", "llcm", "folder"])
def test_a_split_is_refused_where_there_is_one(stores, layout):
    assert open_images(stores[layout], "auto", HEIGHT, WIDTH, Silent()).trial == 0
    with pytest.raises(DataError, match=r"synthetic-tiny has one split: leave --trials all out, and data\.trial=1"):
        open_images(stores[layout], "auto", HEIGHT, WIDTH, Silent(), split=1)


def test_of_nothing_there_is_nothing_to_choose():
    assert indices_of_trial([], None, "x") == []


@pytest.mark.parametrize("layout", DATASETS)
def test_a_store_knows_its_reader(stores, layout):
    assert dataset_at(stores[layout], HEIGHT, WIDTH) == layout
    other = "llcm" if layout != "llcm" else "sysu"
    with pytest.raises(DataError, match=rf"a store of the data set '{layout}', data\.dataset says '{other}'"):
        open_images(stores[layout], other, HEIGHT, WIDTH, Silent())


@pytest.mark.parametrize("layout", DATASETS)
def test_a_configuration_opens_folders_and_stores(trees, stores, layout):
    trial = 3 if layout == "regdb" else None
    sources = [
        open_data(DataSection(root=str(root), height=HEIGHT, width=WIDTH, trial=trial), Silent())
        for root in (trees[layout], stores[layout])
    ]
    assert sources[0].samples == sources[1].samples
    assert [source.dataset for source in sources] == [layout, layout]


@pytest.mark.parametrize(
    ("layout", "stored", "words"),
    [
        ("sysu", False, "this data set comes with its split"),
        ("llcm", True, "this data set comes with its split"),
        ("folder", True, "the store keeps the split that it was prepared with"),
        ("folder", False, None),
    ],
)
def test_a_split_that_changes_nothing_is_warned_of(trees, stores, layout, stored, words):
    warnings = []
    listener = Silent()
    listener.warn = warnings.append
    root = (stores if stored else trees)[layout]
    open_images(root, "auto", HEIGHT, WIDTH, listener, folders=FolderOptions(seed=4))
    assert [text for text in warnings if "have no effect" in text] == (
        [f"data.split_seed, data.test_share, data.train_ids and data.test_ids have no effect: {words}"] if words else []
    )


def test_one_id_list_in_a_configuration(trees):
    section = DataSection(root=str(trees["folder"]), height=HEIGHT, width=WIDTH, train_ids="train.txt")
    with pytest.raises(ConfigError, match=r"data\.train_ids is given without data\.test_ids"):
        open_data(section, Silent())


def test_another_split_of_own_folders_than_the_store_has_is_refused(hollow, trees):
    root = hollow("folder")
    for path in trees["folder"].rglob("*.*"):
        (root / path.relative_to(trees["folder"])).write_bytes(path.read_bytes())
    prepare(read_folder(root, FolderOptions()), default_store(root, HEIGHT, WIDTH), HEIGHT, WIDTH, listener=Silent())
    assert isinstance(open_images(root, "auto", HEIGHT, WIDTH, Silent()), StoredImages)
    for split in (FolderOptions(seed=1), FolderOptions(test_share=0.25)):
        with pytest.raises(DataError, match="prepared from other images than .* or for another split of them"):
            open_images(root, "auto", HEIGHT, WIDTH, Silent(), folders=split)


def test_every_byte_of_a_store_with_splits_is_verified(stores, trees, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in stores["regdb"].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    assert verify_store(folder, read_dataset(trees["regdb"]), Silent()).images == 480
    pixels = np.load(folder / "images.npy", mmap_mode="r+")
    pixels[479, 0, 0, 0] ^= 1
    pixels.flush()
    with pytest.raises(DataError, match="1 of 480 images changed since they were prepared"):
        verify_store(folder, None, Silent())


def test_a_broken_image_is_left_out_of_every_split(hollow, trees, tmp_path):
    root = hollow("regdb")
    for path in trees["regdb"].rglob("*.bmp"):
        (root / path.relative_to(trees["regdb"])).write_bytes(path.read_bytes())
    victim = next(root.glob("Visible/3/*.bmp"))
    victim.write_text("no image")
    listing = read_dataset(root)
    with pytest.raises(DataError, match="1 of 480 images can't be decoded"):
        prepare(listing, tmp_path / "s", HEIGHT, WIDTH, listener=Silent(), workers=1)
    made = prepare(listing, tmp_path / "s", HEIGHT, WIDTH, listener=Silent(), workers=1, skip_broken=True)
    store = StoredImages(made.store)
    assert (made.images, store.images, len(store.samples)) == (479, 479, 4790)
    assert victim.relative_to(root).as_posix() not in {sample.path for sample in store.samples}
    assert store.of_trial(1).read([0]).shape == (1, HEIGHT, WIDTH, 3)

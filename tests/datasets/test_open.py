"""Opening a data set: its folder or its store, and one of its trials."""

import json
import shutil

import numpy as np
import pytest
import small_setup

from lba_cli.config import DataSection
from lba_cli.data.prepare import prepare
from lba_cli.data.samples import identity_classes, indices_of_trial
from lba_cli.data.store import FolderImages, StoredImages, default_store
from lba_cli.datasets import DATASETS, get_dataset, read_dataset
from lba_cli.datasets.folder import FolderOptions, read_folder
from lba_cli.datasets.open import dataset_at, open_data, verify_store
from lba_cli.datasets.sysu import read_sysu
from lba_cli.errors import DataError
from lba_cli.reporting import Silent

HEIGHT, WIDTH = 32, 16


def opened(root, dataset="auto", height=HEIGHT, width=WIDTH, listener=None, **keys):
    """Open ``root`` as a configuration with these keys of the section ``data`` does."""
    config = DataSection(root=str(root), dataset=dataset, height=height, width=width, **keys)
    return open_data(config, listener or Silent())


@pytest.fixture(scope="module")
def stores(trees, tmp_path_factory):
    """A store of every data set, by its name."""
    folder = tmp_path_factory.mktemp("layouts")
    for layout, root in trees.items():
        prepare(read_dataset(root), folder / layout, HEIGHT, WIDTH, listener=Silent(), workers=1)
    return {layout: folder / layout for layout in trees}


@pytest.mark.parametrize("layout", DATASETS)
def test_a_store_has_the_samples_of_its_source(trees, stores, layout):
    listing, store = read_dataset(trees[layout]), StoredImages(stores[layout])
    assert store.samples == listing.samples
    assert (store.name, store.dataset, store.trial) == (listing.name, layout, 0)
    assert store.images == len({sample.path for sample in listing.samples})
    assert np.load(stores[layout] / "images.npy", mmap_mode="r").shape == (store.images, HEIGHT, WIDTH, 3)
    header = (stores[layout] / "samples.csv").read_text().splitlines()[0]
    assert header == "row,crc32,file,path,identity,camera,modality,split,trial,name"
    assert json.loads((stores[layout] / "manifest.json").read_text())["dataset"] == layout
    some = range(0, len(listing.samples), 40)
    assert store.file_digests(some, Silent()) == FolderImages(listing, HEIGHT, WIDTH).file_digests(some, Silent())


def test_store_and_folder_have_the_same_trials(trees, stores):
    listing = read_dataset(trees["regdb"])
    for trial in (1, 7, 10):
        stored = StoredImages(stores["regdb"]).of_trial(trial)
        folder = FolderImages(listing, HEIGHT, WIDTH).of_trial(trial)
        wanted = tuple(sample for sample in listing.samples if sample.trial == trial)
        assert stored.samples == folder.samples == wanted
        assert stored.trial == folder.trial == trial
        assert stored.fingerprint == folder.fingerprint
        indices = [0, 130, 250, len(wanted) - 1]
        np.testing.assert_array_equal(stored.read(indices), folder.read(indices))
        assert list(identity_classes(stored.samples).values()) == list(range(12))


def test_choosing_a_trial_does_not_change_the_store(stores):
    store = StoredImages(stores["regdb"])
    store.of_trial(2)
    assert store.trial == 0
    assert len(store.samples) == 4800


def test_two_workers_write_the_same_store(trees, stores, tmp_path):
    prepare(read_dataset(trees["regdb"]), tmp_path / "again", HEIGHT, WIDTH, listener=Silent(), workers=2)
    for file in stores["regdb"].iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("store", [True, False])
def test_a_trial_must_be_chosen_if_there_are_several(trees, stores, store):
    root = (stores if store else trees)["regdb"]
    assert opened(root, trial=4).trial == 4
    with pytest.raises(
        DataError,
        match=r"synthetic-tiny has 10 trials: choose one with --set data\.trial=1, or take all with --trials all",
    ):
        opened(root)
    with pytest.raises(DataError, match=r"data\.trial=11: synthetic-tiny has the trials 1 to 10"):
        indices_of_trial(read_dataset(trees["regdb"]).samples, 11, "synthetic-tiny")


@pytest.mark.parametrize("layout", ["sysu", "llcm", "folder"])
def test_a_trial_is_refused_if_the_data_set_has_none(stores, layout):
    assert opened(stores[layout]).trial == 0
    with pytest.raises(
        DataError, match=r"synthetic-tiny has a single train/test split: leave out --trials all and data\.trial=1"
    ):
        opened(stores[layout], trial=1)


def test_a_data_set_without_samples_has_no_trials():
    assert indices_of_trial([], None, "x") == []


@pytest.mark.parametrize("layout", DATASETS)
def test_a_store_knows_its_data_set(stores, layout):
    assert dataset_at(DataSection(root=str(stores[layout])), DataSection()) is get_dataset(layout)
    other = "llcm" if layout != "llcm" else "sysu"
    with pytest.raises(DataError, match=rf"holds the data set '{layout}', but data\.dataset is '{other}'"):
        opened(stores[layout], other)


def test_a_folder_that_looks_like_none_is_read_by_a_pattern(tmp_path, trees):
    """A pattern that is asked for counts before the folder's look, and one of the checkpoint only after it."""
    plain, described = DataSection(root=str(tmp_path)), DataSection(pattern="<modality>/<identity>/*")
    assert dataset_at(plain, described) is get_dataset("folder")
    assert dataset_at(DataSection(root=str(trees["llcm"])), described) is get_dataset("llcm")
    asked = DataSection(root=str(trees["llcm"]), pattern="<modality>/<identity>/*")
    assert dataset_at(asked, DataSection()) is get_dataset("folder")
    with pytest.raises(DataError, match="no known data set"):
        dataset_at(plain, DataSection())


@pytest.mark.parametrize("layout", DATASETS)
def test_a_folder_and_its_store_open_as_the_same_data_set(trees, stores, layout):
    trial = 3 if layout == "regdb" else None
    sources = [opened(root, trial=trial) for root in (trees[layout], stores[layout])]
    assert sources[0].samples == sources[1].samples
    assert [source.dataset for source in sources] == [layout, layout]


@pytest.mark.parametrize(
    ("layout", "stored", "words"),
    [
        (
            "sysu",
            False,
            "data.split_seed has no effect: only the data set 'folder' has this key; 'sysu' has no keys of its own",
        ),
        (
            "llcm",
            True,
            "data.split_seed has no effect: only the data set 'folder' has this key; 'llcm' has no keys of its own",
        ),
        (
            "folder",
            True,
            "data.split_seed has no effect: the store keeps the images and the split that it was prepared with",
        ),
        ("folder", False, None),
    ],
)
def test_options_without_effect_are_warned_about(trees, stores, layout, stored, words):
    warnings = []
    listener = Silent()
    listener.warn = warnings.append
    root = (stores if stored else trees)[layout]
    opened(root, listener=listener, split_seed=4)
    assert [text for text in warnings if "no effect" in text] == ([words] if words else [])


def test_a_store_of_another_split_is_refused(hollow, trees):
    root = hollow("folder")
    for path in trees["folder"].rglob("*.*"):
        (root / path.relative_to(trees["folder"])).write_bytes(path.read_bytes())
    prepare(read_folder(root, FolderOptions()), default_store(root, HEIGHT, WIDTH), HEIGHT, WIDTH, listener=Silent())
    assert isinstance(opened(root), StoredImages)
    for options in ({"split_seed": 1}, {"test_share": 0.25}):
        with pytest.raises(DataError, match="prepared from other images than .* or for another train/test split"):
            opened(root, **options)


def test_every_byte_of_a_store_is_verified(stores, trees, tmp_path):
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


def test_a_broken_image_is_left_out_of_every_trial(hollow, trees, tmp_path):
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


def test_the_store_beside_the_root_is_found(tiny):
    said = []

    class Listener(Silent):
        def say(self, message):
            said.append(message)

    assert isinstance(opened(tiny, "sysu", 40, 20, Listener()), FolderImages)
    assert default_store(tiny, 40, 20) == tiny.with_name("SYSU-MM01-40x20")
    prepare(read_sysu(tiny), default_store(tiny, 40, 20), 40, 20, listener=Silent(), workers=1)
    assert isinstance(opened(tiny, "sysu", 40, 20, Listener()), StoredImages)
    assert "images are resized each time they are read" in said[0]
    assert "SYSU-MM01-40x20" in said[1]


def test_a_store_of_other_images_is_refused(tiny, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(tiny, root)
    prepare(read_sysu(root), default_store(root, 40, 20), 40, 20, listener=Silent(), workers=1)
    changed = root / read_sysu(root).samples[0].path
    changed.write_bytes(changed.read_bytes() + b"x")
    with pytest.raises(DataError, match="prepared from other images than"):
        opened(root, "sysu", 40, 20)
    shutil.rmtree(root)
    assert isinstance(opened(root, "sysu", 40, 20), StoredImages)


def test_a_store_of_another_size_is_refused(store):
    with pytest.raises(
        DataError,
        match=rf"holds images of {small_setup.HEIGHT}×{small_setup.WIDTH}, but the configuration says 288×144",
    ):
        opened(store, "sysu", 288, 144)

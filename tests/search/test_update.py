"""Adding and removing images equal rebuilding, atomically, whoever reads or writes meanwhile."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from fake_gallery import DIMENSION, QUERIES, add, build, content, require_equal, write_image

from lba_cli.errors import DataError, LbaError, SearchError
from lba_cli.locks import exclusive
from lba_cli.search import index as index_module
from lba_cli.search import update
from lba_cli.search.gallery import IndexDescription
from lba_cli.search.index import open_index
from lba_cli.search.query import search
from lba_cli.search.update import Storage, build_index, remove_rows


def test_adding_and_removing_equal_rebuilding(index, embedder, images, tmp_path):
    missing = images[::3]
    add(index, embedder, missing[:5])
    add(index, embedder, missing[5:])
    build(tmp_path / "all", embedder, images)
    require_equal(index, tmp_path / "all")
    _, count = remove_rows(index, [images[2], str(Path(images[-1]).parent)])
    gone = {images[2], *(path for path in images if Path(path).parent == Path(images[-1]).parent)}
    assert count == len(gone) == 12
    build(tmp_path / "fewer", embedder, [path for path in images if path not in gone])
    require_equal(index, tmp_path / "fewer")
    assert len(list(index.iterdir())) == 3
    assert not list(tmp_path.glob(".*"))


def test_adding_an_image_again_replaces_its_vector(index, embedder, images, tmp_path):
    write_image(tmp_path / "photos/1/001.png", 77)
    made, replaced = add(index, embedder, images[:3])
    assert (made.images, replaced) == (16, 2)
    build(tmp_path / "new", embedder, open_index(index).paths)
    require_equal(index, tmp_path / "new")


@pytest.mark.parametrize("names", [["*/0/*.png"], ["photos/0"], ["./photos/../photos/0/"]])
def test_images_are_removed_by_folders_and_globs(index, tmp_path, monkeypatch, names):
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(tmp_path / "photos/0")
    remove_rows(index, names)
    assert {path.split("/")[-2] for path in open_index(index).paths} == {"1"}


def test_a_pattern_does_not_match_the_path_of_the_current_folder(embedder, tmp_path, monkeypatch):
    folder = tmp_path / "run [1]"
    paths = sorted(write_image(folder / name, seed) for seed, name in enumerate(("a.png", "b.png", "below/c.png")))
    monkeypatch.chdir(folder)
    build(tmp_path / "index", embedder, paths)
    remove_rows(tmp_path / "index", ["*.png"])
    assert open_index(tmp_path / "index").paths == [str(folder / "below/c.png")]


def test_removing_a_missing_image_changes_nothing(index, images):
    before = content(index)
    with pytest.raises(SearchError, match="matches no image in the index; nothing was removed"):
        remove_rows(index, [images[1], "nowhere.png"])
    with pytest.raises(DataError, match="name of an image or folder is empty"):
        remove_rows(index, [""])
    with pytest.raises(SearchError, match="no image would be left"):
        remove_rows(index, ["/"])
    with pytest.raises(SearchError, match="no image would be left"):
        remove_rows(index, [*images[1:2], "/*"])
    assert content(index) == before


@pytest.mark.parametrize("moment", ["vectors", "manifest"])
@pytest.mark.parametrize("change", ["add", "remove", "replace"])
def test_an_update_that_fails_changes_nothing(index, embedder, images, monkeypatch, moment, change):
    before = content(index)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((update.IndexFile, "of") if moment == "vectors" else (update, "write_text")), fail)
    with pytest.raises(OSError, match="No space"):
        if change == "add":
            add(index, embedder, images[:1])
        elif change == "remove":
            remove_rows(index, images[1:2])
        else:
            build(index, embedder, images, replace=True)
    assert content(index) == before


def test_the_next_update_deletes_what_a_killed_one_left(index, embedder, images):
    for name in ("vectors-7.npy", "paths-7.csv", "added-6.npy"):
        (index / name).write_bytes(b"half")
    (index / "notes.txt").write_text("mine")
    assert len(open_index(index, fully=True).paths) == 15
    add(index, embedder, images[:1])
    assert sorted(path.suffix for path in index.iterdir()) == [".csv", ".json", ".npy", ".txt"]
    assert len(open_index(index, fully=True).paths) == 16


def test_two_updates_at_once_are_refused(index, embedder, images, tmp_path):
    lock = update.lock_beside(index)
    with exclusive(lock, "testing"), pytest.raises(LbaError, match="process"):
        add(index, embedder, images[:1])


def test_a_reader_whose_files_are_replaced_meanwhile_has_the_new_ones(index, embedder, images, monkeypatch):
    real = index_module._read_manifest
    changed = []

    def read(folder):
        manifest = real(folder)
        if not changed:
            changed.append(True)
            add(folder, embedder, images[:1])
        return manifest

    monkeypatch.setattr(index_module, "_read_manifest", read)
    assert len(open_index(index).paths) == 16


def test_an_open_index_outlives_an_update(index, embedder, images):
    opened = open_index(index)
    before = search(opened, QUERIES, 3)
    add(index, embedder, images[:9:3])
    assert search(opened, QUERIES, 3) == before


def test_rows_that_are_out_of_order_or_not_of_unit_length_are_refused(tmp_path, embedder):
    description = IndexDescription.from_embedder(embedder, "visible")
    one = np.eye(DIMENSION, dtype=np.float32)
    for paths, vectors, words in (
        (["b", "a"], one[:2], "not in order"),
        (["a", "a"], one[:2], "not distinct"),
        (["a", "b"], one[:2] * 2, "unit length"),
        (["a", "b"], one[:2] * np.nan, "unit length"),
        (["a", "b"], one[:2, :5], "have shape"),
    ):
        with pytest.raises(SearchError, match=words):
            build_index(tmp_path / "index", description, [(paths, vectors)])
        assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("faiss", [False, True])
def test_a_changed_index_in_half_precision_equals_a_rebuilt_one(embedder, images, tmp_path, faiss):
    storage = Storage(faiss, "float16")
    build(tmp_path / "changed", embedder, images[:15], storage=storage)
    add(tmp_path / "changed", embedder, images[10:])
    remove_rows(tmp_path / "changed", images[3:6])
    build(tmp_path / "rebuilt", embedder, images[:3] + images[6:], storage=storage)
    require_equal(tmp_path / "changed", tmp_path / "rebuilt")
    opened = open_index(tmp_path / "changed")
    assert opened.vectors.dtype == np.float16
    assert bool(opened.manifest.faiss) == faiss

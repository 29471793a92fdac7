"""An index is whole or not there; adding and removing equal building anew; damage and mismatches are told in a line."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from search_made import DIMENSION, made_embedder, write_image

from lba_cli.errors import DataError, MissingExtra, SearchError
from lba_cli.locks import hold
from lba_cli.reporting import Silent
from lba_cli.search import manifest as manifests
from lba_cli.search import update
from lba_cli.search.embedder import Embedder
from lba_cli.search.embedding import embedded_rows
from lba_cli.search.index import About, open_index
from lba_cli.search.query import search
from lba_cli.search.update import add_rows, build_index, remove_rows

QUERIES = np.random.default_rng(5).standard_normal((7, DIMENSION)).astype(np.float32)
QUERIES /= np.linalg.norm(QUERIES, axis=1, keepdims=True)


def rows(embedder, paths, skip_broken=False, modality="visible"):
    return embedded_rows(embedder, modality, paths, [], batch_size=4, listener=Silent(), skip_broken=skip_broken)


def build(folder, embedder, paths, **options):
    return build_index(folder, About.of(embedder, "visible"), rows(embedder, paths), **options)


def add(folder, embedder, paths, modality="visible"):
    return add_rows(folder, About.of(embedder, modality), rows(embedder, paths))


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def require_equal(one, other):
    """The same paths, vectors but for the last bits, and the same ranked lists."""
    first, second = open_index(one, fully=True), open_index(other, fully=True)
    assert first.paths == second.paths
    np.testing.assert_allclose(first.vectors, second.vectors, atol=1e-6)
    ranks = [[[hit.path for hit in hits] for hits in search(each, QUERIES, 10)] for each in (first, second)]
    assert ranks[0] == ranks[1]


@pytest.fixture
def index(tmp_path, embedder, images):
    """An index of all the images but every third."""
    folder = tmp_path / "index"
    build(folder, embedder, [path for number, path in enumerate(images) if number % 3])
    return folder


def test_what_an_index_holds(index, embedder, images):
    opened = open_index(index, fully=True)
    assert opened.paths == [path for number, path in enumerate(images) if number % 3]
    assert opened.vectors.shape == (15, DIMENSION)
    assert isinstance(opened.vectors, np.memmap)
    np.testing.assert_allclose(np.linalg.norm(opened.vectors, axis=1), 1, atol=1e-6)
    assert (opened.manifest.model, opened.manifest.modality) == (embedder.fingerprint, "visible")
    assert sorted(path.name for path in index.iterdir()) == ["manifest.json", "paths-1.csv", "vectors-1.npy"]


def test_adding_and_removing_equal_building_anew(index, embedder, images, tmp_path):
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


def test_adding_what_is_there_embeds_it_again(index, embedder, images, tmp_path):
    write_image(tmp_path / "photos/1/001.png", 77)
    made, replaced = add(index, embedder, images[:3])
    assert (made.images, replaced) == (16, 2)
    build(tmp_path / "new", embedder, open_index(index).paths)
    require_equal(index, tmp_path / "new")


@pytest.mark.parametrize("names", [["*/0/*.png"], ["photos/0"], ["./photos/../photos/0/"]])
def test_removing_by_folders_and_globs(index, tmp_path, monkeypatch, names):
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(tmp_path / "photos/0")
    remove_rows(index, names)
    assert {path.split("/")[-2] for path in open_index(index).paths} == {"1"}


def test_a_pattern_removes_no_more_than_it_would_add(embedder, tmp_path, monkeypatch):
    folder = tmp_path / "run [1]"
    paths = sorted(write_image(folder / name, seed) for seed, name in enumerate(("a.png", "b.png", "below/c.png")))
    monkeypatch.chdir(folder)
    build(tmp_path / "index", embedder, paths)
    remove_rows(tmp_path / "index", ["*.png"])
    assert open_index(tmp_path / "index").paths == [str(folder / "below/c.png")]


def test_removing_what_is_not_there_changes_nothing(index, images):
    before = content(index)
    with pytest.raises(SearchError, match="no image of the index; nothing was removed"):
        remove_rows(index, [images[1], "nowhere.png"])
    with pytest.raises(DataError, match="an empty name"):
        remove_rows(index, [""])
    with pytest.raises(SearchError, match="no image would be left"):
        remove_rows(index, ["/"])
    with pytest.raises(SearchError, match="no image would be left"):
        remove_rows(index, [*images[1:2], "/*"])
    assert content(index) == before


def test_names_with_commas_quotes_and_newlines(embedder, tmp_path):
    paths = sorted(write_image(tmp_path / name, seed) for seed, name in enumerate(('a,"b".png', "c\nd.png", "ü.png")))
    build(tmp_path / "index", embedder, paths)
    assert open_index(tmp_path / "index").paths == paths
    add(tmp_path / "index", embedder, [write_image(tmp_path / "e\rf.png", 9)])
    assert len(open_index(tmp_path / "index").paths) == 4


def test_broken_images_leave_no_index_unless_they_are_skipped(embedder, images, tmp_path):
    Path(images[5]).write_bytes(b"")
    with pytest.raises(DataError, match=r"1 of 23 images can't be decoded"):
        build(tmp_path / "index", embedder, images)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]
    build_index(tmp_path / "index", About.of(embedder, "visible"), rows(embedder, images, skip_broken=True))
    assert len(open_index(tmp_path / "index").paths) == 22
    before = content(tmp_path / "index")
    with pytest.raises(DataError, match="can't be decoded"):
        add(tmp_path / "index", embedder, images[4:7])
    assert content(tmp_path / "index") == before


def test_no_images_no_index(embedder, tmp_path):
    with pytest.raises(SearchError, match="no images to build an index of"):
        build(tmp_path / "index", embedder, [])
    assert not (tmp_path / "index").exists()


def test_an_index_is_replaced_only_when_asked(index, images, tmp_path):
    before = content(index)
    other = made_embedder(seed=1)[0]
    with pytest.raises(SearchError, match="exists already"):
        build(index, other, images)
    assert content(index) == before
    build(index, other, images, replace=True)
    assert open_index(index, fully=True).manifest.model == other.fingerprint
    assert len(list(index.iterdir())) == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(SearchError, match="holds something that is no index"):
        build(tmp_path / "mine", other, images, replace=True)


@pytest.mark.parametrize("moment", ["vectors", "manifest"])
@pytest.mark.parametrize("change", ["add", "remove", "replace"])
def test_an_update_that_fails_changes_nothing(index, embedder, images, monkeypatch, moment, change):
    before = content(index)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(update, "record" if moment == "vectors" else "write_manifest", fail)
    with pytest.raises(OSError, match="No space"):
        if change == "add":
            add(index, embedder, images[:1])
        elif change == "remove":
            remove_rows(index, images[1:2])
        else:
            build(index, embedder, images, replace=True)
    assert content(index) == before


def test_what_a_killed_update_left_is_swept_by_the_next(index, embedder, images):
    for name in ("vectors-7.npy", "paths-7.csv", "added-6.npy"):
        (index / name).write_bytes(b"half")
    (index / "notes.txt").write_text("mine")
    assert len(open_index(index, fully=True).paths) == 15
    add(index, embedder, images[:1])
    assert sorted(path.suffix for path in index.iterdir()) == [".csv", ".json", ".npy", ".txt"]
    assert len(open_index(index, fully=True).paths) == 16


def test_two_updates_at_once_are_refused(index, embedder, images, tmp_path):
    lock = update.lock_of(index)
    lock.touch()
    held = hold(lock)
    try:
        with pytest.raises(Exception, match="does that already"):
            add(index, embedder, images[:1])
    finally:
        held.release()


def test_a_reader_whose_files_are_replaced_meanwhile_has_the_new_ones(index, embedder, images, monkeypatch):
    real = manifests.read_manifest
    changed = []

    def read(folder):
        manifest = real(folder)
        if not changed:
            changed.append(True)
            add(folder, embedder, images[:1])
        return manifest

    monkeypatch.setattr("lba_cli.search.index.read_manifest", read)
    assert len(open_index(index).paths) == 16


def test_an_open_index_outlives_an_update(index, embedder, images):
    opened = open_index(index)
    before = search(opened, QUERIES, 3)
    add(index, embedder, images[:9:3])
    assert search(opened, QUERIES, 3) == before


def damage(index, how):
    vectors, paths, manifest = index / "vectors-1.npy", index / "paths-1.csv", index / "manifest.json"
    text = manifest.read_text()
    if how == "cut":
        os.truncate(vectors, vectors.stat().st_size - 1)
    elif how == "cut paths":
        os.truncate(paths, 50)
    elif how == "no vectors":
        vectors.unlink()
    elif how == "other path":
        paths.write_bytes(paths.read_bytes().replace(b"photos/1", b"photos/7", 1))
    elif how == "header":
        vectors.write_bytes(vectors.read_bytes().replace(b"'<f4'", b"'<i4'"))
    elif how == "object":
        vectors.write_bytes(vectors.read_bytes().replace(b"'<f4'", b"'|O' "))
    elif how == "no manifest":
        manifest.unlink()
    elif how == "cut manifest":
        manifest.write_text(text[:100])
    elif how == "version":
        manifest.write_text(text.replace('"version": 1', '"version": 2'))
    elif how == "foreign":
        manifest.write_text('{"format": "lba-store"}')
    elif how == "list":
        manifest.write_text("[1]")
    elif how == "huge":
        manifest.write_text(text + " " * 2**20)
    elif how == "outside":
        manifest.write_text(text.replace("vectors-1.npy", "../vectors-1.npy"))
    elif how == "dimension":
        manifest.write_text(text.replace(f'"dimension": {DIMENSION}', '"dimension": 8'))
    elif how == "images":
        manifest.write_text(text.replace('"images": 15', '"images": 16'))
    elif how == "unknown key":
        manifest.write_text(text.replace('"version"', '"extra": 1,\n  "version"'))
    elif how == "deep":
        manifest.write_text("[" * 60_000)


CHANGED = "changed since it was written"  # what a change of the bytes looks like to who compares checksums first
HOWS = {
    "cut": "damaged: 1,087 bytes where 1,088 were written",
    "cut paths": "damaged: 50 bytes",
    "no vectors": "missing",
    "other path": CHANGED,
    "header": "damaged: int32",
    "object": "damaged or cut short",
    "no manifest": "not an index of a gallery",
    "cut manifest": "not JSON",
    "version": "format version '2', this lba reads 1",
    "foreign": "is not that of an index",
    "list": "is not that of an index",
    "huge": "larger than",
    "outside": "vectors.name",
    "dimension": "damaged: float32 of shape",
    "images": "not the paths of 16 images",
    "unknown key": "damaged (extra",
    "deep": "damaged",
}


@pytest.mark.parametrize("how", HOWS)
def test_a_damaged_index_is_recognised_in_a_line(index, embedder, images, how):
    damage(index, how)
    before = content(index)
    for attempt in (
        lambda: open_index(index),
        lambda: add(index, embedder, images[:1]),
        lambda: remove_rows(index, images[1:2]),
    ):
        with pytest.raises(SearchError) as caught:
            attempt()
        assert HOWS[how] in str(caught.value) or CHANGED in str(caught.value)
        assert "\n" not in str(caught.value)
    assert content(index) == before


def flip(path, place, value):
    content = bytearray(path.read_bytes())
    content[place] = value
    path.write_bytes(content)


def test_changed_vectors_are_found_by_checksum_and_never_carried_on(index, embedder, images):
    flip(index / "vectors-1.npy", -2, 0x3E)
    open_index(index)
    for attempt in (
        lambda: open_index(index, fully=True),
        lambda: add(index, embedder, images[:1]),
        lambda: remove_rows(index, images[1:2]),
    ):
        with pytest.raises(SearchError, match="changed since it was written"):
            attempt()


@pytest.mark.parametrize("value", [0x7F, 0xC4])
def test_vectors_that_are_no_unit_vectors_are_found_by_a_query(index, value):
    flip(index / "vectors-1.npy", -1, value)
    flip(index / "vectors-1.npy", -2, 0xC0)
    with pytest.raises(SearchError, match="not of unit length"):
        search(open_index(index), QUERIES, 3)


def test_an_index_that_is_not_there(tmp_path):
    with pytest.raises(SearchError, match="no such index; make one with lba search build"):
        open_index(tmp_path / "nowhere")


def test_another_model_or_modality_is_recognised(index, images):
    other = made_embedder(seed=1, origin="other.pt")[0]
    opened = open_index(index)
    with pytest.raises(SearchError, match=r"built with another model \(.*made\.pt, weights .*than other\.pt"):
        opened.require_model(other)
    with pytest.raises(SearchError, match="another model or modality"):
        add(index, other, images[:1])
    with pytest.raises(SearchError, match="another model or modality"):
        add(index, made_embedder()[0], images[:1], "infrared")
    with pytest.raises(SearchError, match="holds visible images; infrared ones need an index of their own"):
        opened.require_modality("infrared")
    same = made_embedder()[0]
    opened.require_model(same)
    larger = Embedder(same.origin, same.fingerprint, 128, 64, DIMENSION, same.function)
    with pytest.raises(SearchError, match="images of 64×32"):
        opened.require_model(larger)


def test_rows_that_are_out_of_order_or_no_unit_vectors_are_refused(tmp_path, embedder):
    about = About.of(embedder, "visible")
    one = np.eye(DIMENSION, dtype=np.float32)
    for paths, vectors, words in (
        (["b", "a"], one[:2], "not in order"),
        (["a", "a"], one[:2], "not distinct"),
        (["a", "b"], one[:2] * 2, "unit length"),
        (["a", "b"], one[:2] * np.nan, "unit length"),
        (["a", "b"], one[:2, :5], "vectors of shape"),
    ):
        with pytest.raises(SearchError, match=words):
            build_index(tmp_path / "index", about, [(paths, vectors)])
        assert not (tmp_path / "index").exists()


def test_without_the_extra_it_is_named(embedder, images, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match="extra 'faiss'"):
        build_index(tmp_path / "index", About.of(embedder, "visible", faiss=True), rows(embedder, images))
    assert not (tmp_path / "index").exists()


def test_faiss_is_kept_with_the_index(embedder, images, tmp_path):
    pytest.importorskip("faiss")
    folder = tmp_path / "index"
    build_index(folder, About.of(embedder, "visible", faiss=True), rows(embedder, images[:12]))
    add(folder, embedder, images[12:])
    remove_rows(folder, images[3:5])
    opened = open_index(folder, fully=True)
    assert json.loads((folder / "manifest.json").read_text())["faiss"]["name"] == opened.manifest.faiss.name
    assert len(list(folder.iterdir())) == 4
    assert search(opened, QUERIES, 5, "faiss") == search(opened, QUERIES, 5, "exact")
    path = folder / opened.manifest.faiss.name
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))
    with pytest.raises(SearchError, match="damaged"):
        search(opened, QUERIES, 5, "faiss")
    os.truncate(path, 30)
    with pytest.raises(SearchError, match="30 bytes"):
        open_index(folder)


def test_an_index_without_faiss_says_so(index):
    with pytest.raises(SearchError, match="built without FAISS; build it anew with --engine faiss"):
        search(open_index(index), QUERIES, 5, "faiss")

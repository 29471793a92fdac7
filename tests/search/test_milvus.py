"""Galleries in Milvus, on Milvus Lite: the same answers as the exact engine, and nothing of others is touched."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_gallery import DIMENSION, QUERIES, build, index_of, made_embedder, rows

from lba_cli.errors import DataError, LbaError, SearchError
from lba_cli.search import milvus_gallery
from lba_cli.search.embedder import Embedder
from lba_cli.search.gallery import IndexDescription
from lba_cli.search.gallery_place import BuildOptions, GalleryPlace
from lba_cli.search.index import open_index
from lba_cli.search.milvus import open_milvus
from lba_cli.search.milvus_gallery import Label
from lba_cli.search.query import search

pymilvus = pytest.importorskip("pymilvus")


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """One database for all tests: opening one takes half a second."""
    return str(tmp_path_factory.mktemp("milvus") / "galleries.db")


@pytest.fixture
def place(uri, request):
    return GalleryPlace(Path("g_" + str(abs(hash(request.node.name)))), "milvus", uri)


def described(embedder):
    return IndexDescription.from_embedder(embedder, "visible")


def fill(place, embedder, paths, **options):
    return place.build(described(embedder), rows(embedder, paths), BuildOptions(**options))


def ranked(place, top=10):
    with place.opened() as gallery:
        return [[hit[1:] for hit in hits] for hits in gallery.search(QUERIES, top)]


def exact(folder, top=10):
    return [[hit[1:] for hit in hits] for hits in search(open_index(folder), QUERIES, top)]


def test_lists_are_those_of_the_exact_engine(place, embedder, images, tmp_path):
    made = fill(place, embedder, images[:20])
    build(tmp_path / "index", embedder, images[:20])
    assert made == (20, "visible", DIMENSION)
    assert ranked(place) == exact(tmp_path / "index")
    assert ranked(place, 100) == exact(tmp_path / "index", 100)


@pytest.mark.slow
def test_ties_are_in_the_order_of_the_paths(place, tmp_path):
    """More copies than candidates at once: all of them have to be fetched to know the first."""
    vectors = np.tile(QUERIES[:1], (60, 1))
    names = [f"/{number:03d}.png" for number in range(60)]
    embedder, _ = made_embedder()
    place.build(described(embedder), [(names[::1], vectors)], BuildOptions())
    assert [hit[0] for hit in ranked(place, 5)[0]] == names[:5]


def test_added_and_removed_images(place, embedder, images, tmp_path):
    fill(place, embedder, images[:12])
    made, replaced = place.add(described(embedder), rows(embedder, images[8:]), {})
    assert (made.images, replaced) == (23, 4)
    build(tmp_path / "index", embedder, images)
    assert ranked(place) == exact(tmp_path / "index")
    made, removed = place.remove([images[0], str(tmp_path / "photos/1")])
    left = [path for path in images[1:] if "/photos/1/" not in path]
    assert (made.images, removed) == (len(left), 23 - len(left))
    build(tmp_path / "left", embedder, left)
    assert ranked(place) == exact(tmp_path / "left")
    made, removed = place.remove([str(tmp_path / "photos/*/00*.png")])
    assert removed == sum("/00" in path for path in left)


def test_nothing_is_removed_by_a_wrong_name(place, embedder, images):
    fill(place, embedder, images)
    for names, message in (
        ([images[0], "/nowhere"], "matches no image"),
        ([str(Path(images[0]).parents[1])], "no image"),
    ):
        with pytest.raises(SearchError, match=message):
            place.remove(names)
    with place.opened() as gallery:
        assert gallery.images == len(images)


@pytest.mark.parametrize(
    "folder", ['quo"te', "back\\slash", "per%cent_", "été", "a'b", "{x}", "ctl\x01", "tab\t", "new\nline"]
)
def test_any_name_of_a_file(place, folder):
    embedder, _ = made_embedder()
    names = sorted([f"/{folder}/a.png", f"/{folder}/b.png", f"/{folder}-2/c.png"])
    place.build(described(embedder), [(names, QUERIES[:3])], BuildOptions())
    assert sorted(hit[0] for hit in ranked(place)[0]) == names
    assert place.remove([f"/{folder}"])[1] == 2
    assert [hit[0] for hit in ranked(place)[0]] == [f"/{folder}-2/c.png"]


def test_labels_are_kept(place, embedder, images):
    labels = {images[0]: Label("anna", 3), images[1]: Label("ben", None)}
    fill(place, embedder, images[:3], labels=labels)
    with place.opened() as gallery:
        (hits,) = gallery.search(QUERIES[:1], 3)
    assert {hit.path: (hit.identity, hit.camera) for hit in hits} == {
        images[0]: ("anna", 3),
        images[1]: ("ben", None),
        images[2]: (None, None),
    }


def test_images_that_are_added_again_keep_their_labels(place, embedder, images):
    fill(place, embedder, images[:3], labels={images[0]: Label("anna", 3), images[1]: Label("ben", None)})
    place.add(described(embedder), rows(embedder, images[:4]), {images[1]: Label("bea", 2)})
    with place.opened() as gallery:
        (hits,) = gallery.search(QUERIES[:1], 4)
    assert {hit.path: hit.identity for hit in hits} == dict(zip(images, ("anna", "bea", None, None), strict=False))


def test_an_image_that_cannot_be_read_leaves_the_gallery_as_it_is(place, embedder, images, monkeypatch):
    fill(place, embedder, images[:3])
    monkeypatch.setattr(milvus_gallery, "ROWS_AT_ONCE", 2)
    Path(images[-1]).write_bytes(b"")
    with pytest.raises(DataError, match="can't be decoded"):
        place.add(described(embedder), rows(embedder, images[3:]), {})
    with place.opened() as gallery:
        assert gallery.images == 3


@pytest.mark.slow
def test_a_name_never_means_the_collection_of_another_gallery(uri, embedder, images):
    fill(GalleryPlace(Path("ab_1"), "milvus", uri), embedder, images[:2])
    fill(GalleryPlace(Path("ab"), "milvus", uri), embedder, images[:3])
    with GalleryPlace(Path("ab_1"), "milvus", uri).opened() as gallery:
        assert gallery.images == 2


def test_another_model_is_refused(place, embedder, images):
    fill(place, embedder, images)
    other, _ = made_embedder(seed=1, origin="other.pt")
    with pytest.raises(SearchError, match="its model, modality"):
        place.add(described(other), rows(other, images[:2]), {})
    with (
        place.opened() as gallery,
        pytest.raises(SearchError, match=r"built with the model .*made\.pt.* not with other\.pt"),
    ):
        gallery.require_model(other)


def test_a_gallery_is_replaced_only_on_demand(place, embedder, images, tmp_path):
    fill(place, embedder, images)
    with pytest.raises(SearchError, match=r"exists already.*--force"):
        fill(place, embedder, images[:3])
    with place.opened() as gallery:
        assert gallery.images == len(images)
    assert fill(place, embedder, images[:3], replace=True).images == 3
    with open_milvus(place.uri) as client:
        assert sum(name.startswith(f"{place.index}__") for name in client.list_collections()) == 1


@pytest.mark.slow
def test_collections_of_others_are_left_alone(uri, embedder, images):
    with open_milvus(uri, create=True) as client:
        client.create_collection("theirs", dimension=4)
        client.create_collection("ours__1", dimension=4)
    with pytest.raises(SearchError, match="theirs is a collection that lba didn't make"):
        fill(GalleryPlace(Path("theirs"), "milvus", uri), embedder, images, replace=True)
    ours = GalleryPlace(Path("ours"), "milvus", uri)
    fill(ours, embedder, images)
    fill(ours, embedder, images, replace=True)
    with open_milvus(uri) as client:
        assert {"theirs", "ours__1"} < set(client.list_collections())


@pytest.mark.slow
def test_a_failed_build_leaves_the_old_gallery(place, embedder, images):
    fill(place, embedder, images[:5])
    before = ranked(place)

    def failing():
        yield from rows(embedder, images[:8])
        raise OSError("the camera is gone")

    with pytest.raises(OSError, match="camera"):
        place.build(described(embedder), failing(), BuildOptions(replace=True))
    assert ranked(place) == before
    with open_milvus(place.uri) as client:
        assert sum(name.startswith(f"{place.index}__") for name in client.list_collections()) == 1


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from fake_gallery import made_embedder, rows
from lba_cli.search.gallery import IndexDescription
from lba_cli.search.gallery_place import BuildOptions, GalleryPlace
from lba_cli.search import milvus
milvus.blocks = lambda rows: rows
embedder, _ = made_embedder()
def killed():
    for number, row in enumerate(rows(embedder, sys.argv[3:])):
        if number == 3: os.kill(os.getpid(), 9)
        yield row
place = GalleryPlace(Path("people"), "milvus", sys.argv[2])
place.build(IndexDescription.from_embedder(embedder, "visible"), killed(), BuildOptions(replace=True))
"""


@pytest.mark.slow
@pytest.mark.parametrize("existed", [False, True])
def test_a_killed_build_leaves_the_old_gallery(embedder, images, tmp_path, existed):
    place = GalleryPlace(Path("people"), "milvus", str(tmp_path / "killed.db"))
    if existed:
        fill(place, embedder, images[:5])
    words = [str(Path(__file__).parent.parent), place.uri, *images]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], check=False, env={**os.environ}, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if existed:
        with place.opened() as gallery:
            assert gallery.images == 5
    else:
        with pytest.raises(SearchError, match="no such gallery"), place.opened():
            pass
    assert fill(place, embedder, images, replace=existed).images == len(images)
    with open_milvus(place.uri) as client:
        assert len(client.list_collections()) == 1


@pytest.mark.parametrize(
    ("index", "engine", "uri", "message"),
    [
        ("people", "exact", "x.db", "add --engine milvus"),
        ("a/b", "milvus", None, "letters, digits and underscores"),
        ("people", "milvus", "missing.db", "no such folder; say with --uri"),
        ("people", "milvus", "people.sqlite", r"ends in \.db"),
        ("people", "milvus", "file.db", "is a file"),
        ("people__1", "milvus", None, "doesn't end in __ and a number"),
        ("people", "milvus", "photos.db", "not one of Milvus Lite"),
        ("people", "milvus", "http://host:x", "not the address of a server"),
        ("people", "milvus", "ftp://host", "not the address of a server"),
    ],
)
def test_wrong_places(tmp_path, monkeypatch, index, engine, uri, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.db").write_text("mine")
    (tmp_path / "photos.db").mkdir()
    (tmp_path / "photos.db" / "a.jpg").write_text("mine")
    with pytest.raises(LbaError, match=message), GalleryPlace(Path(index), engine, uri).opened():
        pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.jpg", "file.db", "photos.db"]


def test_a_check_before_the_work_makes_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    GalleryPlace(Path("people"), "milvus").require_new(BuildOptions())
    with pytest.raises(SearchError, match="no folder nowhere; make it first"):
        GalleryPlace(Path("people"), "milvus", "nowhere/x.db").require_new(BuildOptions())
    assert not list(tmp_path.iterdir())


def test_a_server_that_does_not_answer_is_one_line(monkeypatch):
    monkeypatch.setattr(pymilvus.MilvusClient, "__init__", lambda *_, **__: failing())

    def failing():
        raise pymilvus.MilvusException(2, "Fail connecting to server on localhost:1")

    with (
        pytest.raises(SearchError, match=r"http://localhost:1: Milvus says: Fail connecting"),
        open_milvus("http://localhost:1"),
    ):
        pass


@pytest.mark.parametrize(
    "count", [pytest.param(10_000, marks=pytest.mark.slow), pytest.param(100_000, marks=pytest.mark.long)]
)
def test_many_vectors(tmp_path, count):
    """The flat index gives the exact engine's lists; the approximate one finds nearly all of them."""
    chance = np.random.default_rng(0)
    centres = chance.standard_normal((2_000, 128))
    vectors = centres[chance.integers(0, 2_000, count)] + 0.7 * chance.standard_normal((count, 128))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    queries = vectors[:: count // 50] + 0.02 * chance.standard_normal((50, 128)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    folder = index_of(tmp_path / "index", vectors)
    embedder = Embedder("made", "0" * 64, 64, 32, 128, lambda *_: None)
    wanted = [[hit[1:] for hit in hits] for hits in search(folder, queries, 10)]
    for approximate in (False, True):
        place = GalleryPlace(Path("many"), "milvus", str(tmp_path / f"{approximate}.db"))
        blocks = ((folder.paths[at : at + 4096], vectors[at : at + 4096]) for at in range(0, count, 4096))
        place.build(described(embedder), blocks, BuildOptions(approximate=approximate))
        with place.opened() as gallery:
            found = [[hit[1:] for hit in hits] for hits in gallery.search(queries, 10)]
        if approximate:
            hits = sum(len(set(one) & set(other)) for one, other in zip(found, wanted, strict=True))
            assert hits >= 0.95 * 500
        else:
            assert found == wanted

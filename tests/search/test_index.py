"""An index appears whole or not at all, and knows its model and modality; its FAISS part is kept up to date."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from fake_gallery import DIMENSION, QUERIES, add, build, content, made_embedder, rows, write_image

from lba_cli.errors import DataError, LbaError, MissingExtra, SearchError
from lba_cli.search.embedder import Embedder
from lba_cli.search.gallery import IndexDescription
from lba_cli.search.index import open_index
from lba_cli.search.query import search
from lba_cli.search.update import Storage, build_index, remove_rows


def test_what_an_index_holds(index, embedder, images):
    opened = open_index(index, fully=True)
    assert opened.paths == [path for number, path in enumerate(images) if number % 3]
    assert opened.vectors.shape == (15, DIMENSION)
    assert isinstance(opened.vectors, np.memmap)
    np.testing.assert_allclose(np.linalg.norm(opened.vectors, axis=1), 1, atol=1e-6)
    assert (opened.manifest.model, opened.manifest.modality) == (embedder.fingerprint, "visible")
    assert sorted(path.name for path in index.iterdir()) == ["manifest.json", "paths-1.csv", "vectors-1.npy"]


def test_paths_may_have_commas_quotes_and_newlines(embedder, tmp_path):
    paths = sorted(write_image(tmp_path / name, seed) for seed, name in enumerate(('a,"b".png', "c\nd.png", "ü.png")))
    build(tmp_path / "index", embedder, paths)
    assert open_index(tmp_path / "index").paths == paths
    add(tmp_path / "index", embedder, [write_image(tmp_path / "e\rf.png", 9)])
    assert len(open_index(tmp_path / "index").paths) == 4


def test_unreadable_images_prevent_an_index_unless_they_are_skipped(embedder, images, tmp_path):
    Path(images[5]).write_bytes(b"")
    with pytest.raises(DataError, match=r"1 of 23 images can't be decoded"):
        build(tmp_path / "index", embedder, images)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]
    build_index(
        tmp_path / "index",
        IndexDescription.from_embedder(embedder, "visible"),
        rows(embedder, images, skip_broken=True),
    )
    assert len(open_index(tmp_path / "index").paths) == 22
    before = content(tmp_path / "index")
    with pytest.raises(DataError, match="can't be decoded"):
        add(tmp_path / "index", embedder, images[4:7])
    assert content(tmp_path / "index") == before


def test_an_index_needs_images(embedder, tmp_path):
    with pytest.raises(SearchError, match="no images to build an index from"):
        build(tmp_path / "index", embedder, [])
    assert not (tmp_path / "index").exists()


def test_an_index_is_replaced_only_on_request(index, images, tmp_path):
    before = content(index)
    other = made_embedder(seed=1)[0]
    with pytest.raises(LbaError, match="exists already"):
        build(index, other, images)
    assert content(index) == before
    build(index, other, images, replace=True)
    assert open_index(index, fully=True).manifest.model == other.fingerprint
    assert len(list(index.iterdir())) == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(LbaError, match="exists already.*it is not an index"):
        build(tmp_path / "mine", other, images, replace=True)


def test_a_missing_index_is_reported(tmp_path):
    with pytest.raises(SearchError, match="no such index; make one with lba search build"):
        open_index(tmp_path / "nowhere")


def test_another_model_or_modality_is_refused(index, images):
    other = made_embedder(seed=1, origin="other.pt")[0]
    opened = open_index(index)
    with pytest.raises(SearchError, match=r"built with the model .*made\.pt \(weights .*not with other\.pt"):
        opened.require_model(other)
    with pytest.raises(SearchError, match="its model, modality or data.value_range is not that"):
        add(index, other, images[:1])
    with pytest.raises(SearchError, match="its model, modality or data.value_range is not that"):
        add(index, made_embedder()[0], images[:1], "infrared")
    with pytest.raises(SearchError, match="holds visible images; build another index for infrared images"):
        opened.require_modality("infrared")
    same = made_embedder()[0]
    opened.require_model(same)
    larger = Embedder(same.origin, same.fingerprint, 128, 64, DIMENSION, same.function)
    with pytest.raises(SearchError, match="64×32 images"):
        opened.require_model(larger)


def test_a_missing_extra_is_named(embedder, images, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match="extra 'faiss'"):
        build_index(
            tmp_path / "index",
            IndexDescription.from_embedder(embedder, "visible"),
            rows(embedder, images),
            storage=Storage(faiss=True),
        )
    assert not (tmp_path / "index").exists()


def test_faiss_is_kept_with_the_index(embedder, images, tmp_path):
    pytest.importorskip("faiss")
    folder = tmp_path / "index"
    build(folder, embedder, images[:12], storage=Storage(faiss=True))
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
    with pytest.raises(SearchError, match="built without FAISS; rebuild it with --engine faiss"):
        search(open_index(index), QUERIES, 5, "faiss")

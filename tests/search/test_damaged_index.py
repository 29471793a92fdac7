"""A damaged index is reported in one line, and an update never copies damaged data."""

import os

import pytest
from fake_gallery import DIMENSION, QUERIES, add, content

from lba_cli.errors import SearchError
from lba_cli.search.index import open_index
from lba_cli.search.query import search
from lba_cli.search.update import remove_rows


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


CHANGED = "changed since it was written"  # also right where checksums are compared first
HOWS = {
    "cut": "damaged: its size is 1,087 bytes, not 1,088",
    "cut paths": "damaged: its size is 50 bytes",
    "no vectors": "missing",
    "other path": CHANGED,
    "header": "damaged: int32",
    "object": "damaged or truncated",
    "no manifest": "not an index of a gallery",
    "cut manifest": "not JSON",
    "version": "format version '2', but this lba release reads version 1",
    "foreign": "does not describe an index",
    "list": "does not describe an index",
    "huge": "larger than",
    "outside": "vectors.name",
    "dimension": "damaged: float32 of shape",
    "images": "not the paths of 16 images",
    "unknown key": "damaged (extra",
    "deep": "damaged",
}


@pytest.mark.parametrize("how", HOWS)
def test_a_damaged_index_is_reported_in_one_line_and_left_unchanged(index, embedder, images, how):
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


def test_changed_vectors_are_found_by_their_checksum_and_never_copied(index, embedder, images):
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
def test_a_query_finds_vectors_that_are_not_of_unit_length(index, value):
    flip(index / "vectors-1.npy", -1, value)
    flip(index / "vectors-1.npy", -2, 0xC0)
    with pytest.raises(SearchError, match="not of unit length"):
        search(open_index(index), QUERIES, 3)


@pytest.mark.parametrize("name", ["vectors-1.npy", "paths-1.csv", "manifest.json"])
def test_a_flipped_bit_is_found_in_any_file(index, embedder, name):
    """The exception is the name of the file that the model came from, which only helps to find it."""
    whole = (index / name).read_bytes()
    made = open_index(index).manifest
    for place in range(len(whole)) if name == "manifest.json" else range(0, len(whole), 7):
        flip(index / name, place, whole[place] ^ 0x01)
        try:
            changed = open_index(index, fully=True)
            changed.require_model(embedder)
            assert name == "manifest.json"
            assert changed.manifest.model_copy(update={"origin": made.origin}) == made, place
        except SearchError as problem:
            assert "\n" not in str(problem)
    (index / name).write_bytes(whole)
    open_index(index, fully=True).require_model(embedder)

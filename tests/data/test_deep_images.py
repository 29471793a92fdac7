"""Every reader of images stretches deep ones alike: preparing, folders, embedding, search, and the Python API."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fake_gallery import made_embedder
from fake_listener import Recorder
from PIL import Image
from small_setup import HEIGHT, WIDTH

from lba_cli.config import DataSection
from lba_cli.data.image_files import read_image
from lba_cli.data.prepare import prepare
from lba_cli.data.store import StoredImages
from lba_cli.datasets.folder import read_folder
from lba_cli.datasets.open import open_data
from lba_cli.errors import CheckpointError, DataError, SearchError
from lba_cli.evaluation import embed_images
from lba_cli.export.embedding_model import metadata
from lba_cli.model import load_network
from lba_cli.model.checkpoint import read_checkpoint, write_checkpoint
from lba_cli.reporting import Silent
from lba_cli.search.embed_file import embed_to_file
from lba_cli.search.embed_paths import EmbeddingRequest, embedded_rows
from lba_cli.search.embedder import network_embedder
from lba_cli.search.gallery import IndexDescription
from lba_cli.search.update import add_rows, build_index
from lba_cli.vocabulary import MODALITIES


@pytest.fixture
def deep_root(tmp_path):
    """A folder of people whose infrared images have 14-bit values in 16-bit files."""
    random = np.random.default_rng(0)
    for person in "abcd":
        for modality in MODALITIES:
            image = random.integers(7000, 7500, (32, 16)).astype(np.uint16)
            if modality == "visible":
                image = random.integers(0, 255, (32, 16, 3), np.uint8)
            folder = tmp_path / "people" / modality / person
            folder.mkdir(parents=True)
            Image.fromarray(image).save(folder / "1.png")
    return tmp_path / "people"


def deep_config(root, **more):
    return DataSection(root=str(root), height=32, width=16, workers=0, **more)


def test_preparing_counts_flat_images_and_records_how_they_were_stretched(deep_root, tmp_path):
    for value_range, flat in (("full", 4), ("percentiles", 0)):
        warnings, output = Recorder(), tmp_path / f"store-{value_range}"
        listing = replace(read_folder(deep_root), value_range=value_range)
        prepare(listing, output, 32, 16, listener=warnings, workers=1)
        assert [line.split(" have")[0] for line in warnings.warnings] == ["4 of 8 images"] * bool(flat)
        manifest = json.loads((output / "manifest.json").read_text())
        assert manifest["value_range"] == value_range
        assert manifest["pixel_facts"] == {"deep": 4, **({"flat": flat} if flat else {})}
        again = Recorder()
        StoredImages(output).check([0, 1], again)
        assert len(again.warnings) == len(warnings.warnings), "what is trained on says it again"


def test_a_store_and_a_folder_have_the_same_deep_images(deep_root, tmp_path):
    listing = replace(read_folder(deep_root), value_range=[7100, 7400])
    prepare(listing, tmp_path / "store", 32, 16, listener=Silent(), workers=2)
    store, folder = (
        StoredImages(tmp_path / "store"),
        open_data(deep_config(deep_root, value_range=[7100, 7400]), Silent()),
    )
    everything = range(len(store.samples))
    np.testing.assert_array_equal(store.read(everything), folder.read(everything))
    full = open_data(deep_config(deep_root), Silent())
    differ = [(full.read([i]) != folder.read([i])).any() for i in everything]
    assert differ == [sample.modality == "infrared" for sample in folder.samples]


def test_a_store_that_was_stretched_otherwise_is_refused(deep_root, tmp_path):
    store = tmp_path / "store"
    prepare(replace(read_folder(deep_root), value_range="image"), store, 32, 16, listener=Silent(), workers=1)
    open_data(deep_config(store, value_range="image"), Silent())
    with pytest.raises(
        DataError, match=r"prepared with data\.value_range=image, but .* says full: .*--set data\.value_ra"
    ):
        open_data(deep_config(store), Silent())


def test_images_of_a_folder_are_looked_at_once_before_they_are_used(deep_root):
    source, warnings = open_data(deep_config(deep_root), Silent()), Recorder()
    source.check(range(8), warnings)
    source.check(range(8), warnings)
    (line,) = warnings.warnings
    assert line.startswith(f"{deep_root}: 4 of 8 images have more than 8 bits a pixel")


@pytest.fixture
def frames(deep_root):
    return sorted(map(str, (deep_root / "infrared").glob("*/*.png")))


def test_embedding_warns_and_counts_survive_an_interruption(frames, tmp_path):
    embedder = made_embedder()[0]
    request, warnings = EmbeddingRequest(embedder, "infrared", frames, 1), Recorder()

    embed_to_file(request, tmp_path / "whole.npz", listener=warnings)
    partial = Recorder()

    def stopped(images, modality, seen=[]):  # noqa: B006
        seen.append(modality)
        if len(seen) == 3:
            raise RuntimeError("stopped")
        return embedder.function(images, modality)

    with pytest.raises(RuntimeError, match="stopped"):
        interrupted = replace(request, embedder=replace(embedder, function=stopped))
        embed_to_file(interrupted, tmp_path / "again.npz", listener=Silent())
    embed_to_file(request, tmp_path / "again.npz", listener=partial)
    assert partial.warnings == warnings.warnings
    assert warnings.warnings[0].startswith("4 of 4 images have more than 8 bits")


def test_another_range_gives_other_vectors_and_no_vectors_are_mixed(frames, tmp_path):
    embedder = made_embedder()[0]
    stretched = replace(embedder, value_range="image")
    described = {}
    for each in (embedder, stretched):
        request = EmbeddingRequest(each, "infrared", frames, 8)
        ((_, vectors),) = embedded_rows(request, Silent())
        described[each.value_range] = vectors
    assert (described["full"] != described["image"]).any()
    index, first, more = tmp_path / "index", *(replace(request, paths=part) for part in (frames[:2], frames[2:]))
    build_index(index, IndexDescription.from_embedder(stretched, "infrared"), embedded_rows(first, Silent()))
    with pytest.raises(SearchError, match=r"its model, modality or data\.value_range is not that"):
        plain = replace(more, embedder=embedder)
        add_rows(index, IndexDescription.from_embedder(embedder, "infrared"), embedded_rows(plain, Silent()))


def test_a_checkpoint_carries_the_range_of_its_run(network_file, frames, tmp_path):
    checkpoint = read_checkpoint(network_file)
    config = {**checkpoint.description.config}
    config["data"] = {**config.get("data", {}), "value_range": [7000, 7500]}
    path = tmp_path / "stretched.pt"
    write_checkpoint(path, replace(checkpoint, description=replace(checkpoint.description, config=config)))
    network, plain = load_network(path), load_network(network_file)
    assert (network.value_range, plain.value_range) == ((7000, 7500), "full")
    assert network_embedder(network, "x").value_range == (7000, 7500)
    pixels = [read_image(frame, HEIGHT, WIDTH, (7000, 7500)) for frame in frames]
    stretched = embed_images(network, frames, "infrared")
    np.testing.assert_array_equal(stretched, embed_images(plain, pixels, "infrared"))
    assert (stretched != embed_images(plain, frames, "infrared")).any()
    exported = json.loads(metadata(network, read_checkpoint(path).description))
    assert exported["preprocessing"]["value_range"] == [7000, 7500]


def test_a_checkpoint_with_an_impossible_range_is_damaged(network_file, tmp_path):
    checkpoint = read_checkpoint(network_file)
    for wrong in ("everything", [5, 1], {"low": 1}):
        description = replace(checkpoint.description, config={"data": {"value_range": wrong}})
        write_checkpoint(tmp_path / "x.pt", replace(checkpoint, description=description))
        with pytest.raises(CheckpointError, match="damaged"):
            read_checkpoint(tmp_path / "x.pt")

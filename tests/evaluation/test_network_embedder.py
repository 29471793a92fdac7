"""One way from pixels to embeddings: an image has the same embedding to the bit, whoever embeds it and beside what."""

import numpy as np
import pytest
import torch
from fake_dataset import MadeImages, OppositeStems, tree

from lba_cli.data.image_files import read_image
from lba_cli.evaluation import embed_images
from lba_cli.evaluation.embedding import embed_views
from lba_cli.evaluation.network_embedder import CPU_CHUNK, PLAIN, NetworkEmbedder, View, fixed_chunks
from lba_cli.model import load_network
from lba_cli.reporting import Silent
from lba_cli.search import network_embedder

COUNT = 11


@pytest.fixture(scope="module")
def network(network_file):
    return load_network(network_file)


@pytest.mark.parametrize("modality", ["visible", pytest.param("infrared", marks=pytest.mark.slow)])
def test_all_ways_give_an_image_the_same_bits(network, network_file, source, tiny, lba, modality):
    chosen = [index for index, sample in enumerate(source.samples) if sample.modality == modality][:COUNT]
    wanted = embed_views(network, source, chosen, listener=Silent(), workers=0)[PLAIN].of(chosen)
    files = [tiny / source.samples[index].path for index in chosen]
    np.testing.assert_array_equal(embed_images(network, files, modality), wanted)
    alone = [embed_images(network, [file], modality) for file in files]
    np.testing.assert_array_equal(np.concatenate(alone), wanted)
    pixels = np.stack([read_image(file, *network.image_size) for file in files])
    searched = network_embedder(network, "net.pt")
    np.testing.assert_array_equal(searched.embed(pixels, modality), wanted)
    np.testing.assert_array_equal(searched.embed(pixels[3:5], modality), wanted[3:5])
    for batch_size in (1, 3, 128):
        output = f"{batch_size}.npz"
        words = ("--modality", modality, "--checkpoint", network_file, "--output", output)
        lba("embed", *files, *words, "--set", f"evaluation.batch_size={batch_size}")
        stored = np.load(output)
        rows = [stored["paths"].tolist().index(str(file)) for file in files]
        np.testing.assert_array_equal(stored["features"][rows], wanted)


def test_all_views_give_an_image_the_same_bits_alone_and_with_others(network_file, source):
    network = load_network(network_file)
    with torch.no_grad():
        network.neck.running_mean.normal_(generator=torch.Generator().manual_seed(0))
    views = [View(flip, place) for flip in (False, True) for place in (None, "neck")]
    embedder = NetworkEmbedder(network)
    images = torch.from_numpy(source.read(range(COUNT)))
    together = embedder.embed(images, "visible", views)
    for row in range(COUNT):
        alone = embedder.embed(images[row : row + 1], "visible", views)
        for view in views:
            np.testing.assert_array_equal(alone[view][0], together[view][row])


def test_bfloat16_changes_the_vectors_a_little_and_the_model_s_name(network, source):
    images = torch.from_numpy(source.read(range(COUNT)))
    exact, rounded = (
        NetworkEmbedder(network, name).embed(images, "visible")[PLAIN] for name in ("float32", "bfloat16")
    )
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=1), 1, atol=1e-6)
    assert not np.array_equal(exact, rounded)
    assert ((exact * rounded).sum(axis=1) > 0.99).all()
    alone = [NetworkEmbedder(network, "bfloat16").embed(images[row : row + 1], "visible")[PLAIN] for row in (0, 5)]
    np.testing.assert_array_equal(np.concatenate(alone), rounded[[0, 5]])
    names = {name: network_embedder(network, "x", name).fingerprint for name in ("float32", "bfloat16", "auto")}
    assert names["bfloat16"] != names["float32"]
    assert names["auto"] in (names["float32"], names["bfloat16"])


class ShapeSensitive(OppositeStems):
    """Gives other embeddings in batches of another size, as real kernels do in the last bits."""

    def __init__(self):
        super().__init__()
        self.sizes = set()

    def pooled(self, images, modality):
        self.sizes.add(len(images))
        return super().pooled(images, modality) + len(images)


def test_the_network_always_sees_the_same_number_of_images():
    source = MadeImages(tree("sysu"), "sysu")
    images = torch.from_numpy(source.read(range(COUNT)))
    network = ShapeSensitive()
    embedder = NetworkEmbedder(network)
    together = embedder.embed(images, "visible")[PLAIN]
    alone = [embedder.embed(image[None], "visible")[PLAIN] for image in images]
    np.testing.assert_array_equal(np.concatenate(alone), together)
    indices = range(0, len(source.samples), 5)
    for batch_size in (1, 7, 128):
        embed_views(network, source, indices, listener=Silent(), batch_size=batch_size, workers=0)[PLAIN]
    assert network.sizes == {CPU_CHUNK}


def test_no_images_give_no_embeddings(network):
    embedder = NetworkEmbedder(network)
    none = embedder.embed(torch.empty(0, 64, 32, 3, dtype=torch.uint8), "visible")[PLAIN]
    assert none.shape == (0, network.embedding_size)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 9])
def test_chunks_have_one_size_and_hold_every_image_once(count):
    images = torch.arange(2 * count).view(count, 2)
    chunks = list(fixed_chunks(images, 4))
    assert all(len(chunk) == 4 for chunk, _ in chunks)
    kept = [chunk[:real] for chunk, real in chunks]
    assert torch.equal(torch.cat(kept) if kept else images, images)
    for chunk, real in chunks:
        assert torch.equal(chunk[real:], chunk[real - 1].expand(4 - real, 2))

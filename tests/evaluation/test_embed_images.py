"""Pictures that belong to no data set: they have the same embeddings as in a data set, and mistakes are reported in one line."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_setup import HEIGHT, WIDTH

from lba_cli.errors import DataError
from lba_cli.evaluation import embed_images
from lba_cli.evaluation.embedding import embed_through, embed_views
from lba_cli.evaluation.network_embedder import PLAIN
from lba_cli.model import TwoStreamNetwork, load_network
from lba_cli.reporting import Silent


@pytest.fixture(scope="module")
def network(network_file):
    return load_network(network_file)


def test_files_have_the_same_embeddings_as_the_images_of_a_data_set(network, source, tiny):
    assert network.image_size == (HEIGHT, WIDTH)
    for modality in ("visible", "infrared"):
        chosen = [i for i, sample in enumerate(source.samples) if sample.modality == modality][:5]
        wanted = embed_views(network, source, chosen, listener=Silent(), workers=0)[PLAIN].of(chosen)
        files = [tiny / source.samples[index].path for index in chosen]
        found = embed_images(network, files, modality)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted)
        arrays = [np.array(Image.open(file).convert("RGB")) for file in files]
        np.testing.assert_array_equal(embed_images(network, arrays, modality), found)


def test_a_data_set_is_embedded_through_any_function(network, source):
    chosen = range(0, len(source.samples), 40)
    wanted = embed_views(network, source, chosen, listener=Silent(), workers=0)[PLAIN].of(chosen)
    found = embed_through(network.embed, network.embedding_size, source, chosen, listener=Silent(), workers=0)
    np.testing.assert_allclose(found.of(chosen), wanted, atol=1e-6)


def test_a_network_in_training_stays_in_training(network_file, tiny):
    network = load_network(network_file).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    embed_images(network, [next((tiny / "cam1").glob("*/*.jpg"))], "visible")
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_no_images_give_no_embeddings(network):
    assert embed_images(network, [], "visible").shape == (0, network.embedding_size)


def test_mistakes_are_reported_in_one_line(network, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for wrong, words in (
        (tmp_path / "missing.jpg", "missing.jpg: no such file"),
        (tmp_path / "text.jpg", "text.jpg: text, not an image"),
        (np.zeros((4, 4), np.uint8), r"\(H, W, 3\) array of uint8, not uint8 of shape \(4, 4\)"),
        (np.zeros((4, 4, 3)), "not float64"),
    ):
        with pytest.raises(DataError, match=words) as caught:
            embed_images(network, [wrong], "visible")
        assert "\n" not in str(caught.value)
    with pytest.raises(TypeError, match="list of images"):
        embed_images(network, "a.jpg", "visible")
    with pytest.raises(ValueError, match="modality must be"):
        embed_images(network, [], "thermal")


def test_a_network_knows_its_image_size(network_file):
    from lba_cli.model.initial_weights import build_network

    assert TwoStreamNetwork("resnet18", 4).image_size == (288, 144)
    assert build_network("resnet18", 4, "none", 0, (112, 56)).image_size == (112, 56)

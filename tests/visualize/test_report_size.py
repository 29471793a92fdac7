"""A report stays below its size limit, and is never written in part."""

import base64
import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_dataset import MadeImages, OppositeStems, tree
from PIL import Image
from report_pages import FEW, data_of

from lba_cli.errors import LbaError
from lba_cli.model.network import StageMaps
from lba_cli.reporting import Silent
from lba_cli.visualize.report import write_report
from lba_cli.visualize.report.album import data_uri


@pytest.mark.slow
def test_a_report_that_is_too_large_shows_less_and_says_so(subject, source, tmp_path):
    whole = write_report(tmp_path / "a.html", subject, source, listener=Silent(), bounds=FEW)
    assert whole == (tmp_path / "a.html").stat().st_size
    assert data_of((tmp_path / "a.html").read_text())["summary"]["requested"] is None
    warned = []
    listener = SimpleNamespace(task=Silent().task, say=warned.append, warn=warned.append)
    size = write_report(tmp_path / "b.html", subject, source, listener=listener, bounds=FEW, most_bytes=whole - 1)
    shown = data_of((tmp_path / "b.html").read_text())
    assert size < whole
    assert shown["summary"]["requested"]["queries"] == 6
    assert len(shown["lists"]["lists"]) == shown["summary"]["bounds"]["queries"] == 3
    assert "so it shows less" in warned[-1]
    with pytest.raises(LbaError, match="even the smallest"):
        write_report(tmp_path / "c.html", subject, source, listener=Silent(), bounds=FEW, most_bytes=1000)
    assert not (tmp_path / "c.html").exists()


@pytest.mark.parametrize(
    ("height", "width", "size"), [(288, 144, (112, 224)), (60, 30, (30, 60)), (100, 1000, (224, 22))]
)
def test_the_longer_side_of_an_image_has_at_most_224_pixels(height, width, size):
    uri = data_uri(np.zeros((height, width, 3), np.uint8))
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as image:
        assert image.size == size


class NoisyImages(MadeImages):
    """Images of noise, which JPEG can't compress, at the usual size."""

    height, width = 288, 144

    def read(self, indices):
        return np.stack([np.random.default_rng(i).integers(0, 256, (288, 144, 3), np.uint8) for i in indices])


class Stub(OppositeStems):
    """Takes embeddings from the noise of an image, and makes maps of the usual size."""

    embedding_size = 8

    def pooled(self, images, modality):
        return images[:, 0, :8, 0] * self.weight

    def maps(self, images, modality):
        maps = torch.nn.functional.adaptive_avg_pool2d(images, (18, 9))
        return StageMaps(maps, maps)


@pytest.mark.long
def test_a_report_of_sysus_size_stays_below_20_megabytes(subject, tmp_path):
    source = NoisyImages(tree("sysu", identities=range(1, 97), images=20), "sysu", name="made-sysu")
    noisy = replace(subject, network=Stub())
    size = write_report(tmp_path / "r.html", noisy, source, listener=Silent())
    assert size == (tmp_path / "r.html").stat().st_size
    assert 5_000_000 < size < 20_000_000
    shown = data_of((tmp_path / "r.html").read_text())["summary"]
    assert shown["requested"]["queries"] == 120
    assert 0 < shown["bounds"]["queries"] < 120

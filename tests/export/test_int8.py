"""Files in 8-bit integers: size, metadata, embeddings, and refusals."""

import numpy as np
import pytest
import torch

from lba_cli.errors import ExportError
from lba_cli.export import Calibration, ExportOptions, export
from lba_cli.model.checkpoint import read_checkpoint, rebuild_network
from lba_cli.search.onnx_embedder import onnx_embedder


def random_images(seed):
    generator = torch.Generator().manual_seed(seed)
    return Calibration("noise", {m: torch.randn(8, 3, 64, 32, generator=generator) for m in ("visible", "infrared")})


def exported(network_file, path, **options):
    checkpoint = read_checkpoint(network_file)
    return export(rebuild_network(checkpoint), checkpoint.description, "onnx", path, ExportOptions(**options))


def test_int8_needs_images_and_only_int8_takes_them(network_file, tmp_path):
    for options in ({"precision": "int8"}, {"calibration": random_images(0)}):
        with pytest.raises(ExportError, match="an int8 file, and no other, is calibrated on images"):
            exported(network_file, tmp_path / "x.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_the_digest_depends_on_every_image():
    assert random_images(0).digest == random_images(0).digest != random_images(1).digest
    assert random_images(0).count == 16
    assert sum(len(feed["images"]) for feed in random_images(0).feeds(None)) == 16
    feeds = list(random_images(0).feeds("visible"))
    assert sum(len(feed["images"]) for feed in feeds) == 8
    assert set(feeds[0]) == {"images"}


@pytest.mark.parametrize("format_name", ["pt2", "safetensors", "official"])
def test_only_onnx_files_are_in_int8(lba, network_file, store, tmp_path, format_name):
    suffix = {"official": "t"}.get(format_name, format_name)
    words = ("--format", format_name, "--precision", "int8", "--data", store, "--output", f"x.{suffix}")
    output = " ".join(lba("export", "--checkpoint", network_file, *words, status=2).output.split())
    assert f"--format {format_name} supports" in output
    assert "not --precision int8" in output


def test_calibrate_needs_int8(lba, network_file, store):
    words = ("--format", "onnx", "--calibrate", store, "--output", "x.onnx")
    assert "--calibrate needs --precision int8" in lba("export", "--checkpoint", network_file, *words, status=2).output


@pytest.mark.slow
def test_a_file_is_a_quarter_and_its_vectors_are_a_model_of_their_own(lba, network_file, onnx_file, store, tmp_path):
    int8 = ("export", "--checkpoint", network_file, "--format", "onnx", "--precision", "int8")
    result = lba(*int8, "--data", store, "--output", "one.onnx")
    assert "exported" in result.output
    card = (tmp_path / "one.onnx.md").read_text()
    assert "weights in int8, calibrated on 128 training images of synthetic-tiny" in card
    assert "| exported, int8 |" in card
    assert (tmp_path / "one.onnx").stat().st_size < 0.27 * onnx_file.stat().st_size

    # Files of both stems that are calibrated on the same images are one model, and others are another one.
    lba(*int8, "--calibrate", store, "--stems", "two", "--output", "two.onnx")
    ours, plain = onnx_embedder(tmp_path / "one.onnx"), onnx_embedder(onnx_file)
    stems = {onnx_embedder(tmp_path / f"two-{modality}.onnx").fingerprint for modality in ("visible", "infrared")}
    assert stems == {ours.fingerprint}
    assert ours.fingerprint != plain.fingerprint
    exported(network_file, tmp_path / "other.onnx", precision="int8", calibration=random_images(0))
    assert onnx_embedder(tmp_path / "other.onnx").fingerprint != ours.fingerprint

    images = np.random.default_rng(0).integers(0, 256, (6, 64, 32, 3), np.uint8)
    for modality in ("visible", "infrared"):
        similarity = (ours.embed(images, modality) * plain.embed(images, modality)).sum(axis=1)
        assert similarity.min() > 0.99
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]

"""Valid files of every kind that lba reads, for tests to damage."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from reliability import hostile_checkpoints
from small_setup import GOLDEN

from lba_cli.data.prepare import prepare
from lba_cli.data.samples import Listing, Sample
from lba_cli.data.store import StoredImages
from lba_cli.reporting import Silent


class Place:
    """A folder with valid files of every kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.matlab = (GOLDEN / "mini_rand_perm_cam.mat").read_bytes()
        self.images = [*small_images()]
        hostile_checkpoints.write_good(folder / "good.pt")
        self.checkpoint = (folder / "good.pt").read_bytes()
        self.small_checkpoint = hostile_checkpoints.saved(
            {**hostile_checkpoints.content(weights={"neck.bias": torch.ones(3)}), "epoch": 1.5}
        )
        self.features = npz(np.eye(6, 4, dtype=np.float32))
        samples = []
        for number in range(4):
            Image.new("RGB", (8, 8), (number * 50, 9, 9)).save(folder / f"{number}.png")
            samples.append(Sample(f"{number}.png", number, 1, "visible", "train"))
        prepare(
            Listing("made up", "folder", folder, tuple(samples)), folder / "store", 8, 8, listener=Silent(), workers=1
        )
        self.store = {path.name: path for path in (folder / "store").iterdir()}
        source = StoredImages(folder / "store")
        self.content = (source.name, source.fingerprint, source.samples, source.read(range(4)))


def npz(features: np.ndarray) -> bytes:
    """Return a feature file of six images."""
    buffer = io.BytesIO()
    words = np.asarray(["visible", "infrared"] * 3)
    np.savez(buffer, features=features, identities=np.arange(6) // 2, modalities=words, cameras=np.ones(6, np.int64))
    return buffer.getvalue()


def small_images() -> Iterator[bytes]:
    """Make small images in all the formats and modes that ``read_image`` handles."""
    gradient = Image.fromarray(np.arange(24 * 16 * 3, dtype=np.uint8).reshape(24, 16, 3))
    upright = Image.Exif()
    upright[0x0112] = 6
    frames = {"save_all": True, "append_images": [gradient.rotate(180)]}
    for mode, format, options in (
        ("RGB", "JPEG", {"exif": upright}),
        ("L", "JPEG", {"progressive": True}),
        ("CMYK", "JPEG", {}),
        ("RGB", "PNG", {"exif": upright}),
        ("P", "PNG", {}),
        ("RGB", "PNG", frames),
        ("RGB", "BMP", {}),
        ("P", "GIF", frames),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "TIFF", {"compression": "jpeg"}),
        ("RGB", "TIFF", frames),
        ("RGB", "WEBP", {}),
        ("RGB", "PPM", {}),
    ):
        buffer = io.BytesIO()
        gradient.convert(mode).save(buffer, format, **options)
        yield buffer.getvalue()
    for format in ("PNG", "TIFF"):
        buffer = io.BytesIO()
        Image.fromarray(np.arange(384, dtype=np.uint16).reshape(24, 16) * 170).save(buffer, format)
        yield buffer.getvalue()

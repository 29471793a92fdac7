"""Inputs that fuzzing has found, and others like them."""

import io
import zipfile

import numpy as np
import pytest
import torch
from reliability import hostile_checkpoints
from reliability.test_fuzz import LONGEST, same_when_read_back
from reliability.valid_files import Place

from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.data.store import StoredImages
from lba_cli.data.store_manifest import read_manifest, write_manifest
from lba_cli.datasets.permutations import load_permutations
from lba_cli.errors import CheckpointError, ConfigError, DataError, LbaError
from lba_cli.model.checkpoint import read_checkpoint


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize(
    "root", ["09", "5e-4", "1e5", "010", "0x1f", "1:30", "~", "=", "yes", "2001-01-01", "a\0b", "\x85"]
)
def test_text_that_looks_like_another_type_is_read_back(place, root):
    same_when_read_back(place, ConfigLayer({"data": {"root": root}}, "the test"))


@pytest.mark.parametrize("text", ["[" * 60_000, "{" * 60_000, "- " * 30_000, "? " * 30_000], ids=range(4))
def test_deeply_nested_configs_are_refused(place, text):
    (place.folder / "deep.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"deep.yaml:1: not valid YAML for a config: more than 8 levels"):
        ConfigLayer.from_file(place.folder / "deep.yaml")


def billion_laughs():
    billion = ["ha"]
    for _ in range(40):
        billion = [billion, billion]
    return billion


@pytest.mark.parametrize(
    "changes",
    [
        {"version": torch.ones(2)},
        {"version": billion_laughs()},
        {"weights": {10**5000: 1}},
        {"weights": {("a", 1): torch.ones(1)}},
        {"format": "", "net": {10**5000: 1, "classifier.weight": torch.ones(2, 2)}},
        {"format": "", "net": torch.ones(2)},
    ],
    ids=range(6),
)
def test_checkpoints_with_odd_values(place, changes):
    (place.folder / "odd.pt").write_bytes(hostile_checkpoints.saved({**hostile_checkpoints.content(), **changes}))
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(place.folder / "odd.pt")
    assert len(str(caught.value)) < LONGEST


@pytest.mark.parametrize("value", [billion_laughs(), 10**5000, torch.ones(30, 30), "x" * 10**6], ids=range(4))
def test_values_that_are_too_long_to_show(value):
    with pytest.raises(ConfigError) as caught:
        resolve_config([ConfigLayer({"train": {"epochs": value}}, "the checkpoint")])
    assert len(str(caught.value)) < LONGEST
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["builtins bytearray", "torch Tensor", "builtins set"])
def test_pickles_that_would_allocate_without_bound(place, name):
    number = (40 * 10**9).to_bytes(6, "little")
    pickled = b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n\x8a\x06" + number + b"\x85R."
    (place.folder / "large.pt").write_bytes(hostile_checkpoints.archive(pickled))
    with pytest.raises(CheckpointError, match=f"asks for '{name.replace(' ', '.')}'"):
        read_checkpoint(place.folder / "large.pt")


def test_a_storage_that_claims_more_than_the_file_has(place):
    archive, short = zipfile.ZipFile(io.BytesIO(place.checkpoint)), io.BytesIO()
    largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    with zipfile.ZipFile(short, "w") as file:
        for entry in archive.infolist():
            file.writestr(entry.filename, archive.read(entry)[: 16 if entry is largest else None])
    (place.folder / "short.pt").write_bytes(short.getvalue())
    with pytest.raises(CheckpointError):
        read_checkpoint(place.folder / "short.pt")


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY\x09\x00", b"\x80\x04"])
def test_an_array_that_starts_as_something_else(place, start):
    path = place.store["images.npy"]
    before = path.read_bytes()
    try:
        path.write_bytes(start + before[len(start) :])
        with pytest.raises(DataError, match="images.npy: damaged"):
            StoredImages(path.parent)
        path.write_bytes(before.replace(b"'fortran_order': False", b"'fortran_order':  True"))
        with pytest.raises(DataError, match="images.npy"):
            StoredImages(path.parent)
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize(("old", "new"), [(b"made up", b"made-up"), (b'"height": 8', b'"height": 9')])
def test_a_changed_manifest_is_noticed(place, old, new):
    path = place.store["manifest.json"]
    before = path.read_bytes()
    try:
        path.write_bytes(before.replace(old, new))
        with pytest.raises(DataError, match="manifest.json: changed since it was written"):
            StoredImages(path.parent)
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("number", ["9" * 30, "-1", "9" * 5000, "x", ""], ids=range(5))
def test_a_row_out_of_range_with_a_matching_manifest(place, number):
    samples = place.store["samples.csv"]
    before, manifest = samples.read_bytes(), read_manifest(samples.parent)
    try:
        samples.write_bytes(before.replace(b"\r\n0,", b"\r\n" + number.encode() + b",", 1))
        write_manifest(samples.parent, manifest)
        with pytest.raises(DataError, match="samples.csv: damaged"):
            StoredImages(samples.parent)
    finally:
        samples.write_bytes(before)
        write_manifest(samples.parent, manifest)


@pytest.mark.parametrize("options", [{}, {"do_compression": True}], ids=["plain", "compressed"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float64, np.float32, np.int64])
def test_matlab_files_are_read_as_scipy_reads_them(tmp_path, kind, options):
    """We don't use SciPy's reader because some damaged files crash it."""
    from scipy.io import loadmat, savemat

    from lba_cli.datasets.matlab import load_cells

    cells = np.empty((3, 2), object)
    for place in np.ndindex(cells.shape):
        cells[place] = np.arange(12).reshape(3, 4).astype(kind) + 10 * place[0] if any(place) else np.zeros((0, 0))
    savemat(tmp_path / "x.mat", {"other": 3 * np.ones((2, 2)), "wanted": cells}, **options)
    ours, theirs = load_cells(tmp_path / "x.mat", "wanted"), loadmat(tmp_path / "x.mat")["wanted"]
    assert ours.shape == theirs.shape
    for place in np.ndindex(cells.shape):
        np.testing.assert_array_equal(ours[place], theirs[place])


def test_a_matlab_file_with_millions_of_elements(place):
    import struct
    import zlib

    header = place.matlab[:128]
    order = "<" if header[126:128] == b"IM" else ">"
    packed = zlib.compress(bytes(struct.pack(order + "II", 14, 0)) * 4_000_000)
    path = place.folder / "bomb.mat"
    path.write_bytes(header + struct.pack(order + "II", 15, len(packed)) + packed)
    with pytest.raises(DataError, match="more than 100,000 elements"):
        load_permutations(path)


def test_folders_named_with_digits_of_other_scripts_are_ignored(tmp_path):
    from lba_cli.datasets.scan import Scan

    for name in ("0012", "１２", "٣"):
        (tmp_path / "cam1" / name).mkdir(parents=True)
        (tmp_path / "cam1" / name / "1.jpg").touch()
    scan = Scan()
    found = list(scan.samples(tmp_path, "cam1", 1, "visible", {12: "train", 3: "train"}))
    assert [sample.path for sample in found] == ["cam1/0012/1.jpg"]
    assert len(scan.folders) == 2


def test_a_file_name_that_is_not_text(tmp_path):
    import os

    from lba_cli.datasets.scan import Scan

    try:
        (tmp_path / os.fsdecode(b"\xff.jpg")).touch()
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(DataError, match="is not UTF-8; rename it"):
        list(Scan().images(tmp_path))


@pytest.mark.parametrize(
    "record",
    [{}, {"losses": 3}, {"losses": {"total": "x"}}, {"losses": {}, "learning_rate": 1, "evaluation": {"mAP": 1}}],
)
def test_curves_of_records_that_no_run_writes(record):
    from lba_cli.visualize.curves import curves

    with pytest.raises(LbaError, match="lines that training didn't write"):
        curves([{"epoch": 0, **record}], "runs/a")

"""Fuzzing of every reader, with hundreds of damaged files by default and thousands with ``-m long``.

Every target calls the function that commands read such a file with. It must read the file or raise its documented error with
one line, within seconds and bounded memory. Hypothesis makes the inputs; atheris has no wheels for every supported Python.
"""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from reliability import hostile_checkpoints, hostile_pickles, malformed_files
from reliability.malformed_files import edited
from reliability.valid_files import Place

from lba_cli.config import ConfigLayer, resolve_config, write_config
from lba_cli.data.broken_images import BrokenImage
from lba_cli.data.image_files import read_image
from lba_cli.data.store import StoredImages
from lba_cli.data.store_manifest import read_manifest, write_manifest
from lba_cli.datasets.lists import read_identities, read_image_list
from lba_cli.datasets.permutations import load_permutations
from lba_cli.errors import CheckpointError, ConfigError, DataError, LbaError
from lba_cli.evaluation.feature_files import read_features
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.reporting import Silent
from lba_cli.training.run_folder import RunFolder

SECONDS, MEMORY, LONGEST = (
    20,
    2_000_000,
    1_000,
)  # per input; growth of memory in KiB over all inputs; characters of a message


@dataclass(frozen=True)
class Target:
    """A reader under test: its inputs, how many of them by default and with ``-m long``, and what to do with one."""

    strategy: object
    quick: int
    long: int
    attempt: Callable


def refuse(kind, function, *arguments):
    """Call a reading function; return its result, or None where it refused its input in one line."""
    try:
        return function(*arguments)
    except kind as problem:
        message = str(problem)
        assert message.strip()
        assert "\n" not in message, message
        assert len(message) < LONGEST, message
        return None


def configs(place, data):
    path = place.folder / "run.yaml"
    path.write_bytes(data)
    layer = refuse(ConfigError, ConfigLayer.from_file, path)
    if layer:
        same_when_read_back(place, layer)


def assignments(place, words):
    layer = refuse(ConfigError, ConfigLayer.from_assignments, words)
    if layer:
        same_when_read_back(place, layer)


def same_when_read_back(place, *layers):
    run = refuse(ConfigError, resolve_config, layers)
    if run:
        write_config(place.folder / "config.yaml", run)
        assert resolve_config([ConfigLayer.from_file(place.folder / "config.yaml")]) == run


def id_lists(place, data):
    path = place.folder / "test_id.txt"
    path.write_bytes(data)
    found = refuse(DataError, lambda: list(read_identities(path)))
    # LLCM has an identity 0000.
    assert found is None or all(0 <= identity < 10_000 for _, identity in found)


def image_lists(place, edits):
    path = place.folder / "list.txt"
    path.write_bytes(edited(b"Visible/1/a.bmp 0\nVisible/1/b.bmp 0\nVisible/2/c c.bmp 1\n", edits))
    for entry in refuse(DataError, read_image_list, place.folder, "list.txt") or ():
        assert (place.folder / entry.path).resolve().is_relative_to(place.folder.resolve())


def permutations(place, edits):
    path = place.folder / "rand_perm_cam.mat"
    path.write_bytes(edited(place.matlab, edits))
    for rows in (refuse(DataError, load_permutations, path) or {}).values():
        assert (np.sort(rows, axis=1) == np.arange(1, rows.shape[1] + 1)).all()


def stores(place, change):
    """Edit one file of a store, perhaps with a manifest that matches it: it must be refused, or read with its old content."""
    name, edits, matching = change
    before = place.store[name].read_bytes()
    folder = place.store[name].parent
    manifest = read_manifest(folder)
    try:
        place.store[name].write_bytes(edited(before, edits))
        if matching and name != "manifest.json":
            write_manifest(folder, manifest)
        source = refuse(DataError, open_store, folder)
        if source and not matching:
            assert (source.name, source.fingerprint, source.samples) == place.content[:3]
            np.testing.assert_array_equal(source.read(range(len(source.samples))), place.content[3])
    finally:
        place.store[name].write_bytes(before)
        write_manifest(folder, manifest)


def open_store(folder):
    source = StoredImages(folder)
    source.check(range(len(source.samples)), Silent())
    return source


def feature_files(place, edits):
    path = place.folder / "features.npz"
    path.write_bytes(edited(place.features, edits))
    refuse(DataError, read_features, path, "folder")


def checkpoints(place, data, name="x.pt"):
    path = place.folder / name
    path.write_bytes(data)
    checkpoint = refuse(CheckpointError, read_checkpoint, path)
    if checkpoint:
        refuse(ConfigError, resolve_config, [ConfigLayer(checkpoint.description.config, "it")])


def real_checkpoints(place, edits):
    """Edit the archive near its ends, where its pickle and its directory are."""
    checkpoints(place, edited(place.checkpoint, edits))


def small_checkpoints(place, edits):
    checkpoints(place, edited(place.small_checkpoint, edits))


def pickles(place, pickled):
    checkpoints(place, hostile_checkpoints.archive(pickled, storage=bytes(16)))


def headers(place, header):
    checkpoints(place, hostile_checkpoints.safetensors(header, bytes(8)), "x.safetensors")


def images(place, change):
    kind, edits = change
    path = place.folder / "image.jpg"
    path.write_bytes(edited(place.images[kind % len(place.images)], edits))
    image = refuse(BrokenImage, read_image, path, 16, 8)
    assert image is None or (image.shape == (16, 8, 3) and image.dtype == np.uint8)


def metrics(place, data):
    folder = RunFolder(place.folder)
    folder.metrics.write_bytes(data)
    assert all("epoch" in record for record in refuse(LbaError, folder.records) or ())


TARGETS = {
    "configs": Target(malformed_files.CONFIGS, 60, 1500, configs),
    "assignments": Target(malformed_files.ASSIGNMENTS, 60, 1500, assignments),
    "id lists": Target(malformed_files.ID_LISTS, 40, 1000, id_lists),
    "image lists": Target(malformed_files.EDITS, 20, 500, image_lists),
    "permutations": Target(malformed_files.EDITS, 40, 1000, permutations),
    "stores": Target(malformed_files.STORE_CHANGES, 40, 800, stores),
    "feature files": Target(malformed_files.EDITS, 30, 800, feature_files),
    "small checkpoints": Target(malformed_files.EDITS, 30, 800, small_checkpoints),
    "real checkpoints": Target(malformed_files.EDITS, 5, 100, real_checkpoints),
    "pickles": Target(hostile_pickles.PICKLES, 60, 1500, pickles),
    "safetensors headers": Target(hostile_pickles.HEADERS, 30, 800, headers),
    "images": Target(malformed_files.IMAGE_CHANGES, 80, 1500, images),
    "metrics": Target(malformed_files.LINES, 20, 500, metrics),
}


def test_there_are_enough():
    quick, long = (sum(getattr(target, speed) for target in TARGETS.values()) for speed in ("quick", "long"))
    print(f"{quick} inputs, {long:,} with -m long")
    assert quick >= 300
    assert long >= 10_000


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("fuzz"))


SPEEDS = ["quick", pytest.param("long", marks=[pytest.mark.long, pytest.mark.timeout(3600)])]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused_in_one_line(place, capfd, name, speed):
    target = TARGETS[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(
        max_examples=getattr(target, speed),
        deadline=timedelta(seconds=SECONDS),
        derandomize=speed == "quick",
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.strategy)
    def attempt(data):
        target.attempt(place, data)

    attempt()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    output = capfd.readouterr().err  # libtiff itself prints lines about odd files
    assert name == "images" or not output
    assert "Traceback" not in output

"""Files of features: what is written gives the same figures, and what others made is checked before it is used."""

import pickle
import struct
import zipfile

import numpy as np
import pytest
from fake_dataset import MadeImages, OppositeStems, tree

from lba_cli.config import EvaluationSection
from lba_cli.data.samples import NO_CAMERA
from lba_cli.datasets import DATASETS, get_dataset
from lba_cli.errors import DataError
from lba_cli.evaluation import feature_files, rank_metrics
from lba_cli.evaluation.evaluate import EvaluationOptions, evaluate
from lba_cli.evaluation.feature_files import read_features
from lba_cli.evaluation.network_embedder import PLAIN
from lba_cli.evaluation.scoring import draw_setting, score
from lba_cli.evaluation.setting_choice import choose_settings
from lba_cli.evaluation.variants import choose_variants
from lba_cli.model import load_network
from lba_cli.reporting import Silent


def content(**changes):
    """Return the arrays of a small valid file; None leaves one out."""
    random = np.random.default_rng(0)
    arrays = {
        "features": random.normal(size=(8, 4)).astype(np.float32),
        "identities": np.array([1, 1, 2, 2, 1, 1, 2, 2]),
        "modalities": np.array(["visible"] * 4 + ["infrared"] * 4),
        "cameras": np.array([1, 2, 1, 2, 3, 6, 3, 6]),
        "paths": np.array([f"{n}.jpg" for n in range(8)]),
        "dataset": np.array("sysu"),
    }
    return {name: array for name, array in {**arrays, **changes}.items() if array is not None}


def file(folder, **changes):
    path = folder / "features.npz"
    np.savez(path, **content(**changes))
    return path


def from_features(path, section=EvaluationSection(), dataset=None):
    source = read_features(path, dataset)
    drawn = [draw_setting(source, setting) for setting in choose_settings(section, source)]
    return score(source, drawn, {PLAIN: source.embeddings}, choose_variants(section, ["pooled"]), listener=Silent())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dataset", DATASETS)
def test_figures_are_those_of_float64_scores(tmp_path, dataset, dtype):
    """Every third feature is nearly a copy of another, so that float32 would order many scores wrongly."""
    samples = [sample for sample in tree(dataset) if sample.split == "test"]
    random = np.random.default_rng(0)
    features = random.normal(size=(len(samples), 64))
    copied = features[random.integers(len(samples), size=len(features[::3]))]
    features[::3] = copied + 1e-8 * random.normal(size=copied.shape)
    features = features.astype(dtype)
    path = file(
        tmp_path,
        features=features,
        dataset=np.array(dataset),
        modalities=np.array([s.modality for s in samples]),
        cameras=np.array([s.camera for s in samples]),
        paths=np.array([s.path for s in samples]),
        identities=np.array([s.identity for s in samples]),
    )
    unit = features.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    source, rules = read_features(path), get_dataset(dataset).match_rules
    for result in from_features(path, EvaluationSection(mode="all")):
        for draw, found in zip(draw_setting(source, result.setting).draws, result.trials, strict=True):
            sides = [[samples[index] for index in side] for side in (draw.queries, draw.gallery)]
            labels = [[getattr(s, name) for s in side] for name in ("identity", "camera") for side in sides]
            wanted = rank_metrics(-unit[draw.queries] @ unit[draw.gallery].T, *labels, protocol=rules)
            figures = [(*each.cmc, each.mAP, each.mINP) for each in (found, wanted)]
            np.testing.assert_allclose(*figures, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    "words",
    [{"mode": "all", "shots": "both", "rerank": True}, pytest.param({}, marks=pytest.mark.slow)],
)
def test_a_round_trip_gives_identical_figures(network_file, source, tmp_path, words):
    section = EvaluationSection(**words)
    path = tmp_path / "f.npz"
    options = EvaluationOptions(choose_variants(section, ["pooled"]), workers=0, save_features=path)
    settings = choose_settings(section, source)
    results = evaluate(load_network(network_file), source, settings, listener=Silent(), options=options)
    again = from_features(path, section)
    assert [r.figures() for r in again] == [r.figures() for r in results]
    assert [(r.dataset, r.variant, r.num_query, r.num_gallery) for r in again] == [
        (r.dataset, r.variant, r.num_query, r.num_gallery) for r in results
    ]
    all_search = EvaluationSection(mode="all-search")  # the file holds every test image, whatever was asked for
    settings = choose_settings(all_search, source)
    options = EvaluationOptions(workers=0)
    wanted = evaluate(load_network(network_file), source, settings, listener=Silent(), options=options)
    assert from_features(path, all_search)[0].figures() == wanted[0].figures()


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_round_trip_of_every_data_set(dataset, tmp_path):
    source = MadeImages(tree(dataset), dataset, split=4 * (dataset == "regdb"))
    settings = choose_settings(EvaluationSection(), source)
    path = tmp_path / "f.npz"
    options = EvaluationOptions(workers=0, save_features=path)
    results = evaluate(OppositeStems(), source, settings, listener=Silent(), options=options)
    again = from_features(path)
    assert [r.figures() for r in again] == [r.figures() for r in results]
    assert [r.trial_numbers for r in again] == [r.trial_numbers for r in results]


@pytest.mark.parametrize(("camera", "shots"), [(NO_CAMERA, "whole"), (0, "single")])
def test_camera_0_is_a_camera_and_minus_one_is_unknown(tmp_path, camera, shots):
    cameras = np.array([1, 2, 1, 2, 3, camera, 3, camera])
    results = from_features(file(tmp_path, cameras=cameras, dataset=np.array("folder")))
    assert {result.setting.shots for result in results} == {shots}


def test_features_of_other_programs_are_read(tmp_path):
    """Only the required arrays, of any length and floating-point type; the protocol is named by the caller."""
    features = content()["features"].astype(np.float64) * 37
    path = file(tmp_path, features=features, paths=None, dataset=None, cameras=None)
    source = read_features(path, "regdb")
    np.testing.assert_allclose(
        source.embeddings.of(range(8)), features / np.linalg.norm(features, axis=1, keepdims=True), rtol=1e-6
    )
    assert source.name == "features"
    assert len(from_features(path, dataset="folder")) == 2
    np.savez_compressed(path, **content())
    assert len(from_features(path)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": None}, "the array 'features' is missing"),
        ({"identities": None}, "the array 'identities' is missing"),
        ({"modalities": None}, "the array 'modalities' is missing"),
        (
            {"dataset": None},
            r"doesn't name the data set whose protocol is used; .* --protocol-of \(sysu, regdb, llcm, folder\)",
        ),
        ({"dataset": np.array("market")}, "the data set 'market' is unknown; choose a protocol with --protocol-of"),
        ({"features": np.ones((8, 4), int)}, "'features' should be floating-point numbers, 2-dimensional, not int64"),
        ({"features": np.ones(8)}, r"'features' should be .* of shape \(8,\)"),
        ({"features": np.ones((8, 0))}, "is empty"),
        ({"features": np.full((8, 4), np.nan)}, "'features', row 0: a value is not finite"),
        ({"features": np.eye(8, 4)}, "'features', row 4: all values are zero"),
        ({"identities": np.ones(7, int)}, "'identities' has 7 rows, 'features' has 8"),
        ({"identities": np.ones(8)}, "'identities' should be integers"),
        ({"identities": np.array(list("abcdefgh"), object)}, "'identities' holds Python objects"),
        ({"modalities": np.array([1] * 8)}, "'modalities' should be words"),
        ({"modalities": np.array(["thermal"] * 8)}, "row 0: 'thermal' is neither visible nor infrared"),
        ({"cameras": None}, "'cameras', row 0: SYSU-MM01's protocol needs every image's camera"),
        ({"cameras": np.array([1] * 8)}, "'cameras', row 4: SYSU-MM01's camera 1 is not infrared"),
        ({"paths": np.array(["x"] * 8)}, "'paths' names an image twice"),
        ({"paths": np.array(["x" * 2000] * 8)}, "text of up to 2000 characters"),
        ({"trial": np.array([1, 2])}, "'trial' should be an integer, not int64 of shape"),
        ({"cameras": np.array([-2] * 8)}, "'cameras' should be between -1"),
        ({"trial": np.array(-1)}, "'trial' should be between 0"),
        ({"identities": np.full(8, 2**64 - 1, np.uint64)}, "'identities' should be between 0"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        read_features(file(tmp_path, **changes))


class RunsCode:
    def __reduce__(self):
        return open, ("code-was-run", "w")


def test_other_files_are_refused_in_one_line_and_run_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = file(tmp_path).read_bytes()
    np.save(tmp_path / "one.npy", np.ones(3))
    files = {
        "cut.npz": good[: len(good) // 2],
        "text.npz": b"hello",
        "empty.npz": b"",
        "pickle.npz": pickle.dumps(RunsCode()),
        "one.npz": (tmp_path / "one.npy").read_bytes(),
        "flipped.npz": good[:200] + bytes(byte ^ 255 for byte in good[200:260]) + good[260:],
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    np.savez(tmp_path / "objects.npz", **content(features=np.array([[RunsCode()]] * 8, object)))
    for name in (*files, "objects.npz", "missing.npz", "."):
        with pytest.raises(DataError) as refused:
            read_features(tmp_path / name)
        assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "code-was-run").exists()


def npy(shape, dtype="<f4"):
    """Return the header of an array file."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape!r}, }}"
    text += " " * (64 - (len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def test_decompression_bombs_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_files, "SMALL_BYTES", 1_000_000)
    small = content(features=None)
    headers = {
        "zeros": (npy((8, 60_000)) + bytes(8 * 60_000 * 4), "would unpack from"),
        "columns": (npy((8, 10**8)), "too large"),
        "rows": (npy((10**12, 4)), "too large"),
        "short": (npy((8, 4)), "not as long as its header says"),
        "long header": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 20_000) + b" " * 20_000, "damaged or not"),
    }
    for name, (data, message) in headers.items():
        path = tmp_path / f"{name}.npz"
        np.savez(path, **small)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("features.npy", data)
        monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("unpacked"))
        with pytest.raises(DataError, match=message):
            read_features(path)
        monkeypatch.undo()
        monkeypatch.setattr(feature_files, "SMALL_BYTES", 1_000_000)


def test_words_in_messages_stay_on_one_line(tmp_path):
    with pytest.raises(DataError) as refused:
        read_features(file(tmp_path, dataset=np.array("a\nb\nc")))
    assert len(str(refused.value).splitlines()) == 1

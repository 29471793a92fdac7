"""Correspondences with a known truth: the figures, their chance levels, and the choice of pairs."""

import shutil

import numpy as np
import pytest
import torch
from fake_listener import Recorder
from small_setup import HEIGHT, WIDTH

from lba_cli.alignment import matching_probability
from lba_cli.data.samples import Sample
from lba_cli.data.store import FolderImages
from lba_cli.datasets.sysu import read_sysu
from lba_cli.errors import DataError
from lba_cli.evaluation import correspondence_accuracy, correspondences
from lba_cli.evaluation.correspondence_pairs import choose_pairs
from lba_cli.evaluation.correspondences import area_under_roc
from lba_cli.evaluation.true_places import TruePlaces, corresponding, has_truth, places_of, require_truth
from lba_cli.model.initial_weights import build_network
from lba_cli.model.network import StageMaps
from lba_cli.reporting import Silent
from lba_cli.synthetic.parts import PARTS
from lba_cli.synthetic.truth import Truth
from lba_cli.synthetic.truth_files import FOLDER, read_truth, truth_path


@pytest.fixture(scope="module")
def people(true_people):
    return FolderImages(read_sysu(true_people), HEIGHT, WIDTH)


def places(part, height=100.0, along=None, angle=None):
    """A 2 × 2 feature map of an image of 40 × 20 pixels."""
    zeros = [0.0] * 4  # its single pixels are the centres of its positions
    centre = np.array([[10.0, 5.0], [10.0, 15.0], [30.0, 5.0], [30.0, 15.0]])
    return TruePlaces(np.array(part, np.uint8), np.array(along or zeros), np.array(angle or zeros), centre, height)


# --- when positions correspond ---


def test_positions_correspond_if_part_place_and_angle_agree():
    query = places([1, 2, 0, 1], along=[0.1, 0.1, 0.0, 0.1], angle=[3.1, 0.0, 0.0, 0.0])
    key = places([1, 2, 0, 1], along=[0.14, 0.16, 0.0, 0.1], angle=[-3.1, 0.0, 0.0, 0.8])
    expected = np.zeros((4, 4), bool)
    expected[0, 0] = True  # across the seam at ±π
    assert (corresponding(query, key) == expected).all()


def test_a_position_stands_for_the_pixel_at_its_centre():
    part = np.arange(24, dtype=np.uint8).reshape(6, 4)
    found = places_of(Truth(part, part * 0.5, part * 0.25, 50.0), 3, 2)
    assert found.part.tolist() == [5, 7, 13, 15, 21, 23]
    assert found.along.tolist() == [2.5, 3.5, 6.5, 7.5, 10.5, 11.5]
    assert found.centre.tolist() == [[1, 1], [1, 3], [3, 1], [3, 3], [5, 1], [5, 3]]


# --- the figures, computed by hand ---


def test_figures_and_chance_levels_of_a_made_up_pair():
    """The person is on the positions 0, 1 and 2 of the query, and on 0, 1 and 3 of the key; positions 0 and 2 have a truth.

    The pixels of the key that show the person are the centres of its positions.
    """
    query, key = places([1, 2, 3, 0]), places([3, 1, 0, 4])
    true = corresponding(query, key)
    assert np.argwhere(true).tolist() == [[0, 1], [2, 0]]
    probability = np.array([[0, 0.8, 0.2, 0], [0, 0, 1, 0], [0, 0, 0.6, 0.4], [1, 0, 0, 0]])
    found = dict(correspondences._predictions(probability, np.eye(4), true, correspondences._Places(query, key, key)))
    # Position 0 is matched to 1, which is right; position 2 is matched to 2, 20 pixels or 0.2 from position 0.
    assert found["strongest"] == pytest.approx(
        {
            "pck_0.05": 0.5,
            "pck_0.10": 0.5,
            "pck_0.20": 1.0,
            "median_error": 0.1,
            "on_person": 1 / 3,
            "same_place": 1 / 3,
        }
    )
    # The expected positions are (14, 13) and (30, 9), which are √20 and √416 pixels from the true ones.
    errors = [np.sqrt(20) / 100, np.sqrt(416) / 100]
    assert found["expected"] == pytest.approx(
        {"pck_0.05": 0.5, "pck_0.10": 0.5, "pck_0.20": 0.5, "median_error": np.mean(errors)}
    )
    # Position 0 itself is 10 pixels from the true one, and position 2 itself 20 pixels.
    itself = {"pck_0.05": 0.0, "pck_0.10": 0.5, "pck_0.20": 1.0, "median_error": 0.15, "on_person": 2 / 3}
    assert found["itself"] == pytest.approx(itself | {"same_place": 1.0})
    assert found["unplaced"] == found["itself"]
    # Positions 0, 1 and 3 are 10, 0 and 20 pixels from the true position 1, and 0, 10 and √500 pixels from position 0.
    random = {"pck_0.05": 2 / 6, "pck_0.10": 4 / 6, "pck_0.20": 5 / 6, "median_error": 0.1, "on_person": 1.0}
    assert found["random"] == pytest.approx(random)
    assert found["best"] == {"pck_0.05": 1.0, "pck_0.10": 1.0, "pck_0.20": 1.0, "median_error": 0.0}


def test_a_pair_without_a_truth_has_only_figures_about_the_person():
    query, key = places([1, 0, 0, 0]), places([2, 0, 0, 0])
    both = correspondences._Places(query, key, key)
    found = dict(correspondences._predictions(np.eye(4), np.eye(4), corresponding(query, key), both))
    assert found["strongest"] == {"on_person": 1.0, "same_place": 1.0}
    assert found["expected"] == {}


def test_the_area_under_the_roc_counts_ties_half():
    assert area_under_roc([3.0, 2.0], [2.0, 1.0]) == pytest.approx(3.5 / 4)
    assert area_under_roc([1.0], [1.0]) == 0.5


# --- networks ---


def waves(values, count, width):
    """Cosines and sines whose dot products fall with the difference of two values, like a bell of this width."""
    steps = np.arange(count)[:, None]
    strength = np.exp(-((steps * width) ** 2) / 4)
    return np.concatenate([strength * np.cos(steps * values), strength * np.sin(steps * values)]).astype(np.float32)


class KnowsTheTruth(torch.nn.Module):
    """A network whose features are the truth: a position's similarities fall with the distances along and around its part."""

    backbone, image_size = "none", (HEIGHT, WIDTH)

    def __init__(self, rows, columns):
        super().__init__()
        self.rows, self.columns = rows, columns
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def features(self, truth):
        found = places_of(truth, self.rows, self.columns)
        along = waves(np.pi * found.along, 10, np.pi * 0.05)
        angle = waves(found.angle, 3, np.pi / 4)
        codes = np.random.default_rng(0).choice((-1, 1), (16, len(PARTS) + 1)).astype(np.float32)
        parts = np.where(found.part > 0, codes[:, found.part], 0).astype(np.float32)
        vectors = np.einsum("pn,an,bn->pabn", parts, along, angle).reshape(-1, len(found.part))
        vectors = np.concatenate([vectors, (found.part == 0)[None].astype(np.float32)])
        maps = torch.from_numpy(vectors).float().view(1, -1, self.rows, self.columns)
        return StageMaps(maps, maps)


def measured_with_the_truth(people, monkeypatch, rows, columns, truth=read_truth):
    network = KnowsTheTruth(rows, columns)

    def maps(_, source, index):
        return None, network.features(truth(source.root, source.samples[index].path))

    monkeypatch.setattr(correspondences, "sample_maps", maps)
    monkeypatch.setattr(correspondences, "sample_truth", lambda source, i: truth(source.root, source.samples[i].path))
    return correspondence_accuracy(network, people, pairs=1)["layer3"]


def small_truth(root, image):
    """The truth of every fourth pixel of an image, as a map of 24 × 12."""
    truth = read_truth(root, image)
    few = np.ix_(np.arange(24) * truth.part.shape[0] // 24, np.arange(12) * truth.part.shape[1] // 12)
    return Truth(truth.part[few], truth.along[few], truth.angle[few], truth.height * 24 / truth.part.shape[0])


def test_a_network_whose_features_are_the_truth_is_always_right(people, monkeypatch):
    """A position of its map is a pixel, so that every true pixel has a position of its own."""
    found = measured_with_the_truth(people, monkeypatch, 24, 12, small_truth)
    for share in ("pck_0.05", "pck_0.10", "pck_0.20"):
        assert found.figures["strongest"][share] == 1.0
    assert found.figures["strongest"]["median_error"] == 0.0
    assert found.figures["itself"]["pck_0.05"] < 0.6


def test_on_a_coarser_map_the_truth_is_the_best_possible_or_nearly_so(people, monkeypatch):
    found = measured_with_the_truth(people, monkeypatch, 24, 12)
    strongest, best = (found.figures[name] for name in ("strongest", "best"))
    assert 0.8 < strongest["pck_0.10"] <= best["pck_0.10"] == 1.0
    assert found.figures["itself"]["pck_0.05"] < 0.6
    assert found.figures["random"]["pck_0.05"] < found.figures["itself"]["pck_0.05"]
    assert 0.1 < found.with_truth < 0.9
    assert 4 <= found.counted <= found.pairs == 6


def test_figures_of_an_untrained_network_are_reproducible(true_people):
    people = FolderImages(read_sysu(true_people), HEIGHT, WIDTH)
    network = build_network("resnet18", 12, "none", 0, (HEIGHT, WIDTH))
    first, again = (correspondence_accuracy(network, people, pairs=1, seed=3) for _ in range(2))
    assert first == again
    assert first != correspondence_accuracy(network, people, pairs=1, seed=4)
    assert set(first) == {"layer3", "layer4"}
    for stage in first.values():
        for prediction in ("strongest", "expected", "unplaced", "itself", "random", "best"):
            figures = stage.figures[prediction]
            assert 0 <= figures["pck_0.05"] <= figures["pck_0.10"] <= figures["pck_0.20"] <= 1
        assert 0 <= stage.same_versus_other <= 1


def test_the_strongest_match_is_the_row_maximum_of_the_matching_probability():
    query, key = torch.rand(1, 8, 2, 2), torch.rand(1, 8, 2, 2)
    found = correspondences._probability(query, key, 50.0)
    assert found.argmax(axis=1).tolist() == matching_probability(query, key)[0].argmax(dim=1).tolist()


# --- the choice of pairs ---


def sample(identity, camera, modality, number=0, split="test"):
    return Sample(f"{modality}/{identity}-{camera}-{number}.jpg", identity, camera, modality, split)


def test_pairs_show_one_person_and_another_one_under_the_same_camera():
    samples = [sample(i, c, "visible", n) for i in (1, 2, 3) for c in (1, 2) for n in range(3)]
    samples += [sample(i, 3, "infrared", n) for i in (1, 2, 3) for n in range(2)]
    samples += [sample(9, 1, "visible", split="train")]
    pairs = choose_pairs(samples, 5, 0, Silent())
    assert len(pairs) == 15
    for pair in pairs:
        query, key, other = (samples[index] for index in pair)
        assert query.identity == key.identity != other.identity
        assert (query.modality, key.modality, other.modality) == ("infrared", "visible", "visible")
        assert key.camera == other.camera
    assert pairs == choose_pairs(samples, 5, 0, Silent())
    assert pairs != choose_pairs(samples, 5, 1, Silent())
    assert {samples[pair.infrared].identity for pair in pairs} == {1, 2, 3}


def test_people_with_one_modality_are_left_out_with_a_warning():
    samples = [sample(i, 1, "visible") for i in (1, 2, 4)] + [sample(i, 3, "infrared") for i in (1, 2, 5)]
    heard = Recorder()
    assert {samples[pair.infrared].identity for pair in choose_pairs(samples, 1, 0, heard)} == {1, 2}
    assert heard.warnings == ["2 test people have images of one modality only, and are left out of the correspondences"]


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([sample(1, 1, "visible"), sample(1, 3, "infrared"), sample(2, 1, "visible")], "at least two test people"),
        ([sample(i, c, m) for i, c in ((1, 1), (2, 2)) for m in ("visible", "infrared")], "the same visible camera"),
    ],
)
def test_too_few_people_are_refused(samples, words):
    with pytest.raises(DataError, match=words):
        choose_pairs(samples, 1, 0, Silent())


def test_a_person_who_is_not_seen_counts_nowhere():
    """The query's positions all show the background, so the pair has neither figures nor a share of positions with a truth."""
    nobody, someone = places([0, 0, 0, 0]), places([1, 0, 0, 0])
    maps, means = [torch.rand(1, 3, 2, 2) for _ in range(3)], [torch.zeros(1, 3, 2, 2)] * 2
    unseen = correspondences._measure(maps, means, correspondences._Places(nobody, someone, someone), 50.0)
    seen = correspondences._measure(maps, means, correspondences._Places(someone, someone, someone), 50.0)
    assert (unseen.figures, unseen.with_truth) == ({}, None)
    found = correspondences._over_pairs("layer3", [unseen, seen])
    assert (found.pairs, found.counted, found.with_truth) == (2, 1, 1.0)
    assert found.figures["strongest"] == seen.figures["strongest"]


# --- data sets without truth ---


def test_a_folder_called_truth_of_ones_own_is_no_truth(tiny, tmp_path):
    (tmp_path / "own" / "truth").mkdir(parents=True)
    source = FolderImages(read_sysu(tiny), HEIGHT, WIDTH)
    source.root = tmp_path / "own"
    assert not has_truth(source)


def test_a_folder_that_is_gone_is_named(tiny, tmp_path):
    source = FolderImages(read_sysu(tiny), HEIGHT, WIDTH)
    source.root = tmp_path / "gone"
    with pytest.raises(DataError, match="this folder, which the store was made from, is gone"):
        require_truth(source)


def test_a_data_set_without_truth_is_refused(tiny):
    source = FolderImages(read_sysu(tiny), HEIGHT, WIDTH)
    network = build_network("resnet18", 12, "none", 0, (HEIGHT, WIDTH))
    with pytest.raises(DataError, match=r"no truth about correspondences: .* lba prepare synthetic --truth"):
        correspondence_accuracy(network, source)


def test_a_map_that_is_missing_is_named(true_people, tmp_path):
    root = tmp_path / "people"
    shutil.copytree(true_people, root)
    source = FolderImages(read_sysu(root), HEIGHT, WIDTH)
    network = build_network("resnet18", 12, "none", 0, (HEIGHT, WIDTH))
    for path in (root / FOLDER / "cam3").rglob("*.png"):
        path.unlink()
    for path in (root / FOLDER / "cam6").rglob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"truth/cam[36]/.*\.png: missing"):
        correspondence_accuracy(network, source)
    assert truth_path(root, source.samples[0].path).is_relative_to(root / FOLDER)

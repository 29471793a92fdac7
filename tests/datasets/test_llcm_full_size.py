"""LLCM's published counts, on a plan of the real data set's size and structure. No image is drawn."""

import numpy as np
import pytest
from fake_dataset import MadeImages

from lba_cli.data.samples import Sample, identity_classes, select
from lba_cli.datasets import Setting
from lba_cli.datasets.llcm import CAMERAS, LLCM, read_llcm
from lba_cli.evaluation import rank_metrics

WORDS = {"visible": "vis", "infrared": "nir"}
TRAIN_IMAGES = {"visible": 16_946, "infrared": 13_975}
TEST_IMAGES = {"visible": 8_680, "infrared": 7_166}
DIRECTORIES = {"visible": 484, "infrared": 619}  # of test images: one per identity and camera
WITHOUT_MATCH = 10
TEST_PEOPLE = range(0, 1053, 3)
TRAIN_PEOPLE = [person for person in range(1064) if person not in TEST_PEOPLE]


def spread(total, places):
    """Spread ``total`` images over ``places`` as evenly as possible."""
    each, more = divmod(total, len(places))
    return {place: each + (number < more) for number, place in enumerate(places)}


def plan_of(modality):
    """The number of test images by person and camera.

    Only person 0 is seen by one camera, camera 1, in both modalities. Those visible images have no match.
    """
    own = {"visible": {(0, 1): WITHOUT_MATCH}, "infrared": {}}[modality]
    places = {"visible": [(0, 3)], "infrared": [(0, 1)]}[modality]
    cameras = [camera for camera in CAMERAS[modality] if camera % 2 == (modality == "visible")]
    places += [(person, camera) for camera in cameras for person in TEST_PEOPLE[1:]]
    return own | spread(TEST_IMAGES[modality] - sum(own.values()), places[: DIRECTORIES[modality] - len(own)])


def name(person, camera, number, modality):
    return f"{person:04d}/{person:04d}_c{camera:02d}_s000000_f{number:04d}_{WORDS[modality]}.jpg"


def planned_samples():
    return [
        Sample(f"test_{word}/cam{camera}/{name(person, camera, number, modality)}", person, camera, modality, "test")
        for modality, word in WORDS.items()
        for (person, camera), images in plan_of(modality).items()
        for number in range(images)
    ]


def check_draws(samples):
    """Compare the draws of test samples with the published counts."""
    source = MadeImages(samples, "llcm")
    identities = np.asarray([sample.identity for sample in samples])
    cameras = np.asarray([sample.camera for sample in samples])
    for mode, protocol, queries, gallery, matched in (
        ("infrared-to-visible", "community", 7_166, 484, 7_166),
        ("visible-to-infrared", "community", 8_680, 619, 8_670),
        ("visible-to-infrared", "released", 619, 8_680, 619),
    ):
        draws = LLCM.draw(source, Setting(mode, "single", protocol))
        assert {(len(draw.queries), len(draw.gallery)) for draw in draws} == {(queries, gallery)}
        assert len(draws) == 10
        labels = [values[part] for values in (identities, cameras) for part in (draws[0].queries, draws[0].gallery)]
        distance = np.zeros((queries, gallery), np.float32)
        assert rank_metrics(distance, *labels, protocol=LLCM.match_rules).num_queries == matched


def test_galleries_and_queries_without_a_match():
    samples = planned_samples()
    assert len({sample.identity for sample in samples}) == 351
    check_draws(samples)


@pytest.mark.long
def test_a_tree_of_full_size_is_read(tmp_path):
    lists = {}
    for modality, word in WORDS.items():
        paths = [
            (f"{word}/{name(person, CAMERAS[modality][number % 8], number, modality)}", label)
            for label, (person, images) in enumerate(spread(TRAIN_IMAGES[modality], TRAIN_PEOPLE).items())
            for number in range(images)
        ]
        lists[f"train_{word}"] = paths
    tested = planned_samples()
    for modality, word in WORDS.items():
        copies = [
            (sample.path.split("/", 2)[2], sample.identity // 3) for sample in tested if sample.modality == modality
        ]
        lists[f"test_{word}"] = [(f"{word}/{path}", label) for path, label in copies]
        for camera in CAMERAS[modality]:
            (tmp_path / f"test_{word}/cam{camera}").mkdir(parents=True)
    for path in [sample.path for sample in tested] + [path for listed in lists.values() for path, _ in listed]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "idx").mkdir()
    for file, listed in lists.items():
        (tmp_path / f"idx/{file}.txt").write_text("".join(f"{path} {label}\n" for path, label in listed))
    (tmp_path / "idx/test_id.txt").write_text(",".join(f"{person:04d}" for person in TEST_PEOPLE))
    listing = read_llcm(tmp_path)
    assert (listing.name, listing.notes) == ("LLCM", ())
    assert len(identity_classes(listing.samples)) == 713
    for split, counts in (("train", TRAIN_IMAGES), ("test", TEST_IMAGES)):
        assert {modality: len(select(listing.samples, split, modality)) for modality in WORDS} == counts
    check_draws([sample for sample in listing.samples if sample.split == "test"])

"""Every data set's protocol: its words, and who is query and gallery, on small cases and against slow loops."""

import random

import pytest
from fake_dataset import MadeImages, tree
from oracles.draws import every, sample_gallery

from lba_cli.config import EvaluationSection
from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.datasets import DATASETS, Setting
from lba_cli.datasets.sysu import GALLERY_CAMERAS
from lba_cli.errors import ConfigError, DataError
from lba_cli.evaluation.evaluate import draw_setting, excluded, selection, settings
from lba_cli.vocabulary import DATASETS

TO_VISIBLE, TO_INFRARED = "infrared-to-visible", "visible-to-infrared"


def asked(source, **words):
    return [(s.mode, s.shots, s.protocol) for s in settings(EvaluationSection(**words), source)]


def paths(source, indices):
    return [source.samples[i].path for i in indices]


def random_tree(seed, dataset):
    """Identities and cameras with holes, and from one to thirteen images each; some identities are trained on."""
    draw = random.Random(seed)
    samples = []
    for sample in tree(dataset, identities=draw.sample(range(1, 400), 12), images=1):
        if draw.random() < 0.75:
            part = "train" if sample.identity % 5 == 0 else "test"
            for image in draw.sample(range(100), draw.randint(1, 13)):
                path = sample.path.replace("0000.jpg", f"{image}.jpg")  # names of different lengths
                samples.append(Sample(path, sample.identity, sample.camera, sample.modality, part))
    draw.shuffle(samples)
    return MadeImages(samples, dataset)


def test_what_is_usual():
    assert asked(MadeImages(tree("sysu"), "sysu")) == [("all-search", "single", "community")]
    assert asked(MadeImages(tree("regdb"), "regdb", 1)) == [
        (TO_INFRARED, "whole", "community"),
        (TO_VISIBLE, "whole", "community"),
    ]
    both = [(TO_VISIBLE, "single", "community"), (TO_INFRARED, "single", "community")]
    assert asked(MadeImages(tree("llcm"), "llcm")) == both
    assert asked(MadeImages(tree("folder"), "folder")) == both
    unknown = MadeImages(tree("folder", cameras={"visible": (NO_CAMERA,), "infrared": (NO_CAMERA,)}), "folder")
    assert asked(unknown) == [(mode, "whole", "community") for mode in (TO_VISIBLE, TO_INFRARED)]
    assert asked(MadeImages(tree("llcm"), "llcm"), protocol="released") == [(TO_INFRARED, "single", "released")]


def test_all_and_both():
    source = MadeImages(tree("sysu"), "sysu")
    wanted = [(m, s, "official") for m in ("all-search", "indoor-search") for s in ("single", "multi")]
    assert asked(source, mode="all", shots="both", protocol="official") == wanted


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_setting_that_chooses_the_best_epoch(dataset):
    setting = selection(MadeImages(tree(dataset), dataset))
    assert setting.mode == BENCHMARKS[dataset].usual_modes[0]
    assert setting.protocol == "community"


@pytest.mark.parametrize(
    ("dataset", "words", "message"),
    [
        ("sysu", {"mode": TO_VISIBLE}, "SYSU-MM01 has no mode 'infrared-to-visible'; it has all-search, indoor-search"),
        ("sysu", {"shots": "whole"}, "SYSU-MM01 has no shots 'whole'; it has single, multi"),
        ("sysu", {"protocol": "released"}, "SYSU-MM01 has no protocol 'released'; it has community, official"),
        ("regdb", {"mode": "all-search"}, "RegDB has no mode 'all-search'; it has visible-to-infrared, infrared"),
        ("regdb", {"shots": "single"}, "RegDB has no shots 'single'; it has whole"),
        ("regdb", {"protocol": "official"}, "RegDB has no protocol 'official'; it has community"),
        ("llcm", {"shots": "both"}, "LLCM has no shots 'multi'; it has single"),
        ("llcm", {"protocol": "released", "mode": TO_VISIBLE}, "LLCM's protocol released has no mode 'infrared-to-vis"),
        ("folder", {"mode": "indoor-search"}, "a folder has no mode 'indoor-search'"),
    ],
)
def test_words_that_a_data_set_lacks(dataset, words, message):
    with pytest.raises(ConfigError, match=message):
        asked(MadeImages(tree(dataset), dataset), **words)


def test_llcm_written_down():
    """Two identities, two cameras: draws that can be followed by hand."""
    images = {(5, 1): ["b", "a"], (5, 3): ["c"], (2, 3): ["f", "d", "e"]}
    samples = [Sample(f"vis/{n}", i, c, "visible", "test") for (i, c), names in images.items() for n in names]
    samples += [Sample(f"nir/{n}", i, 1, "infrared", "test") for i, n in ((5, "y"), (5, "x"), (2, "z"))]
    source = MadeImages(samples, "llcm")
    trials = draw_setting(source, Setting(TO_VISIBLE, "single", "community")).each
    assert [trial.number for trial in trials] == list(range(10))
    for trial in trials:
        random.seed(trial.number)
        wanted = [random.choice(["d", "e", "f"]), random.choice(["a", "b"]), random.choice(["c"])]
        assert paths(source, trial.gallery) == [f"vis/{name}" for name in wanted]
        assert paths(source, trial.queries) == ["nir/z", "nir/x", "nir/y"]


@pytest.mark.parametrize("seed", range(6))
def test_llcm_equals_slow_loops(seed):
    source = random_tree(seed, "llcm")
    for mode, query, gallery in ((TO_VISIBLE, "infrared", "visible"), (TO_INFRARED, "visible", "infrared")):
        for t, trial in enumerate(draw_setting(source, Setting(mode, "single", "community")).each):
            assert paths(source, trial.gallery) == sample_gallery(source.samples, gallery, t, range(1, 10))
            assert paths(source, trial.queries) == every(source.samples, query)


def test_llcm_released_lets_the_sampled_infrared_images_query_the_whole_visible_set():
    source = random_tree(3, "llcm")
    for t, trial in enumerate(draw_setting(source, Setting(TO_INFRARED, "single", "released")).each):
        assert paths(source, trial.queries) == sample_gallery(source.samples, "infrared", t, range(1, 10))
        assert paths(source, trial.gallery) == every(source.samples, "visible")


@pytest.mark.parametrize("shots", ["single", "multi"])
@pytest.mark.parametrize("seed", range(4))
def test_sysu_equals_slow_loops(seed, shots):
    source = random_tree(seed, "sysu")
    count = {"single": 1, "multi": 10}[shots]
    for mode, cameras in GALLERY_CAMERAS.items():
        for t, trial in enumerate(draw_setting(source, Setting(mode, shots, "community")).each):
            assert paths(source, trial.gallery) == sample_gallery(source.samples, "visible", t, cameras, count)
            assert paths(source, trial.queries) == every(source.samples, "infrared")


def test_regdb_compares_everything_once_and_names_its_split():
    source = MadeImages(tree("regdb", images=10), "regdb", split=7)
    (trial,) = draw_setting(source, Setting(TO_INFRARED, "whole", "community")).each
    assert trial.number == 7
    assert paths(source, trial.queries) == every(source.samples, "visible")
    assert paths(source, trial.gallery) == every(source.samples, "infrared")
    assert not excluded(source, trial.queries, trial.gallery).any()


def test_folder_draws_from_each_camera():
    source = random_tree(1, "folder")
    for shots, count in (("single", 1), ("multi", 10)):
        for t, trial in enumerate(draw_setting(source, Setting(TO_INFRARED, shots, "community")).each):
            assert paths(source, trial.gallery) == sample_gallery(source.samples, "infrared", t, (3, 4), count)
    (trial,) = draw_setting(source, Setting(TO_INFRARED, "whole", "community")).each
    assert paths(source, trial.gallery) == every(source.samples, "infrared")


def test_folder_ignores_nothing_and_draws_only_where_all_cameras_are_known():
    samples = [
        Sample("a", 1, 1, "infrared", "test"),
        Sample("b", 1, 1, "visible", "test"),
        Sample("c", 1, 2, "visible", "test"),
        Sample("d", 2, 1, "visible", "test"),
    ]
    assert not excluded(MadeImages(samples, "folder"), [0], [1, 2, 3]).any()
    samples[3] = Sample("d", 2, NO_CAMERA, "visible", "test")
    unknown = MadeImages(samples, "folder")
    assert not excluded(unknown, [0], [1, 2, 3]).any()
    with pytest.raises(DataError, match=r"not every test image names its own.*--shots whole"):
        draw_setting(unknown, Setting(TO_VISIBLE, "single", "community"))


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_side_without_images(dataset):
    for modality in ("visible", "infrared"):
        source = MadeImages([s for s in tree(dataset) if s.modality != modality], dataset)
        setting = selection(source)
        sides = {"queries": "infrared", "gallery images": "visible"}
        if setting.mode == TO_INFRARED:
            sides = {"queries": "visible", "gallery images": "infrared"}
        side = next(side for side, there in sides.items() if there == modality)
        with pytest.raises(DataError, match=f"no {modality} {side}"):
            draw_setting(source, setting)

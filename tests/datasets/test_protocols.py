"""Each data set's settings, queries and galleries, in small cases and against slow, obvious loops."""

import random

import pytest
from fake_dataset import MadeImages, tree
from oracles.draws import every, sample_gallery

from lba_cli.config import EvaluationSection
from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.datasets import DATASETS, Setting
from lba_cli.datasets.sysu import GALLERY_CAMERAS
from lba_cli.errors import ConfigError, DataError
from lba_cli.evaluation.scoring import draw_setting, ignored_images
from lba_cli.evaluation.setting_choice import choose_settings, selection_setting

TO_VISIBLE, TO_INFRARED = "infrared-to-visible", "visible-to-infrared"


def chosen(source, **keys):
    return [(s.mode, s.shots, s.protocol) for s in choose_settings(EvaluationSection(**keys), source)]


def paths(source, indices):
    return [source.samples[i].path for i in indices]


def random_tree(seed, dataset):
    """Identities that lack some cameras, with one to thirteen images under each; every fifth number is a training identity."""
    generator = random.Random(seed)
    samples = []
    for sample in tree(dataset, identities=generator.sample(range(1, 400), 12), images=1):
        if generator.random() < 0.75:
            split = "train" if sample.identity % 5 == 0 else "test"
            for image in generator.sample(range(100), generator.randint(1, 13)):
                path = sample.path.replace("0000.jpg", f"{image}.jpg")  # names of different lengths
                samples.append(Sample(path, sample.identity, sample.camera, sample.modality, split))
    generator.shuffle(samples)
    return MadeImages(samples, dataset)


def test_by_default_the_usual_settings_are_chosen():
    assert chosen(MadeImages(tree("sysu"), "sysu")) == [("all-search", "single", "community")]
    assert chosen(MadeImages(tree("regdb"), "regdb", 1)) == [
        (TO_INFRARED, "whole", "community"),
        (TO_VISIBLE, "whole", "community"),
    ]
    both = [(TO_VISIBLE, "single", "community"), (TO_INFRARED, "single", "community")]
    assert chosen(MadeImages(tree("llcm"), "llcm")) == both
    assert chosen(MadeImages(tree("folder"), "folder")) == both
    unknown = MadeImages(tree("folder", cameras={"visible": (NO_CAMERA,), "infrared": (NO_CAMERA,)}), "folder")
    assert chosen(unknown) == [(mode, "whole", "community") for mode in (TO_VISIBLE, TO_INFRARED)]
    assert chosen(MadeImages(tree("llcm"), "llcm"), protocol="released") == [(TO_INFRARED, "single", "released")]


def test_all_modes_and_both_shots_can_be_chosen():
    source = MadeImages(tree("sysu"), "sysu")
    wanted = [(m, s, "official") for m in ("all-search", "indoor-search") for s in ("single", "multi")]
    assert chosen(source, mode="all", shots="both", protocol="official") == wanted


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_most_usual_setting_selects_the_best_epoch(dataset):
    setting = selection_setting(MadeImages(tree(dataset), dataset))
    assert setting.mode == DATASETS[dataset].usual_modes[0]
    assert setting.protocol == "community"


@pytest.mark.parametrize(
    ("dataset", "keys", "message"),
    [
        ("sysu", {"mode": TO_VISIBLE}, "SYSU-MM01 has no mode 'infrared-to-visible'; it has all-search, indoor-search"),
        ("sysu", {"shots": "whole"}, "SYSU-MM01 has no shots 'whole'; it has single, multi"),
        ("sysu", {"protocol": "released"}, "SYSU-MM01 has no protocol 'released'; it has community, official"),
        ("regdb", {"mode": "all-search"}, "RegDB has no mode 'all-search'; it has visible-to-infrared, infrared"),
        ("regdb", {"shots": "single"}, "RegDB has no shots 'single'; it has whole"),
        ("regdb", {"protocol": "official"}, "RegDB has no protocol 'official'; it has community"),
        ("llcm", {"shots": "both"}, "LLCM has no shots 'multi'; it has single"),
        ("llcm", {"protocol": "released", "mode": TO_VISIBLE}, "LLCM's protocol released has no mode 'infrared-to-vis"),
        ("folder", {"mode": "indoor-search"}, "a folder of your own images has no mode 'indoor-search'"),
    ],
)
def test_settings_that_a_data_set_lacks_are_refused(dataset, keys, message):
    with pytest.raises(ConfigError, match=message):
        chosen(MadeImages(tree(dataset), dataset), **keys)


def test_llcms_draws_by_hand():
    """Two identities and two cameras, so that the draws can be computed by hand."""
    images = {(5, 1): ["b", "a"], (5, 3): ["c"], (2, 3): ["f", "d", "e"]}
    samples = [Sample(f"vis/{n}", i, c, "visible", "test") for (i, c), names in images.items() for n in names]
    samples += [Sample(f"nir/{n}", i, 1, "infrared", "test") for i, n in ((5, "y"), (5, "x"), (2, "z"))]
    source = MadeImages(samples, "llcm")
    draws = draw_setting(source, Setting(TO_VISIBLE, "single", "community")).draws
    assert [draw.number for draw in draws] == list(range(10))
    for draw in draws:
        random.seed(draw.number)
        wanted = [random.choice(["d", "e", "f"]), random.choice(["a", "b"]), random.choice(["c"])]
        assert paths(source, draw.gallery) == [f"vis/{name}" for name in wanted]
        assert paths(source, draw.queries) == ["nir/z", "nir/x", "nir/y"]


@pytest.mark.parametrize("seed", range(6))
def test_llcms_draws_equal_slow_loops(seed):
    source = random_tree(seed, "llcm")
    for mode, query, gallery in ((TO_VISIBLE, "infrared", "visible"), (TO_INFRARED, "visible", "infrared")):
        for number, draw in enumerate(draw_setting(source, Setting(mode, "single", "community")).draws):
            assert paths(source, draw.gallery) == sample_gallery(source.samples, gallery, number, range(1, 10))
            assert paths(source, draw.queries) == every(source.samples, query)


def test_in_llcms_released_protocol_sampled_infrared_images_query_the_whole_visible_set():
    source = random_tree(3, "llcm")
    for number, draw in enumerate(draw_setting(source, Setting(TO_INFRARED, "single", "released")).draws):
        assert paths(source, draw.queries) == sample_gallery(source.samples, "infrared", number, range(1, 10))
        assert paths(source, draw.gallery) == every(source.samples, "visible")


@pytest.mark.parametrize("shots", ["single", "multi"])
@pytest.mark.parametrize("seed", range(4))
def test_sysus_draws_equal_slow_loops(seed, shots):
    source = random_tree(seed, "sysu")
    count = {"single": 1, "multi": 10}[shots]
    for mode, cameras in GALLERY_CAMERAS.items():
        for number, draw in enumerate(draw_setting(source, Setting(mode, shots, "community")).draws):
            assert paths(source, draw.gallery) == sample_gallery(source.samples, "visible", number, cameras, count)
            assert paths(source, draw.queries) == every(source.samples, "infrared")


def test_regdb_has_one_draw_with_all_images_that_is_numbered_by_the_trial():
    source = MadeImages(tree("regdb", images=10), "regdb", split=7)
    (draw,) = draw_setting(source, Setting(TO_INFRARED, "whole", "community")).draws
    assert draw.number == 7
    assert paths(source, draw.queries) == every(source.samples, "visible")
    assert paths(source, draw.gallery) == every(source.samples, "infrared")
    assert not ignored_images(source, draw.queries, draw.gallery).any()


def test_own_folders_draw_from_each_camera():
    source = random_tree(1, "folder")
    for shots, count in (("single", 1), ("multi", 10)):
        for number, draw in enumerate(draw_setting(source, Setting(TO_INFRARED, shots, "community")).draws):
            assert paths(source, draw.gallery) == sample_gallery(source.samples, "infrared", number, (3, 4), count)
    (draw,) = draw_setting(source, Setting(TO_INFRARED, "whole", "community")).draws
    assert paths(source, draw.gallery) == every(source.samples, "infrared")


def test_own_folders_ignore_nothing_and_draw_only_if_all_cameras_are_known():
    samples = [
        Sample("a", 1, 1, "infrared", "test"),
        Sample("b", 1, 1, "visible", "test"),
        Sample("c", 1, 2, "visible", "test"),
        Sample("d", 2, 1, "visible", "test"),
    ]
    assert not ignored_images(MadeImages(samples, "folder"), [0], [1, 2, 3]).any()
    samples[3] = Sample("d", 2, NO_CAMERA, "visible", "test")
    unknown = MadeImages(samples, "folder")
    assert not ignored_images(unknown, [0], [1, 2, 3]).any()
    with pytest.raises(DataError, match=r"the camera of 1 of 4 test images is unknown .*--shots whole"):
        draw_setting(unknown, Setting(TO_VISIBLE, "single", "community"))


@pytest.mark.parametrize("dataset", DATASETS)
def test_missing_queries_or_gallery_images_are_reported(dataset):
    for modality in ("visible", "infrared"):
        source = MadeImages([s for s in tree(dataset) if s.modality != modality], dataset)
        setting = selection_setting(source)
        sides = {"queries": "infrared", "gallery images": "visible"}
        if setting.mode == TO_INFRARED:
            sides = {"queries": "visible", "gallery images": "infrared"}
        side = next(side for side, there in sides.items() if there == modality)
        with pytest.raises(DataError, match=f"no {modality} {side}"):
            draw_setting(source, setting)

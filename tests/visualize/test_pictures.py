"""Pictures: their parts, their texts, and how they are written."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_dataset import MadeImages, tree
from PIL import Image

from lba_cli.data.image_files import any_image
from lba_cli.data.store import FolderImages
from lba_cli.datasets import Setting
from lba_cli.datasets.sysu import read_sysu
from lba_cli.errors import DataError, LbaError
from lba_cli.evaluation.scoring import draw_setting
from lba_cli.evaluation.strongest_matches import Matches, inner_positions, strongest_matches
from lba_cli.model import load_network
from lba_cli.reporting import Silent
from lba_cli.synthetic.truth import Truth
from lba_cli.visualize.canvas import COLOURS, INCHES, QUERY, RIGHT, WRONG, new_figure, save
from lba_cli.visualize.correspondences import (
    Matching,
    _pixels,
    correspondences,
    draw_correspondences,
)
from lba_cli.visualize.curves import curves, curves_of_seeds
from lba_cli.visualize.judged_matches import allowed_positions, judge
from lba_cli.visualize.masks import masks
from lba_cli.visualize.people import PictureOptions, another_person, choose_people
from lba_cli.visualize.ranking import ranking

ALL_SEARCH = Setting("all-search", "single", "community")
EVALUATION = {"rank1": 0.2, "mAP": 0.3, "mINP": 0.1, "cmc": [0.2 + 0.04 * k for k in range(20)]}


def record(epoch, losses, **more):
    """A line of a run's metrics.jsonl."""
    return {"epoch": epoch, "learning_rate": 0.1, "losses": losses, **more}


@pytest.fixture(scope="module")
def network(network_file):
    return load_network(network_file)


def test_strongest_matches_undo_a_permutation():
    """The key is the query with its positions permuted, and every match must undo that."""
    torch.manual_seed(0)
    query = torch.rand(1, 64, 4, 3) * torch.rand(1, 1, 4, 3)
    order = torch.randperm(12)
    key = query.flatten(2)[:, :, order].view_as(query)
    found = strongest_matches(query, key, count=12)
    sources = found.query[:, 0] * 3 + found.query[:, 1]
    targets = found.key[:, 0] * 3 + found.key[:, 1]
    visible = found.strength > 1e-6  # the position with the smallest norm has mask 0
    assert visible.sum() >= 11
    np.testing.assert_array_equal(order.numpy()[targets[visible]], sources[visible])
    assert (np.diff(found.strength) <= 0).all()


def test_the_strongest_matches_are_on_the_person():
    """Both halves match perfectly, but one has strong features (the person) and the other weak ones (the background)."""
    torch.manual_seed(0)
    features = torch.rand(1, 64, 4, 2)
    features[:, :, :, 1] *= 0.05
    found = strongest_matches(features, features, count=4)
    assert set(found.query[:, 1]) == {0}


def test_positions_are_centres_of_their_cells():
    pixels = _pixels(np.array([[0, 0], [17, 8]]), (18, 9), (288, 144))
    np.testing.assert_allclose(pixels, [[7.5, 7.5], [135.5, 279.5]])


def test_people_are_test_identities_with_both_modalities(source):
    options = PictureOptions(people=4)
    people = choose_people(source.samples, options)
    assert len(people) == 4
    for person in people:
        visible, infrared = source.samples[person.visible], source.samples[person.infrared]
        assert visible.split == infrared.split == "test"
        assert visible.identity == infrared.identity == person.identity
        assert (visible.modality, infrared.modality) == ("visible", "infrared")
        assert another_person(person, people, source.samples, 0).identity != person.identity
    assert choose_people(source.samples, options) == people
    named = PictureOptions(people=1, identities=[7, 4])
    assert [person.identity for person in choose_people(source.samples, named)] == [7, 4]
    with pytest.raises(DataError, match="identity 2 doesn't have test images of both modalities"):
        choose_people(source.samples, PictureOptions(identities=[2]))


def test_a_single_person_is_contrasted_with_a_different_one(source):
    people = choose_people(source.samples, PictureOptions(people=1))
    assert another_person(people[0], people, source.samples, 0).identity != people[0].identity


def frame(axes):
    """The colour of the frame of an image, and whether it is solid or dashed."""
    from matplotlib.colors import to_hex

    (patch,) = axes.patches
    return to_hex(patch.get_edgecolor()), "-" if patch.get_linestyle() in ("-", "solid") else "--"


@pytest.mark.parametrize("stage", ["layer3", "layer4"])
def test_correspondences_draw_right_and_wrong_pairs(network, source, tmp_path, stage):
    figure = correspondences(network, source, PictureOptions(people=2), Matching(stage, count=5))
    assert len(figure.axes) == 2 * 2 * 4
    assert len(figure.artists) == 2 * 2 * 5
    words = " ".join(text.get_text() for text in figure.texts)
    assert words.count("✓ same person") == words.count("✗ different person") == 2
    edges = [frame(axes) for axes in figure.axes if axes.patches]
    assert edges.count((RIGHT, "-")) == edges.count((WRONG, "--")) == 2
    save(figure, tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as image:
        assert image.width > 1000
        assert np.asarray(image.convert("L")).std() > 10


def test_correspondences_of_two_images_of_your_own(network, source, tiny):
    files = [str(next((tiny / camera).glob("*/*.jpg"))) for camera in ("cam3", "cam1")]
    figure = draw_correspondences(network, *files, matches=5)
    assert len(figure.axes) == 4
    assert len(figure.artists) == 5
    assert figure._repr_png_().startswith(b"\x89PNG"), "notebooks show this"
    shown = [axes.get_images()[0].get_array() for axes in figure.axes]
    assert shown[1].shape[:2] == shown[2].shape[:2] == network.image_size
    arrays = [any_image(file, 100, 60) for file in files]
    again = draw_correspondences(network, *(any_image(file, *network.image_size) for file in files), matches=5)
    assert again._repr_png_() == figure._repr_png_()
    assert draw_correspondences(network, *arrays, stage="layer4").axes
    with pytest.raises(DataError, match="no such file"):
        draw_correspondences(network, "missing.jpg", files[1])


def test_a_pair_of_a_data_set_matches_like_two_images_of_your_own(network, source):
    """``correspondences`` and ``draw_correspondences`` draw the same lines."""
    options = PictureOptions(people=1)
    person = choose_people(source.samples, options)[0]
    row = correspondences(network, source, options, Matching(count=4))
    pair = draw_correspondences(network, *source.read([person.infrared, person.visible]), matches=4)
    assert [(line.xy1, line.xy2) for line in row.artists[:4]] == [(line.xy1, line.xy2) for line in pair.artists]


def test_masks_show_six_images_a_person(network, source):
    assert len(masks(network, source, PictureOptions(people=3)).axes) == 18


def test_ranking_frames_right_and_wrong(network, source):
    figure = ranking(network, source, ALL_SEARCH, PictureOptions(people=3), listener=Silent(), workers=0)
    assert len(figure.axes) == 3 * 11
    assert [frame(axes) for axes in figure.axes].count((QUERY, "-")) == 3
    for number, axes in enumerate(figure.axes):
        row, column = divmod(number, 11)
        mark, name = axes.get_title().split()[:2]
        if column:
            right = name == figure.axes[11 * row].get_title().split()[1]
            assert (mark, *frame(axes)) == (("✓", RIGHT, "-") if right else ("✗", WRONG, "--"))


def test_ranking_leaves_out_images_that_the_match_rules_ignore(network):
    """All queries are from camera 3, which stands where camera 2 does, so images from camera 2 are ignored."""
    cameras = {"visible": (1, 2), "infrared": (3,)}
    source = MadeImages(tree("sysu", identities=range(1, 4), cameras=cameras), "sysu")
    setting = Setting("all-search", "multi", "community")
    gallery = [source.samples[index] for index in draw_setting(source, setting).draws[0].gallery]
    allowed = [sample.identity for sample in gallery if sample.camera == 1]
    assert len(gallery) - len(allowed) == 9, "the gallery must have images to ignore"
    options = PictureOptions(identities=[2])
    figure = ranking(network, source, setting, options, listener=Silent(), top=len(gallery), workers=0)
    query, *found = [axes.get_title() for axes in figure.axes]
    assert query == "query 0002\ncam 3"
    assert sorted(int(title.split()[1]) for title in found) == sorted(allowed)


def test_ranking_names_the_draw_and_refuses_one_that_does_not_exist(network, source):
    options = PictureOptions(people=1)
    figure = ranking(network, source, ALL_SEARCH, options, listener=Silent(), draw=9, workers=0)
    assert "draw\u00a09" in " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    with pytest.raises(DataError, match="has no draw 10; the last one is 9"):
        ranking(network, source, ALL_SEARCH, options, listener=Silent(), draw=10, workers=0)


def test_curves(tmp_path):
    losses = [{"identity": 3.0 - n, "hard_triplet": 1.0, "total": 4.0 - n} for n in range(3)]
    figure = curves([record(n, losses[n], evaluation=EVALUATION) for n in range(3)], "run")
    terms, rate, figures, cmc = figure.axes
    assert [line.get_ydata().tolist() for line in terms.lines] == [[3, 2, 1], [1, 1, 1]]
    assert [line.get_label() for line in terms.lines] == ["identity", "hard triplet"]
    assert len(rate.lines) == 1
    assert [line.get_label() for line in figures.lines] == ["rank-1", "mAP", "mINP"]
    assert len(cmc.lines[0].get_ydata()) == 20
    save(figure, tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")
    with pytest.raises(LbaError, match="no epoch is complete"):
        curves([], "run")


def test_curves_show_every_loss_term_of_a_run():
    """The terms are invented. One begins in a later epoch, and what isn't a number or isn't a term has no curve."""
    records = [
        record(0, {"zebra_stage9": 2.0, "total": 5.0, "aardvark": 3.0, "note": "text", "correct": 0.5}),
        record(1, {"zebra_stage9": 1.0, "total": 4.0, "aardvark": 2.0, "latecomer": 1.0}),
        record(2, {"zebra_stage9": 0.5, "total": 3.0, "latecomer": 0.5}),
    ]
    lines = curves(records, "run").axes[0].lines
    assert {line.get_label(): line.get_xydata().tolist() for line in lines} == {
        "zebra stage9": [[0, 2], [1, 1], [2, 0.5]],
        "aardvark": [[0, 3], [1, 2]],
        "latecomer": [[1, 1], [2, 0.5]],
    }
    assert [line.get_label() for line in lines] == ["zebra stage9", "aardvark", "latecomer"]


@pytest.mark.parametrize(
    "bad",
    [
        {"losses": 3},
        {"learning_rate": "x"},
        {"learning_rate": 10**400},
        {"epoch": None},
        {"evaluation": 1},
        {"evaluation": {**EVALUATION, "cmc": ["x"]}},
    ],
)
def test_records_that_no_run_writes_are_refused(bad):
    with pytest.raises(LbaError, match="lines that training didn't write"):
        curves([record(0, {"identity": 1.0}), {**record(1, {"identity": 1.0}), **bad}], "run")


def test_an_existing_picture_is_not_overwritten(tmp_path):
    path = tmp_path / "x.png"
    path.write_text("mine")
    with pytest.raises(LbaError, match="--force"):
        save(new_figure(1, 1), path)
    assert path.read_text() == "mine"
    save(new_figure(1, 1), path, force=True)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_bad_path_is_refused_before_any_work(lba, tmp_path):
    """There is no checkpoint either, but the path is checked first."""
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    for command in ("correspondences", "ranking", "masks"):
        words = ("visualize", command, "--force", "--output")
        assert "is a folder" in lba(*words, "folder.png", status=2).output
        assert "is not a writable folder" in lba(*words, "file/x.png", status=2).output


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(LbaError, match=r"\.png, \.svg or \.pdf"):
        save(new_figure(1, 1), tmp_path / "x.txt")


def made(kind, width, network, source, name):
    """One of the four pictures, at the width of a paper, of a data set or a run called ``name``."""
    source = copy.copy(source)
    source.name = name
    options = PictureOptions(people=2, width=width)
    if kind == "curves":
        return curves([record(0, {"identity": 3.0, "hard_triplet": 1.0}, evaluation=EVALUATION)], name, width=width)
    if kind == "ranking":
        return ranking(network, source, ALL_SEARCH, options, listener=Silent(), top=5, workers=0)
    return {"correspondences": correspondences, "masks": masks}[kind](network, source, options)


@pytest.mark.parametrize(
    "name",
    [
        "people",
        pytest.param("a name that takes more than a line in a column of a paper", marks=pytest.mark.slow),
        20 * "a/longer_one ",
    ],
)
@pytest.mark.parametrize("width", ["column", pytest.param("page", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["correspondences", "ranking", "masks", "curves"])
def test_pictures_are_legible_at_their_printed_width(kind, width, name, network, source):
    """No text is smaller than 6 points, beyond the edges, or over other text."""
    from matplotlib.text import Text

    figure = made(kind, width, network, source, name)
    assert figure.get_size_inches()[0] == pytest.approx(INCHES[width])
    renderer = figure.canvas.get_renderer()
    figure.canvas.draw()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    assert min(text.get_fontsize() for text in shown) >= 6
    texts = [
        text
        for text in figure.texts + [title for axes in figure.axes for title in (axes.title, axes._left_title)]
        if text.get_text()
    ]
    boxes = [text.get_window_extent(renderer) for text in texts]
    for number, (box, text) in enumerate(zip(boxes, texts, strict=True)):
        assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, text
        assert box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, text
        for other in boxes[number + 1 :]:
            assert not box.shrunk(0.98, 0.9).overlaps(other.shrunk(0.98, 0.9)), text


def test_curves_differ_by_more_than_colour():
    from lba_cli.visualize.canvas import plot_curves, plot_grid

    _, (axes,) = plot_grid(3, [[]], 1, 1)
    many = 3 * len(COLOURS)
    plot_curves(axes, {str(n): ([1, 2], [n, n]) for n in range(many)}, "x", "y")
    assert len({line.get_color() for line in axes.lines}) == len(COLOURS)
    assert len({line.get_marker() for line in axes.lines}) == len(COLOURS)
    assert len({(line.get_color(), str(line._unscaled_dash_pattern)) for line in axes.lines}) == many


@pytest.mark.parametrize("width", ["column", "page"])
@pytest.mark.parametrize(
    "terms",
    [
        ("identity", "hard_triplet", "identity_consistency_stage3", "identity_consistency_stage4", "dense_triplet"),
        tuple(f"an_invented_loss_term_of_stage{n}" for n in range(12)),
    ],
    ids=["full", "many"],
)
def test_legends_hide_no_curve(width, terms):
    """Legends are between the titles and the plots, even with many terms and epochs of four digits."""
    losses = dict.fromkeys(terms, 1.0)
    figure = curves([record(n, losses, evaluation=EVALUATION) for n in (0, 1234, 2345)], "a run", width=width)
    figure.canvas.draw()
    plots = [axes.get_window_extent() for axes in figure.axes]
    boxes = [axes.get_legend().get_window_extent() for axes in figure.axes if axes.get_legend()]
    titles = [axes.title if axes.title.get_text() else axes._left_title for axes in figure.axes]
    texts = [title.get_window_extent() for title in titles]
    assert len(boxes) == 3
    for box in boxes:
        assert box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in plots + texts)
    for box in texts:
        assert not any(box.overlaps(other) for other in plots)


def test_curves_of_seeds_are_means_in_bands():
    def run(*losses, rank1):
        figures = {**EVALUATION, "rank1": rank1}
        return [record(epoch, {"identity": loss}, evaluation=figures) for epoch, loss in enumerate(losses)]

    runs = {"a": run(1.0, 4.0, 7.0, rank1=0.2), "b": run(3.0, 2.0, rank1=0.6)}
    figure = curves_of_seeds(runs, "runs/full")
    losses, _, retrieval, _ = figure.axes
    (line,) = losses.lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([0, 1], [2.0, 3.0]), "the epochs that both runs have"
    (band,) = losses.collections
    corners = {tuple(map(float, corner)) for corner in band.get_paths()[0].vertices}
    assert {(0, 1.0), (0, 3.0), (1, 2.0), (1, 4.0)} <= corners
    assert retrieval.lines[0].get_ydata()[0] == pytest.approx(40)
    assert "runs/full: mean and range of 2 seeds" in " ".join(text.get_text() for text in figure.texts)
    with pytest.raises(LbaError, match="b: no epoch is complete yet"):
        curves_of_seeds({"a": runs["a"], "b": []}, "runs/full")


def test_curves_of_a_run_without_evaluations_say_so():
    words = [[text.get_text() for text in axes.texts] for axes in curves([record(0, {"identity": 1.0})], "a run").axes]
    assert words == [[], [], ["no data yet"], ["no data yet"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "人物 ж $x_^$ \\frac{\ny",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("a $x_^$ b", "$", "人物 ж", "x\\frac{\ny")),
    ],
)
def test_names_are_written_as_they_are(name, network, tmp_path, recwarn):
    """Names of runs and data sets may be odd; text between dollar signs isn't mathematics."""
    source = MadeImages(tree("sysu", identities=range(1, 4)), "sysu", name=name)
    options = PictureOptions(people=2)
    figures = (
        curves([record(0, {"identity": 1.0})], name),
        correspondences(network, source, options),
        masks(network, source, options),
        ranking(network, source, ALL_SEARCH, options, listener=Silent(), workers=0),
    )
    for figure in figures:
        assert name.split()[-1] in " ".join(text.get_text() for text in figure.texts)
    for figure, kind in zip(figures, ("png", "svg", "pdf", "png"), strict=True):
        save(figure, tmp_path / f"x.{kind}", force=True)
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


# --- matches with a known truth ---


def truth_of_quarters(part):
    """The truth about an image of 40 × 20 pixels whose quarters each show a part."""
    quarters = np.kron(np.array(part, np.uint8).reshape(2, 2), np.ones((20, 10), np.uint8))
    return Truth(quarters, np.zeros((40, 20)), np.zeros((40, 20)), 100.0)


def test_matches_are_judged_by_the_nearest_true_pixel():
    """Quarter 0 shows part 1, which the key has in quarter 1; quarter 1 part 2, in quarters 0 and 3; quarter 2 a part that is hidden."""
    query, key = truth_of_quarters([1, 2, 3, 0]), truth_of_quarters([2, 1, 0, 2])
    matches = Matches(np.array([[0, 0], [0, 1], [1, 0]]), np.array([[0, 1], [1, 0], [0, 0]]), np.ones(3))
    judged = judge(matches, query, key, (2, 2))
    # The second match ends at (30, 5); the nearest pixel of part 2 is in quarter 3, 5.5 pixels to the right.
    assert judged.verdict.tolist() == ["right", "right", "unknown"]
    assert judged.words == "2 of 2 right"
    assert judged.true[1].tolist() == [pytest.approx(30 / 40, abs=0.02), pytest.approx(10.5 / 20)]
    assert np.isnan(judged.true[2]).all()
    small = replace(key, height=50.0)  # the same 5.5 pixels are 11 % of this height
    assert judge(matches, query, small, (2, 2)).verdict.tolist() == ["right", "wrong", "unknown"]
    assert judge(matches, query, small, (2, 2)).colours[:2] == [RIGHT, WRONG]


def test_matches_without_a_truth_say_so():
    nothing = truth_of_quarters([0, 0, 0, 0])
    matches = Matches(np.array([[0, 0]]), np.array([[0, 0]]), np.ones(1))
    assert judge(matches, nothing, nothing, (2, 2)).words == "no match has a known truth"


def test_matches_start_on_the_person_or_anywhere():
    features = torch.rand(1, 4, 6, 5)
    assert allowed_positions(features, None, "anywhere") is None
    found = allowed_positions(torch.rand(1, 4, 2, 2), truth_of_quarters([1, 0, 0, 2]), "person")
    assert found.tolist() == [True, False, False, True]
    inner = allowed_positions(features, None, "person").reshape(6, 5)
    assert inner[1:-1, 1:-1].all()
    assert inner.sum() == 12
    assert inner_positions(torch.rand(1, 4, 4, 2)).all(), "a small map is all rim"
    among = np.zeros(30, bool)
    among[[7, 8]] = True
    strongest = strongest_matches(features, features, among=among)
    assert set(map(tuple, strongest.query.tolist())) == {(1, 2), (1, 3)}


def test_right_and_wrong_matches_of_people_with_a_truth_differ(network, true_people):
    source = FolderImages(read_sysu(true_people), *network.image_size)
    figure = correspondences(network, source, PictureOptions(people=2), Matching(count=8))
    words = " ".join(text.get_text() for text in figure.texts)
    assert words.count(" right") + words.count("no match has a known truth") == 2
    assert words.count("mean strength") == 4


def test_the_other_person_is_seen_by_the_same_camera(source):
    people = choose_people(source.samples, PictureOptions(people=4))
    for person in people:
        other = another_person(person, people, source.samples, 0)
        assert other.identity != person.identity
        assert source.samples[other.visible].camera == source.samples[person.visible].camera
        assert source.samples[other.visible].identity == other.identity

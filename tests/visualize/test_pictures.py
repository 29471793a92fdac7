"""Pictures: what they are made of, and that they appear whole."""

import copy

import numpy as np
import pytest
import torch
from fake_dataset import MadeImages, tree
from PIL import Image

from lba_cli.data.image_files import any_image
from lba_cli.errors import DataError, LbaError
from lba_cli.evaluation.results import Setting
from lba_cli.model import load_network
from lba_cli.reporting import Silent
from lba_cli.visualize.canvas import COLOURS, INCHES, QUERY, RIGHT, WRONG, new_figure, save
from lba_cli.visualize.correspondences import _pixels, correspondences, draw_correspondences, strongest_matches
from lba_cli.visualize.curves import LOSS_NAMES, curves
from lba_cli.visualize.masks import masks
from lba_cli.visualize.people import another_person, choose_people
from lba_cli.visualize.ranking import ranking


@pytest.fixture(scope="module")
def network(network_file):
    return load_network(network_file)


def test_strongest_matches_find_a_permuted_image():
    """The key is the query with its positions shuffled: every match must undo the shuffle."""
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


def test_matches_prefer_the_person():
    """Half of the positions are strong (the person), half weak (background); both match perfectly."""
    torch.manual_seed(0)
    features = torch.rand(1, 64, 4, 2)
    features[:, :, :, 1] *= 0.05
    found = strongest_matches(features, features, count=4)
    assert set(found.query[:, 1]) == {0}


def test_positions_are_centres_of_their_cells():
    pixels = _pixels(np.array([[0, 0], [17, 8]]), (18, 9), (288, 144))
    np.testing.assert_allclose(pixels, [[7.5, 7.5], [135.5, 279.5]])


def test_people_are_of_the_test_part_with_both_modalities(source):
    people = choose_people(source.samples, 4, seed=0)
    assert len(people) == 4
    for person in people:
        visible, infrared = source.samples[person.visible], source.samples[person.infrared]
        assert visible.split == infrared.split == "test"
        assert visible.identity == infrared.identity == person.identity
        assert (visible.modality, infrared.modality) == ("visible", "infrared")
        assert another_person(person, people, source.samples, 0).identity != person.identity
    assert choose_people(source.samples, 4, seed=0) == people
    assert [p.identity for p in choose_people(source.samples, 1, 0, identities=[7, 4])] == [7, 4]
    with pytest.raises(DataError, match="identity 2 is not in the test part"):
        choose_people(source.samples, 1, 0, identities=[2])


def test_one_person_alone_is_contrasted_with_somebody_else(source):
    people = choose_people(source.samples, 1, seed=0)
    assert another_person(people[0], people, source.samples, 0).identity != people[0].identity


def frame(axes):
    """The colour of an image's frame, and whether it is solid or dashed."""
    from matplotlib.colors import to_hex

    (patch,) = axes.patches
    return to_hex(patch.get_edgecolor()), "-" if patch.get_linestyle() in ("-", "solid") else "--"


@pytest.mark.parametrize("stage", ["layer3", "layer4"])
def test_correspondences_draw_right_and_wrong_pairs(network, source, tmp_path, stage):
    figure = correspondences(network, source, people=2, matches=5, stage=stage)
    assert len(figure.axes) == 2 * 2 * 4
    assert len(figure.artists) == 2 * 2 * 5
    words = " ".join(text.get_text() for text in figure.texts)
    assert words.count("✓ same person") == words.count("✗ another person") == 2
    edges = [frame(axes) for axes in figure.axes if axes.patches]
    assert edges.count((RIGHT, "-")) == edges.count((WRONG, "--")) == 2
    save(figure, tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as image:
        assert image.width > 1000
        assert np.asarray(image.convert("L")).std() > 10


def test_correspondences_of_two_pictures_of_ones_own(network, source, tiny):
    files = [str(next((tiny / camera).glob("*/*.jpg"))) for camera in ("cam3", "cam1")]
    figure = draw_correspondences(network, *files, matches=5)
    assert len(figure.axes) == 4
    assert len(figure.artists) == 5
    assert figure._repr_png_().startswith(b"\x89PNG"), "what a notebook asks for"
    shown = [axes.get_images()[0].get_array() for axes in figure.axes]
    assert shown[1].shape[:2] == shown[2].shape[:2] == network.image_size
    arrays = [any_image(file, 100, 60) for file in files]
    again = draw_correspondences(network, *(any_image(file, *network.image_size) for file in files), matches=5)
    assert again._repr_png_() == figure._repr_png_()
    assert draw_correspondences(network, *arrays, stage="layer4").axes
    with pytest.raises(DataError, match="no such file"):
        draw_correspondences(network, "missing.jpg", files[1])


def test_the_pair_of_a_data_set_is_drawn_as_the_same_two_pictures(network, source):
    """The rows of ``correspondences`` and ``draw_correspondences`` join the same places."""
    person = choose_people(source.samples, 1, seed=0)[0]
    row = correspondences(network, source, people=1, matches=4)
    pair = draw_correspondences(network, *source.read([person.infrared, person.visible]), matches=4)
    assert [(line.xy1, line.xy2) for line in row.artists[:4]] == [(line.xy1, line.xy2) for line in pair.artists]


def test_masks_show_six_images_a_person(network, source):
    assert len(masks(network, source, people=3).axes) == 18


def test_ranking_frames_right_and_wrong(network, source):
    figure = ranking(
        network, source, Setting("all-search", "single", "community"), listener=Silent(), queries=3, workers=0
    )
    assert len(figure.axes) == 3 * 11
    assert [frame(axes) for axes in figure.axes].count((QUERY, "-")) == 3
    for axes in figure.axes:
        mark, name = axes.get_title().split()[:2]
        row = figure.axes.index(axes) // 11
        query = figure.axes[11 * row].get_title().split()[1]
        if axes is not figure.axes[11 * row]:
            right = name == query
            assert (mark, *frame(axes)) == (("✓", RIGHT, "-") if right else ("✗", WRONG, "--"))


def test_ranking_leaves_out_what_the_protocol_ignores(network, source):
    setting = Setting("all-search", "multi", "community")
    query = next(s for s in source.samples if s.split == "test" and s.camera == 3)
    figure = ranking(network, source, setting, listener=Silent(), identities=[query.identity], top=50, workers=0)
    if "cam 3" in figure.axes[0].get_title():
        gallery = [s for s in source.samples if s.split == "test" and s.camera in (1, 4, 5)]
        assert len(figure.axes) - 1 <= len(gallery)


def test_curves(tmp_path):
    evaluation = {"rank1": 0.2, "mAP": 0.3, "mINP": 0.1, "cmc": [0.2 + 0.04 * k for k in range(20)]}
    records = [
        {
            "epoch": n,
            "learning_rate": 0.1,
            "losses": {"identity": 3.0 - n, "hard_triplet": 1.0},
            "evaluation": evaluation,
        }
        for n in range(3)
    ]
    figure = curves(records, "run")
    losses, rate, figures, cmc = figure.axes
    assert [line.get_ydata().tolist() for line in losses.lines] == [[3, 2, 1], [1, 1, 1]]
    assert len(rate.lines) == 1
    assert [line.get_label() for line in figures.lines] == ["rank-1", "mAP", "mINP"]
    assert len(cmc.lines[0].get_ydata()) == 20
    save(figure, tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")
    with pytest.raises(LbaError, match="no epoch is complete"):
        curves([], "run")


def test_an_existing_picture_is_kept(tmp_path):
    path = tmp_path / "x.png"
    path.write_text("mine")
    with pytest.raises(LbaError, match="--force"):
        save(new_figure(1, 1), path)
    assert path.read_text() == "mine"
    save(new_figure(1, 1), path, force=True)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_place_that_cannot_be_written_is_refused_before_the_work(lba, tmp_path):
    """No checkpoint is there: the place is complained of first."""
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    for command in ("correspondences", "ranking", "masks"):
        words = ("visualize", command, "--force", "--output")
        assert "is a folder" in lba(*words, "folder.png", status=2).output
        assert "not a folder that can be written to" in lba(*words, "file/x.png", status=2).output


def test_an_ending_that_is_no_picture(tmp_path):
    with pytest.raises(LbaError, match=r"\.png, \.svg or \.pdf"):
        save(new_figure(1, 1), tmp_path / "x.txt")


def made(kind, width, network, source, name):
    """One of the four pictures at a paper's width, of a data set or a run of this name."""
    source = copy.copy(source)
    source.name = name
    evaluation = {"rank1": 0.2, "mAP": 0.3, "mINP": 0.1, "cmc": [0.2 + 0.04 * k for k in range(20)]}
    losses = {"identity": 3.0, "hard_triplet": 1.0}
    record = {"epoch": 0, "learning_rate": 0.1, "losses": losses, "evaluation": evaluation}
    setting = Setting("all-search", "single", "community")
    if kind == "curves":
        return curves([record], name, width=width)
    if kind == "ranking":
        return ranking(network, source, setting, listener=Silent(), queries=2, top=5, workers=0, width=width)
    return {"correspondences": correspondences, "masks": masks}[kind](network, source, people=2, width=width)


@pytest.mark.parametrize(
    "name", ["people", "a name that takes more than a line in a column of a paper", 20 * "a/longer_one "]
)
@pytest.mark.parametrize("width", ["column", "page"])
@pytest.mark.parametrize("kind", ["correspondences", "ranking", "masks", "curves"])
def test_pictures_are_legible_at_the_width_they_are_printed(kind, width, name, network, source):
    """No type below 6 points, and none of it beyond the edges or over other words."""
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

    (axes,) = plot_grid(new_figure(3, 3), [0.8], 1)
    plot_curves(axes, {str(n): ([1, 2], [n, n]) for n in range(len(COLOURS))}, "x", "y")
    assert len({line.get_color() for line in axes.lines}) == len(COLOURS)
    assert len({line.get_marker() for line in axes.lines}) == len(COLOURS)


@pytest.mark.parametrize("width", ["column", "page"])
def test_legends_hide_no_curve(width):
    """All five losses of the full method, and epochs of four digits: legends are between the titles and the plots."""
    evaluation = {"rank1": 0.2, "mAP": 0.3, "mINP": 0.1, "cmc": [0.5] * 20}
    losses = dict.fromkeys(LOSS_NAMES, 1.0)
    records = [{"epoch": n, "learning_rate": 0.1, "losses": losses, "evaluation": evaluation} for n in (0, 1234, 2345)]
    figure = curves(records, "a run", width=width)
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


def test_curves_of_a_run_that_was_never_scored_say_so():
    record = {"epoch": 0, "learning_rate": 0.1, "losses": {"identity": 1.0}}
    words = [[text.get_text() for text in axes.texts] for axes in curves([record], "a run").axes]
    assert words == [[], [], ["none yet"], ["none yet"]]


@pytest.mark.parametrize("name", ["a $x_^$ b", "$", "人物 ж", "x\\frac{\ny"])
def test_names_are_written_as_they_are(name, network, tmp_path, recwarn):
    """A run's name and a data set's, however odd: what stands between dollars is no mathematics."""
    records = [{"epoch": 0, "learning_rate": 0.1, "losses": {"identity": 1.0}}]
    source = MadeImages(tree("sysu", identities=range(1, 4)), "sysu", name=name)
    setting = Setting("all-search", "single", "community")
    figures = (
        curves(records, name),
        correspondences(network, source, people=2),
        masks(network, source, people=2),
        ranking(network, source, setting, listener=Silent(), queries=2, workers=0),
    )
    for figure in figures:
        assert name.split()[-1] in " ".join(text.get_text() for text in figure.texts)
        for kind in ("png", "svg", "pdf"):
            save(figure, tmp_path / f"x.{kind}", force=True)
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]

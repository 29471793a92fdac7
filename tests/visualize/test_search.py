"""The picture of search results."""

import numpy as np
from fake_gallery import write_image
from fake_listener import Recorder
from small_setup import HEIGHT, WIDTH

from lba_cli.search.gallery import Hit, IndexDescription
from lba_cli.visualize.search_results import MISSING_GRAY, ranked_lists

INDEX = IndexDescription(model="", origin="", height=HEIGHT, width=WIDTH, modality="visible", dimension=1)


def test_each_query_has_a_row_of_hits(tmp_path):
    paths = [write_image(tmp_path / f"{seed}.png", seed) for seed in range(4)]
    hits = [Hit(row, path, 0.9 - row / 10) for row, path in enumerate(paths[1:])]
    figure = ranked_lists([(paths[0], hits), (paths[1], hits[:1])], INDEX)
    assert len(figure.axes) == 1 + 3 + 1 + 1
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:4] == ["0.png", "1   0.900", "2   0.800", "3   0.700"]
    figure.canvas.draw()


def test_missing_images_are_gray_and_odd_names_are_drawn(tmp_path):
    heard = Recorder()
    query = write_image(tmp_path / "a $very long$ name_^.png", 0)
    figure = ranked_lists([(query, [Hit(0, str(tmp_path / "gone.png"), 0.5)])], INDEX, heard)
    figure.canvas.draw()
    (warning,) = heard.warnings
    assert warning.startswith(
        f"images that can't be read any more are drawn as gray tiles: {tmp_path / 'gone.png'} (no such"
    )
    shown = np.asarray(figure.axes[1].images[0].get_array())
    assert (shown == MISSING_GRAY).all()

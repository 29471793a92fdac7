"""Person masks, and where two images of a person both show it: co-attention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lba_cli.alignment import co_attention, matching_probability, person_mask
from lba_cli.data.store import ImageSource
from lba_cli.model import TwoStreamNetwork
from lba_cli.visualize.canvas import new_figure, show_heat, show_image
from lba_cli.visualize.correspondences import Stage
from lba_cli.visualize.subjects import choose_people, heat, stage_maps

COLUMNS = ("infrared", "person mask", "co-attention", "visible", "person mask", "co-attention")


def masks(
    network: TwoStreamNetwork,
    source: ImageSource,
    *,
    people: int = 4,
    identities: Sequence[int] | None = None,
    stage: Stage = "layer3",
    temperature: float = 50.0,
    seed: int = 0,
) -> Figure:
    """Draw people in rows: both images, their person masks, and the co-attention of each with the other.

    Raises:
        DataError: the test part lacks the people asked for.
    """
    chosen = choose_people(source.samples, people, seed, identities)
    width = 6.4
    figure = new_figure(width, 0.5 + len(chosen) * (0.15 + width / len(COLUMNS) * source.height / source.width))
    grid = np.atleast_2d(figure.subplots(len(chosen), len(COLUMNS)))
    for row, person in zip(grid, chosen, strict=True):
        maps = [
            getattr(stage_maps(network, source, index, modality), stage)
            for index, modality in ((person.infrared, "infrared"), (person.visible, "visible"))  # type: ignore[arg-type]
        ]
        images = [source.read([index])[0] for index in (person.infrared, person.visible)]
        for side, (query, key) in enumerate((maps, maps[::-1])):
            own, other = person_mask(query), person_mask(key)
            attention = co_attention(matching_probability(query, key, temperature), own, other)
            axes = row[3 * side : 3 * side + 3]
            show_image(axes[0], images[side])
            show_heat(axes[1], images[side], heat(own))
            show_heat(axes[2], images[side], heat(attention))
        row[0].text(-0.12, 0.5, f"{person.identity:04d}", transform=row[0].transAxes, rotation=90, va="center", ha="right")
    for axes, title in zip(grid[0], COLUMNS, strict=True):
        axes.set_title(title, fontsize=8)
    figure.suptitle(f"Person masks and co-attention by {stage}, {source.name}", fontsize=9)
    return figure

"""Person masks, and where two images of a person both show it: co-attention."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from lba_cli.alignment import co_attention, matching_probability, person_mask
from lba_cli.data.store import ImageSource
from lba_cli.model import TwoStreamNetwork
from lba_cli.visualize.canvas import INCHES, SMALL, TEXT, headline, new_figure, place, show_heat, show_image, write
from lba_cli.visualize.correspondences import Stage
from lba_cli.visualize.people import choose_people, heat, stage_maps
from lba_cli.vocabulary import PaperWidth

# Inches: the gap between images, the outer margin, the head with the titles.
GAP, MARGIN, HEAD = 0.06, 0.2, 0.62
COLUMNS = ("infrared", "person\nmask", "co-\nattention", "visible", "person\nmask", "co-\nattention")


def masks(
    network: TwoStreamNetwork,
    source: ImageSource,
    *,
    people: int = 4,
    identities: Sequence[int] | None = None,
    stage: Stage = "layer3",
    temperature: float = 50.0,
    seed: int = 0,
    width: PaperWidth = "page",
) -> Figure:
    """Draw people in rows: both images, their person masks, and the co-attention of each with the other.

    Raises:
        DataError: the test part lacks the people asked for.
    """
    chosen = choose_people(source.samples, people, seed, identities)
    tile = (INCHES[width] - 2 * MARGIN) / len(COLUMNS) - GAP
    tall = tile * source.height / source.width
    figure = new_figure(INCHES[width], HEAD + len(chosen) * (tall + GAP) + MARGIN / 2)
    headline(figure, MARGIN, f"Person masks and co-attention by {stage}, from 0 (dark) to 1 (bright), {source.name}")
    for column, title in enumerate(COLUMNS):
        write(figure, MARGIN + column * (tile + GAP) + tile / 2, HEAD - 0.05, title, ha="center", fontsize=SMALL)
    for number, person in enumerate(chosen):
        top = HEAD + number * (tall + GAP)
        row = [place(figure, MARGIN + column * (tile + GAP), top, tile, tall) for column in range(len(COLUMNS))]
        maps = [
            getattr(stage_maps(network, source, person.infrared, "infrared"), stage),
            getattr(stage_maps(network, source, person.visible, "visible"), stage),
        ]
        images = [source.read([index])[0] for index in (person.infrared, person.visible)]
        for side, (query, key) in enumerate((maps, maps[::-1])):
            own, other = person_mask(query), person_mask(key)
            attention = co_attention(matching_probability(query, key, temperature), own, other)
            axes = row[3 * side : 3 * side + 3]
            show_image(axes[0], images[side])
            show_heat(axes[1], images[side], heat(own))
            show_heat(axes[2], images[side], heat(attention))
        name = f"{person.identity:04d}"
        write(figure, MARGIN - 0.05, top + tall / 2, name, rotation=90, ha="right", va="center", fontsize=TEXT)
    return figure

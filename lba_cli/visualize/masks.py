"""Person masks, and the co-attention of two images of a person."""

from matplotlib.figure import Figure

from lba_cli.alignment import co_attention, matching_probability, person_mask
from lba_cli.compute import exact_arithmetic
from lba_cli.data.store import ImageSource
from lba_cli.evaluation.feature_maps import Stage, as_array, sample_maps
from lba_cli.model import TwoStreamNetwork
from lba_cli.visualize.canvas import INCHES, SMALL, headline, new_figure, place, show_heat, show_image, write
from lba_cli.visualize.people import PictureOptions, choose_people

# Lengths in inches: the gap between images, the outer margin, and the height of the headline and the column titles.
GAP, MARGIN, HEAD = 0.06, 0.2, 0.62
COLUMNS = ("infrared", "person\nmask", "co-\nattention", "visible", "person\nmask", "co-\nattention")


def masks(
    network: TwoStreamNetwork,
    source: ImageSource,
    options: PictureOptions = PictureOptions(),
    *,
    stage: Stage = "layer3",
    temperature: float = 50.0,
) -> Figure:
    """Draw a row for each person: an infrared and a visible image, their person masks, and their co-attention.

    Args:
        source: the data set at the network's image size.
        stage: the stage of the network whose features are used.
        temperature: the factor of the similarities in the matching probability.

    Raises:
        DataError: the test split lacks the requested people.
    """
    people = choose_people(source.samples, options)
    width = INCHES[options.width]
    tile = (width - 2 * MARGIN) / len(COLUMNS) - GAP
    tall = tile * source.height / source.width
    figure = new_figure(width, HEAD + len(people) * (tall + GAP) + MARGIN / 2)
    title = f"Person masks and co-attention of {stage} features, from 0 (dark) to 1 (bright), {source.name}"
    headline(figure, MARGIN, title)
    for column, name in enumerate(COLUMNS):
        write(figure, MARGIN + column * (tile + GAP) + tile / 2, HEAD - 0.05, name, ha="center", fontsize=SMALL)
    for number, person in enumerate(people):
        top = HEAD + number * (tall + GAP)
        row = [place(figure, MARGIN + column * (tile + GAP), top, tile, tall) for column in range(len(COLUMNS))]
        images, maps = zip(*(sample_maps(network, source, i) for i in (person.infrared, person.visible)), strict=True)
        features = [getattr(each, stage) for each in maps]
        for side, (query, key) in enumerate((features, features[::-1])):
            mask = person_mask(query)
            with exact_arithmetic(query.device):
                attention = co_attention(matching_probability(query, key, temperature), mask, person_mask(key))
            show_image(row[3 * side], images[side])
            show_heat(row[3 * side + 1], images[side], as_array(mask))
            show_heat(row[3 * side + 2], images[side], as_array(attention))
        write(figure, MARGIN - 0.05, top + tall / 2, f"{person.identity:04d}", rotation=90, ha="right", va="center")
    return figure

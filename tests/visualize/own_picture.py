"""A picture of one's own: the mean person mask of each modality, over some people of the test split."""

import numpy as np

from lba_cli.alignment import person_mask
from lba_cli.evaluation.feature_maps import as_array, sample_maps
from lba_cli.visualize.canvas import INCHES, headline, new_figure, place, show_heat
from lba_cli.visualize.people import PictureOptions, choose_people


def mean_masks(network, source, options=PictureOptions(), *, stage="layer3"):
    """Draw the mean image of each modality under the mean of its person masks; returns a matplotlib figure."""
    people = choose_people(source.samples, options)
    figure = new_figure(INCHES[options.width], 4.0)
    headline(figure, 0.2, f"Mean person masks of {len(people)} people, {stage}, {source.name}")
    for column, modality in enumerate(("visible", "infrared")):
        samples = [sample_maps(network, source, getattr(person, modality)) for person in people]
        image = np.mean([image for image, _ in samples], axis=0).astype(np.uint8)
        mask = np.mean([as_array(person_mask(getattr(maps, stage))) for _, maps in samples], axis=0)
        axes = place(figure, 0.2 + 1.7 * column, 0.6, 1.5, 3.0)  # left, top, width, height in inches
        show_heat(axes, image, mask, title=modality)
    return figure


if __name__ == "__main__":  # python own_picture.py visualize mean-masks --checkpoint runs/full
    from pathlib import Path

    from lba_cli.__main__ import main
    from lba_cli.cli.checkpoints import open_checkpoint
    from lba_cli.cli.options import CheckpointFile, CommonOptions, Force, command
    from lba_cli.cli.visualize import app
    from lba_cli.visualize.canvas import require_new_picture, save

    @command(app, "lba visualize mean-masks", name="mean-masks")
    def mean_masks_command(
        common: CommonOptions,
        checkpoint: CheckpointFile = None,
        output: Path = Path("figures/mean-masks.png"),
        force: Force = False,
    ) -> None:
        """Draw where the network sees a person on average."""
        require_new_picture(output, force=force)
        opened = open_checkpoint(checkpoint, None, common)
        save(mean_masks(opened.network, opened.images()), output, force=force)

    main()

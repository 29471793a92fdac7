"""Pictures of what a network has learned: correspondences, ranked galleries, masks, and the curves of a run.

Functions that draw return a matplotlib figure, which notebooks display and :func:`save` writes.

- :func:`draw_correspondences` draws the matches between two images of your own.
- ``correspondences.correspondences``, ``masks.masks`` and ``ranking.ranking`` draw test images of a data set.
- ``curves.curves`` draws the metrics of a training run.
"""

from lba_cli.evaluation.strongest_matches import Matches, strongest_matches
from lba_cli.visualize.canvas import save
from lba_cli.visualize.correspondences import draw_correspondences

__all__ = ["Matches", "draw_correspondences", "save", "strongest_matches"]

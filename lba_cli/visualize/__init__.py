"""Pictures of what a network sees: correspondences, ranked lists, masks, and the curves of a run.

Each is a function that returns a matplotlib figure, which notebooks show: :func:`draw_correspondences` of any two pictures;
of a data set's test images ``correspondences.correspondences``, ``masks.masks`` and ``ranking.ranking``, of a run
``curves.curves``.
"""

from lba_cli.visualize.canvas import save
from lba_cli.visualize.correspondences import Matches, draw_correspondences, strongest_matches

__all__ = ["Matches", "draw_correspondences", "save", "strongest_matches"]

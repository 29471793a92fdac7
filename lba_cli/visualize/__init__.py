"""Pictures of what a network has learned: correspondences, ranked galleries, masks, and the curves of a run.

Every function here returns a matplotlib figure, which notebooks display and :func:`save` writes.

- Two images of your own: :func:`draw_correspondences`.
- A data set's test images: ``correspondences.correspondences``, ``masks.masks`` and ``ranking.ranking``.
- A training run: ``curves.curves``.
"""

from lba_cli.visualize.canvas import save
from lba_cli.visualize.correspondences import Matches, draw_correspondences, strongest_matches

__all__ = ["Matches", "draw_correspondences", "save", "strongest_matches"]

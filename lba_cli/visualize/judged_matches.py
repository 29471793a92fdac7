"""Matches of which the truth is known: which of them are right, and where the others should be."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lba_cli.evaluation.strongest_matches import Matches, inner_positions
from lba_cli.evaluation.true_places import ROUNDING, corresponding, person_pixels, places_of
from lba_cli.synthetic.truth import Truth
from lba_cli.visualize.canvas import RIGHT, WRONG

Where = Literal["person", "anywhere"]
NEAR = 0.10  # of the person's height: a match that is at most this far from a true point is right
COLOURS = {"right": RIGHT, "wrong": WRONG, "unknown": "#999999"}


class JudgedMatches(NamedTuple):
    """The verdicts on M matches: each is ``right``, ``wrong``, or, if the point isn't seen in the other image, ``unknown``.

    For each match, ``true`` (M, 2) has the true point in the other image that is nearest to the matched one: its y and x as shares of the
    image's height and width, or NaN where it is unknown.
    """

    verdict: NDArray[np.str_]
    true: NDArray[np.float64]

    @property
    def colours(self) -> list[str]:
        """The colour of each match."""
        return [COLOURS[str(each)] for each in self.verdict]

    @property
    def words(self) -> str:
        """The number of right matches as text."""
        right, known = int((self.verdict == "right").sum()), int((self.verdict != "unknown").sum())
        return f"{right} of {known} right" if known else "no match has a known truth"


def allowed_positions(features: Tensor, truth: Truth | None, where: Where) -> NDArray[np.bool_] | None:
    """Return the (HW,) positions of a query whose matches are drawn; None for all.

    ``person`` stands for the positions that show the person, if the truth is known, and otherwise for those that aren't at the
    image's rim, where features look alike in all images (the paper's figure has no such rule). ``anywhere`` stands for all.
    """
    if where == "anywhere":
        return None
    return places_of(truth, *features.shape[2:]).on_person if truth else inner_positions(features)


def judge(matches: Matches, query: Truth, key: Truth, grid: tuple[int, int]) -> JudgedMatches:
    """Compare matches between two images of a person with the truth. ``grid`` has the rows and columns of the feature maps."""
    places, cells, pixels = places_of(query, *grid), places_of(key, *grid), person_pixels(key)
    true = corresponding(places, pixels)
    verdicts, points = [], []
    for start, end in zip(matches.query @ (grid[1], 1), matches.key @ (grid[1], 1), strict=True):
        known = pixels.centre[true[start]]
        if not len(known):
            verdicts.append("unknown")
            points.append((np.nan, np.nan))
            continue
        distance = np.linalg.norm(known - cells.centre[end], axis=1) / key.height
        verdicts.append("right" if distance.min() <= NEAR + ROUNDING else "wrong")
        points.append(tuple(known[distance.argmin()] / key.part.shape))
    return JudgedMatches(np.array(verdicts, str), np.array(points, float).reshape(-1, 2))

"""Matches of which the truth is known: which of them are right, and where the others should be."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lba_cli.evaluation.strongest_matches import Matches, inner_positions
from lba_cli.evaluation.true_places import TruePlaces, corresponding
from lba_cli.visualize.canvas import RIGHT, WRONG

Where = Literal["person", "anywhere"]
NEAR = 0.10  # of the person's height: a match that is at most this far from a true position is right
COLOURS = {"right": RIGHT, "wrong": WRONG, "unknown": "#999999"}


class JudgedMatches(NamedTuple):
    """The verdict about M matches: ``right``, ``wrong`` or ``unknown`` if the point isn't seen in the other image.

    ``true`` (M, 2) has the row and column of the nearest true position, -1 where it is unknown.
    """

    verdict: NDArray[np.str_]
    true: NDArray[np.int64]

    @property
    def colours(self) -> list[str]:
        """The colour of each match."""
        return [COLOURS[str(each)] for each in self.verdict]

    @property
    def words(self) -> str:
        """The number of right matches as text."""
        right, known = int((self.verdict == "right").sum()), int((self.verdict != "unknown").sum())
        return f"{right} of {known} right (within {NEAR:.0%} of the height)"


def allowed_positions(features: Tensor, places: TruePlaces | None, where: Where) -> NDArray[np.bool_] | None:
    """Return the (HW,) positions of a query whose matches are drawn; None for all.

    ``person`` stands for the positions that show the person, if the truth is known, and otherwise for those that aren't at the
    image's rim, where features look alike in all images (the paper's figure has no such rule). ``anywhere`` stands for all.
    """
    if where == "anywhere":
        return None
    return places.on_person if places else inner_positions(features)


def judge(matches: Matches, query: TruePlaces, key: TruePlaces) -> JudgedMatches:
    """Compare matches between two images of a person with the truth."""
    columns = len(np.unique(key.centre[:, 1]))
    true = corresponding(query, key)
    verdicts, places = [], []
    for start, end in zip(matches.query @ (columns, 1), matches.key @ (columns, 1), strict=True):
        candidates = np.flatnonzero(true[start])
        if not len(candidates):
            verdicts.append("unknown")
            places.append((-1, -1))
            continue
        distance = np.linalg.norm(key.centre[candidates] - key.centre[end], axis=1) / key.height
        verdicts.append("right" if distance.min() <= NEAR else "wrong")
        places.append(divmod(int(candidates[distance.argmin()]), columns))
    return JudgedMatches(np.array(verdicts, str), np.array(places, np.int64).reshape(-1, 2))

"""Match rules: which gallery images a query ignores, and what its CMC counts."""

from dataclasses import dataclass
from typing import Literal

MatchRulesName = Literal["sysu", "regdb", "llcm", "plain"]


@dataclass(frozen=True)
class MatchRules:
    """The part of a data set's protocol that ranking needs.

    An ignored image is taken out of the query's ranked list: it is neither a match nor an error.
    If the cameras are unknown, nothing is ignored.

    Attributes:
        ignore_camera_pairs: pairs (query camera, gallery camera); a query from the first ignores all images from the second.
        ignore_same_identity_and_camera: whether a query ignores the images of its own identity from its own camera.
        cmc_counts: whether rank k of the CMC means the first k ``"images"`` of the ranked list, or its first k distinct
            ``"identities"``, each at the rank of its nearest image.
    """

    ignore_camera_pairs: tuple[tuple[int, int], ...] = ()
    ignore_same_identity_and_camera: bool = False
    cmc_counts: Literal["identities", "images"] = "images"


MATCH_RULES: dict[MatchRulesName, MatchRules] = {
    # SYSU-MM01's cameras 2 (visible) and 3 (infrared) look at the same room.
    "sysu": MatchRules(ignore_camera_pairs=((3, 2),), cmc_counts="identities"),
    "regdb": MatchRules(),
    "llcm": MatchRules(ignore_same_identity_and_camera=True, cmc_counts="identities"),
    "plain": MatchRules(ignore_same_identity_and_camera=True),
}


def match_rules(rules: MatchRulesName | MatchRules) -> MatchRules:
    """Return the match rules called ``rules``, or ``rules`` itself if it isn't a name. Raises ValueError for an unknown name."""
    if isinstance(rules, MatchRules):
        return rules
    if rules not in MATCH_RULES:
        raise ValueError(f"protocol must be one of {', '.join(MATCH_RULES)}, not {rules!r}")
    return MATCH_RULES[rules]

"""The score from which on two images count as one person, for a rate of false accepts.

``lba evaluate --verification --json FILE`` measures such thresholds, and ``lba export --data DIR --json FILE`` those of an exported
file. They hold for one model, one direction, and images like the ones that were scored.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lba_cli.errors import SearchError
from lba_cli.evaluation.verification import FAR_LEVELS, threshold_name
from lba_cli.files import read_text
from lba_cli.vocabulary import MODALITIES, Modality

HOW = "lba evaluate --verification --json FILE (of an exported file: lba export --data DIR --json FILE)"
LARGEST_SCORE = 1.01  # of two vectors of unit length, with rounding
# By the queries' modality and the rate of false accepts. The gallery has the other modality.
Thresholds = dict[Modality, dict[str, float]]


def read_thresholds(path: Path, model: str) -> Thresholds:
    """Read the thresholds of a model from the results of an evaluation.

    Args:
        path: a file that ``lba evaluate --verification --json`` or ``lba export --json`` wrote. The model's first result in each
            direction counts.
        model: the fingerprint of the model.

    Raises:
        SearchError: the file can't be read, holds no thresholds, or only those of other models.
    """
    results = _results(path)
    measured = [each for each in results if isinstance(each, dict) and isinstance(each.get("verification"), dict)]
    if not measured:
        raise SearchError(f"{path}: holds no thresholds; write it with {HOW}")
    if all(each["verification"].get("model") == "" for each in measured):
        raise SearchError(f"{path}: holds means over several models; measure the thresholds of a single one with {HOW}")
    own = [each for each in measured if each["verification"].get("model") == model]
    if not own:
        raise SearchError(
            f"{path}: holds the thresholds of another model or precision than the index's ({model:.12}); measure its own with {HOW}"
        )
    found: Thresholds = {}
    for each in own:
        for query, gallery in (MODALITIES, MODALITIES[::-1]):
            if each.get("direction") == f"{query}-to-{gallery}":
                found.setdefault(query, _levels(path, each["verification"]))
    return found


def threshold_for(thresholds: Thresholds, modality: Modality, far: float, where: str) -> float:
    """Return the score for a rate of false accepts.

    Args:
        thresholds: the known thresholds; ``where`` says where they come from, for messages.
        modality: the modality of the queries.
        far: the rate of false accepts.

    Raises:
        SearchError: the threshold isn't known.
    """
    if not 0 < far < 1:
        raise SearchError(f"--far should be more than 0 and less than 1, not {far:g}")
    if not thresholds:
        raise SearchError(
            f"{where}: no thresholds are known for --far: name a file with --thresholds, which {HOW} writes"
        )
    if modality not in thresholds:
        raise SearchError(
            f"{where}: its thresholds are for {' and '.join(thresholds)} queries, not for {modality} ones: measure them in that "
            "direction, too (lba evaluate --mode all)"
        )
    levels = thresholds[modality]
    for level, score in levels.items():
        if math.isclose(float(level), far, rel_tol=1e-9):
            return score
    known = ", ".join(levels) or "none"
    raise SearchError(
        f"{where}: no threshold for {modality} queries is known at --far {far:g} (known rates: {known}); a rate needs at least ten "
        "false accepts among the scored pairs"
    )


def _results(path: Path) -> list[Any]:
    if not path.is_file():
        raise SearchError(f"{path}: no such file; write it with {HOW}")
    try:
        content = json.loads(read_text(path))
        results = content["results"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
        raise SearchError(f"{path}: not the results of an evaluation; write them with {HOW}") from problem
    return results if isinstance(results, list) else []


def _levels(path: Path, figures: Mapping[str, Any]) -> dict[str, float]:
    mean = figures.get("mean")
    known = mean if isinstance(mean, dict) else {}
    found = {f"{far:g}": known[name] for far in FAR_LEVELS if (name := threshold_name(far)) in known}
    if not all(type(score) in (int, float) and abs(score) <= LARGEST_SCORE for score in found.values()):
        raise SearchError(f"{path}: damaged: its thresholds are not scores; write it again with {HOW}")
    return {level: float(score) for level, score in found.items()}

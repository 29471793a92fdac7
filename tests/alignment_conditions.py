"""The conditions of ``tests/alignment_experiment.py``, chosen before any of them was run.

Every condition but the first changes one thing about the first or about ``loose``. The two without the identity consistency were added
when ``tests/ablations.py`` had shown, on the same people, that leaving it out helps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ablations import settings


@dataclass(frozen=True)
class Condition:
    """What a comparison is made under.

    Attributes:
        question: what the comparison tells, written before it was run.
        preset: the synthetic people.
        size: height and width of the images.
        epochs: the number of epochs.
        warm_up: the number of epochs in which the trunk learns other people, at 96 × 48 pixels.
        full: settings of the method ``full`` only.
        seeds: the seeds of both methods.
    """

    question: str
    preset: str = "small"
    size: tuple[int, int] = (144, 72)
    epochs: int = 8
    warm_up: int = 20
    full: Sequence[str] = ()
    seeds: Sequence[int] = (0, 1, 2, 3, 4)

    def options(self, method: str, steps: int) -> list[str]:
        """Return the options of the runs of a method, with epochs of so many steps.

        The learning rate falls to a tenth after three quarters of the epochs. The network is evaluated after every quarter.
        """
        assignments = (
            *(f"data.height={self.size[0]}", f"data.width={self.size[1]}"),
            *(self.full if method == "full" else ()),
            *schedule(self.epochs, steps),
        )
        return ["--method", method, *settings(assignments)]

    def described(self) -> dict[str, Any]:
        """Return what is kept beside the runs; their options have the rest."""
        kept = ("question", "preset", "size", "warm_up")
        return {name: value for name, value in asdict(self).items() if name in kept}


def schedule(epochs: int, steps: int) -> tuple[str, ...]:
    """Return the settings of the epochs, each of so many steps."""
    milestone, often = max(1, 3 * epochs // 4), max(1, epochs // 4)
    lengths = (f"train.epochs={epochs}", f"train.steps_per_epoch={steps}", f"train.milestones=[{milestone}]")
    return *lengths, f"train.evaluate_every={often}"


FEWER = (0, 1, 2)
NO_CONSISTENCY = ("loss.identity_consistency=0",)
CONDITIONS: Mapping[str, Condition] = {
    "usual": Condition("Does full find more people than baseline, and match positions better?"),
    "loose": Condition(
        "Does it, if people stand anywhere in their images, the paper's case for alignment?", preset="loose"
    ),
    "longer": Condition("Does it, if both train twice as long?", epochs=16, seeds=FEWER),
    "young trunk": Condition("Does it, if the trunk is less mature?", warm_up=3, seeds=FEWER),
    "per position": Condition(
        "Does it, with the paper's equation of the dense triplet?",
        full=("alignment.weighting=per_position",),
        seeds=FEWER,
    ),
    "larger": Condition("Does it, with more positions?", size=(192, 96), seeds=FEWER),
    "heavy triplet": Condition(
        "Does it, with twice the weight of the dense triplet?", full=("loss.dense_triplet=1",), seeds=FEWER
    ),
    "light consistency": Condition(
        "Does it, with a third of the weight of the identity consistency?",
        full=("loss.identity_consistency=0.33",),
        seeds=FEWER,
    ),
    "no consistency": Condition("Does it, with the dense triplet alone?", full=NO_CONSISTENCY, seeds=FEWER),
    "loose, no consistency": Condition(
        "Does it, with the dense triplet alone, if people stand anywhere in their images?",
        preset="loose",
        full=NO_CONSISTENCY,
        seeds=FEWER,
    ),
}


def shares_baseline(name: str) -> str | None:
    """Return the condition whose baseline this one shares because it changes only ``full``; otherwise None."""
    condition = CONDITIONS[name]
    for other, owner in CONDITIONS.items():
        alike = replace(condition, question=owner.question, full=(), seeds=owner.seeds)
        if other != name and condition.full and alike == owner:
            return other
    return None

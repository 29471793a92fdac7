"""The table of methods: the loss terms that each one is made of, their weights, and the settings that it usually has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lba_cli.methods.loss_terms import (
    DENSE_TRIPLET,
    HARD_TRIPLET,
    IDENTITY,
    IDENTITY_CONSISTENCY,
    SQUARED_TRIPLET,
    WEIGHTED_TRIPLET,
    LossTerm,
)


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name, summary: the method's name on the command line and in configs, and a short description.
        default_weights: its loss terms and their weights, in the order in which the terms are computed.
        settings: the defaults of config keys that it changes, by dotted key: parts of the network, the retrieval feature, and
            the augmentation.

    Raises:
        ValueError: two terms have the same name.

    Example:
        >>> register(Method("identity-only", "identity alone", {IDENTITY: 1.0}))
    """

    name: str
    summary: str
    default_weights: Mapping[LossTerm, float]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [term.name for term in self.terms]
        if len(set(names)) < len(names):
            raise ValueError(f"the method '{self.name}' has two loss terms of the same name: {', '.join(names)}")

    @property
    def terms(self) -> tuple[LossTerm, ...]:
        """The loss terms, in the order in which they are computed."""
        return tuple(self.default_weights)

    def require_term(self, name: str) -> None:
        """Raise a ValueError that lists the method's loss terms if none of them is called ``name``."""
        names = [term.name for term in self.terms]
        if name not in names:
            raise ValueError(f"the method '{self.name}' has no loss term '{name}'; it has {', '.join(names)}")

    def weights(self, chosen: Mapping[str, float]) -> dict[str, float]:
        """Return the weight of every term by name: the chosen one, or else the default.

        Raises:
            ValueError: the method lacks a chosen term, a weight is negative, or all weights are 0.
        """
        weights = {term.name: weight for term, weight in self.default_weights.items()}
        for name, weight in chosen.items():
            self.require_term(name)
            if weight < 0:
                raise ValueError(f"the weight of the loss term '{name}' should be 0 or more, not {weight:g}")
            weights[name] = weight
        if not any(weights.values()):
            raise ValueError(f"every loss term of the method '{self.name}' has weight 0: there is nothing to minimise")
        return weights


AGW_SETTINGS = {"model.non_local": True, "model.retrieval_feature": "neck", "data.pad": 10}
CAJ_SETTINGS = {**AGW_SETTINGS, "data.erase": 0.5, "data.visible_views": 2, "data.channel_exchange": 1.0}
METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("baseline", "identity and hard triplet", {IDENTITY: 1.0, HARD_TRIPLET: 1.0}),
        Method(
            "full",
            "the paper's method, with dense cross-modal alignment",
            {IDENTITY_CONSISTENCY: 1.0, DENSE_TRIPLET: 0.5, IDENTITY: 1.0, HARD_TRIPLET: 1.0},
        ),
        Method("agw", "non-local blocks and weighted triplet", {IDENTITY: 1.0, WEIGHTED_TRIPLET: 1.0}, AGW_SETTINGS),
        Method(
            "caj",
            "agw's network, channel exchange in a second view, and squared triplet",
            {IDENTITY_CONSISTENCY: 0.0, DENSE_TRIPLET: 0.0, IDENTITY: 1.0, SQUARED_TRIPLET: 1.0},
            CAJ_SETTINGS,
        ),
    )
}


def register(method: Method) -> None:
    """Add a method to the table, so that commands and configs accept it; a method of the same name is replaced."""
    METHODS[method.name] = method


def get_method(name: str) -> Method:
    """Return the method called ``name``; raises a ValueError that lists all names if there is none."""
    if name not in METHODS:
        raise ValueError(f"there is no method '{name}'; valid: {', '.join(METHODS)}")
    return METHODS[name]

"""The table of methods: which loss terms each one is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lba_cli.methods.loss_terms import DENSE_TRIPLET, HARD_TRIPLET, IDENTITY, IDENTITY_CONSISTENCY, LossTerm


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name: the word for it on the command line and in configs.
        summary: what it is, in a few words.
        default_weights: its loss terms with their weights, in the order in which they are computed.
    """

    name: str
    summary: str
    default_weights: Mapping[LossTerm, float]

    @property
    def terms(self) -> tuple[LossTerm, ...]:
        """Its loss terms, in the order in which they are computed."""
        return tuple(self.default_weights)

    def weights(self, chosen: Mapping[str, float]) -> dict[str, float]:
        """The weight of every term: the chosen one, or the method's own.

        Raises:
            ValueError: the method has no such term, or all weights are 0.
        """
        own = {term.name: weight for term, weight in self.default_weights.items()}
        if unknown := chosen.keys() - own.keys():
            raise ValueError(f"the method '{self.name}' has no loss term '{min(unknown)}'; it has {', '.join(own)}")
        weights = own | dict(chosen)
        if not any(weights.values()):
            raise ValueError(f"every loss term of the method '{self.name}' has weight 0: there is nothing to minimise")
        return weights


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("baseline", "identity and hard triplet", {IDENTITY: 1.0, HARD_TRIPLET: 1.0}),
        Method(
            "full",
            "the paper's method, with dense cross-modal alignment",
            {IDENTITY_CONSISTENCY: 1.0, DENSE_TRIPLET: 0.5, IDENTITY: 1.0, HARD_TRIPLET: 1.0},
        ),
    )
}


def register(method: Method) -> None:
    """Make a method known to commands and configs, under its name; a method of the same name is replaced."""
    METHODS[method.name] = method


def get_method(name: str) -> Method:
    """The method called ``name``.

    Raises:
        ValueError: there is none.
    """
    if name not in METHODS:
        raise ValueError(f"there is no method '{name}'; valid: {', '.join(METHODS)}")
    return METHODS[name]


def term_names() -> list[str]:
    """The loss terms of all methods, each once."""
    return list(dict.fromkeys(term.name for method in METHODS.values() for term in method.terms))

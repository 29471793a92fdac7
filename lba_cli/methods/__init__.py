"""Training methods, as rows of a table of loss terms. ``docs/extending.md`` shows how to add a term or a method."""

from lba_cli.methods.loss_terms import ForwardPass, LossOptions, LossTerm
from lba_cli.methods.objective import Objective
from lba_cli.methods.table import METHODS, Method, get_method, register, term_names
from lba_cli.methods.triplets import hard_triplet

__all__ = [
    "METHODS",
    "ForwardPass",
    "LossOptions",
    "LossTerm",
    "Method",
    "Objective",
    "get_method",
    "hard_triplet",
    "register",
    "term_names",
]

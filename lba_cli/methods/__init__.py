"""Training methods: rows of a table, each made of loss terms and settings. ``docs/extending.md`` shows how to add a term and a method."""

from lba_cli.methods.loss_terms import (
    DENSE_TRIPLET,
    HARD_TRIPLET,
    IDENTITY,
    IDENTITY_CONSISTENCY,
    SQUARED_TRIPLET,
    WEIGHTED_TRIPLET,
    ForwardPass,
    LossOptions,
    LossTerm,
)
from lba_cli.methods.objective import Objective, ObjectiveValues
from lba_cli.methods.table import METHODS, Method, get_method, register
from lba_cli.methods.triplets import hard_triplet, squared_triplet, weighted_triplet

__all__ = [
    "DENSE_TRIPLET",
    "HARD_TRIPLET",
    "IDENTITY",
    "IDENTITY_CONSISTENCY",
    "METHODS",
    "SQUARED_TRIPLET",
    "WEIGHTED_TRIPLET",
    "ForwardPass",
    "LossOptions",
    "LossTerm",
    "Method",
    "Objective",
    "ObjectiveValues",
    "get_method",
    "hard_triplet",
    "register",
    "squared_triplet",
    "weighted_triplet",
]

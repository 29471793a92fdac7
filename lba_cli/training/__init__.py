"""Training: the objective, the learning rate, the loop, and the state that a run saves."""

from lba_cli.methods import Objective, hard_triplet
from lba_cli.training.schedule import parameter_groups

__all__ = ["Objective", "hard_triplet", "parameter_groups"]

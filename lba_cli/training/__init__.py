"""Training: the loop, the learning rate, runs in several processes, and the folder and the state of a run."""

from lba_cli.methods import Objective, hard_triplet
from lba_cli.training.schedule import parameter_groups

__all__ = ["Objective", "hard_triplet", "parameter_groups"]

"""Training: what is minimised, how the learning rate goes, the loop, and the state that a run keeps."""

from lba_cli.training.objective import Objective
from lba_cli.training.schedule import parameter_groups
from lba_cli.training.triplet import hard_triplet

__all__ = ["Objective", "hard_triplet", "parameter_groups"]

"""Everything random, from the seed of a run.

Each purpose has a stream of its own, addressed by numbers (the epoch, the step), so that any step can be drawn again
without drawing those before it: nothing depends on the number of workers, and resuming needs no saved generator.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """What a stream of random numbers is for. The numbers are part of what a seed means: never reuse one."""

    BATCHES = 1
    AUGMENTATION = 2
    PAIRS = 3


def numpy_generator(seed: int, stream: Stream, *address: int) -> np.random.Generator:
    """The NumPy generator of ``stream`` at ``address``."""
    return np.random.default_rng([seed, stream, *address])


def torch_generator(seed: int, stream: Stream, *address: int) -> torch.Generator:
    """The PyTorch generator (CPU) of ``stream`` at ``address``."""
    state = np.random.SeedSequence([seed, stream, *address]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]) >> 1)

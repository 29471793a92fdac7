"""Random generators that depend only on a run's seed, a purpose, and a position (the epoch and the step).

Each purpose has a stream of its own, and each position in a stream has a generator of its own. Any step can therefore be
drawn again without drawing the steps before it. Results don't depend on the number of workers, and the state of a generator
never has to be saved to resume a run.
"""

from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """The purposes of random numbers. Results depend on the seed and on these values: never change or reuse a value."""

    BATCHES = 1
    AUGMENTATION = 2
    PAIRS = 3


def numpy_generator(seed: int, stream: Stream, *position: int) -> np.random.Generator:
    """Return a NumPy generator for ``position`` in ``stream``, such as (epoch, step)."""
    return np.random.default_rng([seed, stream, *position])


def torch_generator(seed: int, stream: Stream, *position: int) -> torch.Generator:
    """Return a PyTorch generator on the CPU for ``position`` in ``stream``, such as (epoch, step)."""
    state = np.random.SeedSequence([seed, stream, *position]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]) >> 1)

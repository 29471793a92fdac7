"""Activation checkpointing: a stage keeps only its input, and its activations are recomputed in the backward pass.

This saves memory. The results are bit-identical. The recomputation must not update the running statistics of batch
normalisation.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(stage: nn.Module, x: Tensor) -> Tensor:
    """Apply ``stage``, which draws no random numbers, to ``x``; its activations are computed again in the backward pass."""

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _copied_statistics(stage)

    result: Tensor = checkpoint(stage, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    return result


@contextmanager
def _copied_statistics(stage: nn.Module) -> Iterator[None]:
    """Let batch normalisation update copies of its running statistics within the block.

    PyTorch checks that both computations save the same tensors, so the updates of statistics can't just be switched off.
    """
    kept = [(module, dict(module.named_buffers())) for module in stage.modules() if isinstance(module, _BatchNorm)]
    for norm, buffers in kept:
        for name, value in buffers.items():
            setattr(norm, name, value.clone())
    try:
        yield
    finally:
        for norm, buffers in kept:
            for name, value in buffers.items():
                setattr(norm, name, value)

"""Activation checkpointing: a stage keeps only its input, and its activations are recomputed in the backward pass.

This saves memory. The results are bit-identical. The recomputation must not update the running statistics of batch
normalisation.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(stage: Callable[[Tensor], Tensor], x: Tensor, modules: Sequence[nn.Module]) -> Tensor:
    """Apply ``stage`` to ``x``; its activations are computed again in the backward pass.

    ``modules`` are those that the stage applies. They draw no random numbers.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _copied_statistics(modules)

    result: Tensor = checkpoint(stage, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    return result


@contextmanager
def _copied_statistics(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Let batch normalisation update copies of its running statistics within the block.

    PyTorch checks that both computations save the same tensors, so the updates of statistics can't just be switched off.
    """
    inner = [module for each in modules for module in each.modules()]
    kept = [(module, dict(module.named_buffers())) for module in inner if isinstance(module, _BatchNorm)]
    for norm, buffers in kept:
        for name, value in buffers.items():
            setattr(norm, name, value.clone())
    try:
        yield
    finally:
        for norm, buffers in kept:
            for name, value in buffers.items():
                setattr(norm, name, value)

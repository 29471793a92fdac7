"""A network that only embeds: every normalisation merged into the convolution before it."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """A copy in eval mode whose batch normalisations are part of the convolutions that they follow; in channels-last memory.

    The same function in fewer passes over memory: in float32 its results differ by rounding alone (1e-6 of their size).
    ``network`` is left as it is; what it has beside convolutions followed by normalisations, such as the neck, is copied.
    """
    result = copy.deepcopy(network).eval()
    for module in list(result.modules()):
        for (name, child), (after, follower) in pairwise(list(module.named_children())):
            if isinstance(child, nn.Conv2d) and isinstance(follower, _BatchNorm):
                setattr(module, name, fuse_conv_bn_eval(child, follower))
                setattr(module, after, nn.Identity())
    result.to(memory_format=torch.channels_last)
    return result

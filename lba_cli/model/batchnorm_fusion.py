"""Faster inference: merge batch normalisations into convolutions, and process a few images at a time on a CPU."""

import copy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import fuse_conv_bn_eval

from lba_cli.model.network import TwoStreamNetwork
from lba_cli.model.pooling import in_pieces
from lba_cli.vocabulary import Modality

Network = TypeVar("Network", bound=nn.Module)
CPU_IMAGES = 8  # at a time; on two cores this takes a sixth less time than 128 at a time


def folded(network: Network) -> Network:
    """Copy a network for inference, with batch normalisation layers folded into the convolutions before them.

    The copy makes fewer passes over memory. In float32 its results differ only by rounding (a relative error of about 1e-6).
    It is in eval mode and uses the channels-last memory format.
    """
    result = copy.deepcopy(network).eval()
    for module in list(result.modules()):
        for (name, child), (after, follower) in pairwise(list(module.named_children())):
            if isinstance(child, nn.Conv2d) and isinstance(follower, _BatchNorm):
                setattr(module, name, fuse_conv_bn_eval(child, follower))
                setattr(module, after, nn.Identity())
    result.to(memory_format=torch.channels_last)
    return result


def pooled(network: TwoStreamNetwork, images: Tensor, modality: Modality) -> Tensor:
    """Compute :meth:`TwoStreamNetwork.pooled` for (N, 3, H, W) images; on a CPU, process a few images at a time."""
    return torch.cat([network.pooled(piece, modality) for piece in in_pieces(images, CPU_IMAGES)])

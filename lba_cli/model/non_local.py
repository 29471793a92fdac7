"""Non-local blocks, by which every position of a feature map sees all others (Wang et al., CVPR 2018; AGW, Ye et al., 2021)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet

# How many residual blocks at the end of each stage are followed by a non-local block; fewer if the stage has fewer.
BLOCKS: Mapping[str, int] = {"layer2": 2, "layer3": 3}
# The names in the released layout.
FOREIGN_PARTS: Mapping[str, str] = {"g": "g.0", "theta": "theta", "phi": "phi", "expand": "W.0", "norm": "W.1"}


class NonLocal(nn.Module):
    """A non-local block: x + BN(W y), where y at each position p is the mean over positions q of θ(p) · φ(q) · g(q).

    g, θ and φ are 1×1 convolutions to **one** channel: AGW's release divides a number by itself where half of the channels were
    meant, and the published figures and weights come from that. A new block is the identity, because the normalisation's
    weight and bias start at 0.

    Args:
        channels: C, the number of channels of the maps.

    Example:
        >>> NonLocal(512)(torch.rand(4, 512, 36, 18)).shape
        torch.Size([4, 512, 36, 18])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(channels, 1, kernel_size=1) for _ in range(3))
        self.expand = nn.Conv2d(1, channels, kernel_size=1)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)
        nn.init.zeros_(self.norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to (N, C, H, W) maps; the result has the same shape."""
        # One convolution reads the maps once instead of three times.
        weights, biases = zip(*(part.parameters() for part in (self.g, self.theta, self.phi)), strict=True)
        g, theta, phi = torch.split(F.conv2d(x, torch.cat(weights), torch.cat(biases)), 1, dim=1)  # (N, 1, H, W) each
        # With one channel, (θᵀφ) · gᵀ is θ · (φ · g), which needs no HW × HW matrix.
        y = theta * (phi * g).mean(dim=(2, 3), keepdim=True)
        result: Tensor = x + self.norm(self.expand(y))
        return result

    def foreign_names(self) -> dict[str, str]:
        """Return the name of each tensor in the released layout, by its own name: ``g.weight`` is called ``g.0.weight``."""
        parts = {name: name.split(".", 1) for name in self.state_dict()}
        return {name: f"{FOREIGN_PARTS[part]}.{rest}" for name, (part, rest) in parts.items()}


def non_local_blocks(trunk: nn.ModuleDict) -> nn.ModuleDict:
    """Make the non-local blocks of a ResNet's stages: a list for each stage of ``BLOCKS``, in the order of its last blocks."""
    blocks = {}
    for stage, most in BLOCKS.items():
        residual = list(trunk[stage].children())[-most:]
        blocks[stage] = nn.ModuleList(NonLocal(output_channels(block)) for block in residual)
    return nn.ModuleDict(blocks)


def output_channels(block: nn.Module) -> int:
    """Return the number of channels that a residual block of torchvision computes."""
    last = block.conv3 if isinstance(block, resnet.Bottleneck) else block.conv2
    channels: int = last.out_channels  # type: ignore[union-attr,assignment]
    return channels

"""AGW's network and losses, and CAJ's, in the plain way: (HW × HW) matrices in the non-local blocks, one mask after the other."""

import torch
from torch import nn
from torch.nn import functional as F

from .network import PlainNetwork, pool

LARGEST_EXPONENT = 88.0


class PlainBlock(nn.Module):
    """A non-local block with an inner width of one channel, with the weights of ``ours``."""

    def __init__(self, ours):
        super().__init__()
        channels = ours.expand.out_channels
        self.g, self.theta, self.phi = (nn.Conv2d(channels, 1, 1) for _ in range(3))
        self.W = nn.Sequential(nn.Conv2d(1, channels, 1), nn.BatchNorm2d(channels))
        for part in ("g", "theta", "phi"):
            getattr(self, part).load_state_dict(getattr(ours, part).state_dict())
        self.W[0].load_state_dict(ours.expand.state_dict())
        self.W[1].load_state_dict(ours.norm.state_dict())

    def forward(self, x):
        number, _, height, width = x.shape
        g, theta = (part(x).view(number, 1, -1).permute(0, 2, 1) for part in (self.g, self.theta))
        f = torch.matmul(theta, self.phi(x).view(number, 1, -1))
        y = torch.matmul(f / f.size(-1), g).permute(0, 2, 1).contiguous().view(number, 1, height, width)
        return self.W(y) + x


class PlainAGW(PlainNetwork):
    """A plain network with non-local blocks after the last residual blocks of layer2 and layer3."""

    def __init__(self, ours):
        super().__init__(ours)
        self.blocks = nn.ModuleDict(
            {stage: nn.ModuleList(map(PlainBlock, blocks)) for stage, blocks in ours.non_local.items()}
        )

    def maps(self, features):
        """Return the maps of layer3 and of layer4."""
        x = self.base.layer1(features)
        for stage in ("layer2", "layer3"):
            residual, blocks = getattr(self.base, stage), self.blocks[stage]
            for number, each in enumerate(residual):
                x = each(x)
                if (place := number - len(residual) + len(blocks)) >= 0:
                    x = blocks[place](x)
        return x, self.base.layer4(x)


def losses(network, visible, infrared, labels, triplet):
    """Identity loss and a triplet on pooled features; ``visible`` may hold several views, one after the other."""
    labels = labels.repeat(len(visible) // len(labels) + 1)
    _, layer4 = network.maps(torch.cat([network.stem(visible, "visible"), network.stem(infrared, "infrared")]))
    pooled = pool(layer4)
    identity = F.cross_entropy(network.classifier(network.neck(pooled)), labels)
    found = {"identity": identity, triplet.__name__: triplet(pooled, labels)}
    return {**found, "total": sum(found.values())}


def weighted_triplet(features, labels):
    """AGW's weighted regularisation triplet."""
    positive, negative = _weighted(features, labels)
    return F.soft_margin_loss(negative - positive, torch.ones_like(positive))


def squared_triplet(features, labels):
    """CAJ's squared triplet."""
    positive, negative = _weighted(features, labels)
    squared = torch.pow(positive - negative, 2).clamp(max=LARGEST_EXPONENT)
    sign = torch.where(positive > negative, -1.0, 1.0)
    return F.soft_margin_loss(squared, sign.to(squared.dtype))


def _weighted(features, labels):
    number = len(features)
    squares = torch.pow(features, 2).sum(dim=1, keepdim=True).expand(number, number)
    distance = (squares + squares.t() - 2 * features @ features.t()).clamp(min=1e-12).sqrt()
    same = labels.expand(number, number).eq(labels.expand(number, number).t()).to(distance.dtype)
    near, far = distance * same, distance * (1 - same)
    return (near * _softmax(near, same)).sum(dim=1), (far * _softmax(-far, 1 - same)).sum(dim=1)


def _softmax(scores, mask):
    shifted = torch.exp(scores - scores.max(dim=1, keepdim=True)[0]) * mask
    return shifted / (shifted.sum(dim=1, keepdim=True) + 1e-6)

"""The losses of a step: an alignment with the positives, another with the negatives, and a loop over the anchors."""

import torch
from torch.nn import functional as F

from .network import pool

MARGIN = 0.3


def losses(network, visible, infrared, labels, pairs):
    """All the losses of the full method; ``pairs`` for layer3 and for layer4."""
    labels = torch.cat([labels, labels])
    layer3, layer4 = network.maps(torch.cat([network.stem(visible, "visible"), network.stem(infrared, "infrared")]))
    rebuilt3, dense3 = _aligned(layer3, pairs[0])
    rebuilt4, dense4 = _aligned(layer4, pairs[1])
    from3 = network.base.layer4(rebuilt3)
    found = {
        f"identity_consistency_{name}": F.cross_entropy(network.classifier(network.neck(pool(maps))), labels)
        for name, maps in (("stage3", from3), ("stage4", rebuilt4))
    }
    pooled = pool(layer4)
    found["identity"] = F.cross_entropy(network.classifier(network.neck(pooled)), labels)
    found["hard_triplet"] = _hard_triplet(pooled, labels)
    found["dense_triplet"] = dense3 + dense4
    found["total"] = sum(loss * (0.5 if name == "dense_triplet" else 1) for name, loss in found.items())
    return found


def _aligned(features, pairs):
    mask = _scaled(torch.norm(features.detach(), p=2, dim=1, keepdim=True))
    positive, probability = _rebuilt(features, mask, pairs.positive)
    negative, _ = _rebuilt(features, mask, pairs.negative)
    number, _, height, width = features.shape
    seen = torch.matmul(probability.detach(), mask[pairs.positive].view(number, -1, 1))
    attention = _scaled(mask * seen.view(number, 1, height, width))
    distances = [torch.norm(features - other + 1e-6, p=2, dim=1) for other in (positive, negative)]
    triplet = torch.relu(distances[0] - distances[1] + MARGIN)
    return positive, (attention * triplet).mean()  # (N, 1, H, W) * (N, H, W): each image's with every other's


def _rebuilt(features, mask, partner):
    number, channels, height, width = features.shape
    query = F.normalize(features, dim=1).view(number, channels, -1)
    key = F.normalize(features[partner], dim=1).view(number, channels, -1)
    probability = F.softmax(50 * torch.matmul(query.transpose(1, 2), key), dim=2)
    values = features[partner].view(number, channels, -1)
    warped = torch.matmul(values, probability.transpose(1, 2)).view(number, channels, height, width)
    return mask * warped + (1 - mask) * features, probability


def _scaled(maps):
    shifted = maps - maps.flatten(1).min(dim=1).values.view(-1, 1, 1, 1)
    return shifted / (shifted.flatten(1).max(dim=1).values.view(-1, 1, 1, 1) + 1e-12)


def _hard_triplet(features, labels):
    number = len(features)
    squares = torch.pow(features, 2).sum(dim=1, keepdim=True).expand(number, number)
    distance = (squares + squares.t() - 2 * features @ features.t()).clamp(min=1e-12).sqrt()
    same = labels.expand(number, number).eq(labels.expand(number, number).t())
    positive, negative = [], []
    for anchor in range(number):
        positive.append(distance[anchor][same[anchor]].max().unsqueeze(0))
        negative.append(distance[anchor][same[anchor] == 0].min().unsqueeze(0))
    positive, negative = torch.cat(positive), torch.cat(negative)
    return F.margin_ranking_loss(negative, positive, torch.ones_like(negative), margin=MARGIN)

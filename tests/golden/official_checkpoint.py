#!/usr/bin/env python3
"""Write a checkpoint in the layout of the officially released weights, with made-up deterministic values.

Usage: official_checkpoint.py OUT.t [SALT]

Layout: a pickle of {'net': state dict, 'cmc': float32 array, 'mAP': float64 scalar, 'mINP': float64 scalar,
'epoch': int}. The state dict holds three whole ResNet-50s without their `fc` (of the two modality-specific ones
only the stem is used), a BatchNorm1d neck and a bias-free linear classifier:
  visible_module.visible.*   thermal_module.thermal.*   base_resnet.base.*   bottleneck.*   classifier.weight
Every value depends on the key's name and SALT alone, so anyone can make the same file again.
"""

import sys
import zlib
from collections import OrderedDict

import numpy as np
import torch

CLASSES = 395
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


def resnet50_shapes():
    """Yield (name, shape) for a ResNet-50 without its classification layer, in torchvision's naming."""

    def norm(name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"{name}.{part}", (channels,)
        yield f"{name}.num_batches_tracked", ()

    yield "conv1.weight", (64, 3, 7, 7)
    yield from norm("bn1", 64)
    inputs = 64
    for stage, (width, blocks) in enumerate(STAGES, start=1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            yield f"{name}.conv1.weight", (width, inputs, 1, 1)
            yield from norm(f"{name}.bn1", width)
            yield f"{name}.conv2.weight", (width, width, 3, 3)
            yield from norm(f"{name}.bn2", width)
            yield f"{name}.conv3.weight", (4 * width, width, 1, 1)
            yield from norm(f"{name}.bn3", 4 * width)
            if block == 0:
                yield f"{name}.downsample.0.weight", (4 * width, inputs, 1, 1)
                yield from norm(f"{name}.downsample.1", 4 * width)
            inputs = 4 * width


def value(key, shape, salt):
    """A deterministic tensor for one key: well-scaled, so that activations stay finite through 50 layers."""
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    noise = np.random.default_rng(zlib.crc32(f"{salt}:{key}".encode())).standard_normal(shape, dtype=np.float32)
    if len(shape) == 4:
        noise *= np.sqrt(2.0 / (shape[1] * shape[2] * shape[3]))
    elif key == "classifier.weight":
        noise *= 0.01
    elif key.endswith("running_var"):
        noise = 1.0 + 0.1 * np.abs(noise)
    elif key.endswith("weight"):
        noise = 1.0 + 0.1 * noise
    else:
        noise = 0.1 * noise
    if key.endswith("bn3.weight"):
        noise = 0.2 * noise
    return torch.from_numpy(np.ascontiguousarray(noise, dtype=np.float32))


def state_dict(salt="golden"):
    net = OrderedDict()
    for prefix in ("thermal_module.thermal", "visible_module.visible", "base_resnet.base"):
        for name, shape in resnet50_shapes():
            key = f"{prefix}.{name}"
            net[key] = value(key, shape, salt)
    for part in ("weight", "bias", "running_mean", "running_var"):
        net[f"bottleneck.{part}"] = value(f"bottleneck.{part}", (2048,), salt)
    net["bottleneck.bias"] = torch.zeros(2048)
    net["bottleneck.num_batches_tracked"] = torch.tensor(0)
    net["classifier.weight"] = value("classifier.weight", (CLASSES, 2048), salt)
    return net


if __name__ == "__main__":
    out = sys.argv[1]
    salt = sys.argv[2] if len(sys.argv) > 2 else "golden"
    torch.save(
        {
            "net": state_dict(salt),
            "cmc": np.linspace(0.5, 0.99, 20, dtype=np.float32),
            "mAP": np.float64(0.5522),
            "mINP": np.float64(0.4),
            "epoch": 80,
        },
        out,
    )

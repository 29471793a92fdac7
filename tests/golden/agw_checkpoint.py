#!/usr/bin/env python3
"""Write a checkpoint in the layout of AGW and CAJ (Ye et al.), with made-up deterministic values.

Usage: agw_checkpoint.py OUT.t [SALT]

As official_checkpoint.py, and between neck and trunk five non-local blocks: `NL_2.0`, `NL_2.1` after the last two blocks of
layer2, `NL_3.0` … `NL_3.2` after the last three of layer3. Each has `g.0`, `theta`, `phi` (1×1 convolutions with a bias to ONE
channel), `W.0` (1×1 back) and `W.1` (batch normalisation).
"""

import sys

import numpy as np
import torch
from official_checkpoint import state_dict as plain_state_dict
from official_checkpoint import value

BLOCKS = ((2, 512, 2), (3, 1024, 3))  # stage, channels, how many


def shapes():
    for stage, channels, count in BLOCKS:
        for number in range(count):
            name = f"NL_{stage}.{number}"
            for part in ("g.0", "theta", "phi"):
                yield f"{name}.{part}.weight", (1, channels, 1, 1)
                yield f"{name}.{part}.bias", (1,)
            yield f"{name}.W.0.weight", (channels, 1, 1, 1)
            yield f"{name}.W.0.bias", (channels,)
            for part in ("weight", "bias", "running_mean", "running_var"):
                yield f"{name}.W.1.{part}", (channels,)
            yield f"{name}.W.1.num_batches_tracked", ()


def state_dict(salt="golden"):
    net = plain_state_dict(salt)
    for key, shape in shapes():
        net[key] = value(key, shape, salt)
        if key.endswith("W.1.weight"):
            net[key] = net[key] * 0.003  # a random block is cubic in its input
        elif key.endswith("bias") and ".W.1" not in key:
            net[key] = net[key] * 0.5
    return net


if __name__ == "__main__":
    out = sys.argv[1]
    salt = sys.argv[2] if len(sys.argv) > 2 else "golden"
    torch.save(
        {
            "net": state_dict(salt),
            "cmc": np.linspace(0.4, 0.99, 20),
            "mAP": np.float64(0.4765),
            "mINP": np.float64(0.353),
            "epoch": 60,
        },
        out,
    )

"""Other ways of computing the same feature maps in float32 on a CPU: ``python tests/benchmarks/embedding_variants.py``.

Each way computes the layer4 maps of 4 images of 288 × 144 with a ResNet-50. The ways take turns.
"""

from __future__ import annotations

import copy
import time
from statistics import median

import torch
import torch._inductor.config
import torch.utils.mkldnn
from torch import nn

from lba_cli.model import TwoStreamNetwork
from lba_cli.model.batchnorm_fusion import folded

ROUNDS = 8


def trunk():
    """The visible stem and the trunk, as evaluation uses them: channels last, batch normalisations folded into convolutions."""
    network = folded(TwoStreamNetwork("resnet50", 395).eval())
    return nn.Sequential(network.stems["visible"], *network.trunk.values()).eval()


def ways(images):
    """Return functions without arguments by name, and how often the images fit into what each computes."""
    ours = trunk()
    plain = copy.deepcopy(ours).to(memory_format=torch.contiguous_format)
    script = torch.jit.optimize_for_inference(torch.jit.trace(copy.deepcopy(ours), images))
    blocked = torch.utils.mkldnn.to_mkldnn(copy.deepcopy(ours))
    torch._inductor.config.freezing = True
    compiled = torch.compile(copy.deepcopy(ours))
    twice = torch.cat([images, images])
    return {
        "as evaluation does it": (lambda: ours(images), 1),
        "chunks of 8 images": (lambda: ours(twice), 2),
        "NCHW": (lambda: plain(images), 1),
        "TorchScript, optimize_for_inference": (lambda: script(images), 1),
        "oneDNN's own layout": (lambda: blocked(images.to_mkldnn()).to_dense(), 1),
        "torch.compile, frozen weights": (lambda: compiled(images), 1),
    }


@torch.no_grad()
def main():
    torch.manual_seed(0)
    compared = ways(torch.randn(4, 3, 288, 144))
    seconds = {name: [] for name in compared}
    for number in range(-3, ROUNDS):
        for name, (way, share) in compared.items():
            started = time.perf_counter()
            way()
            if number >= 0:
                seconds[name].append((time.perf_counter() - started) / share)
    first = next(iter(seconds.values()))
    for name, taken in seconds.items():
        ratio = median(one / other for one, other in zip(first, taken, strict=True))
        print(f"{name:36} {1e3 * median(taken):.0f} ms, {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()

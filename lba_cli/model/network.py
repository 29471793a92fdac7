"""The network: a stem for each modality, a shared trunk, a neck and a classifier (paper, section 3.1).

From (N, 3, 288, 144) images, layer3 of a ResNet-50 computes (N, 1024, 18, 9) maps, and layer4 (N, 2048, 18, 9), because it
keeps its input's resolution.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet

from lba_cli.model.non_local import non_local_blocks
from lba_cli.model.pooling import generalized_mean_pool
from lba_cli.model.recomputation import recomputed
from lba_cli.value_range import FULL, ValueRange
from lba_cli.vocabulary import BACKBONES, FeaturePlace, Modality

IMAGE_SIZE = (288, 144)  # height and width in the paper


class StageMaps(NamedTuple):
    """The feature maps of the two stages that are aligned."""

    layer3: Tensor  # (N, C3, H, W)
    layer4: Tensor  # (N, C4, H, W)


class TwoStreamNetwork(nn.Module):
    """A ResNet with a stem (conv1 to maxpool) for each modality, followed by a neck and a classifier.

    The trunk (layer1 to layer4) is shared. The neck is a batch normalisation whose bias stays 0. Weights are random;
    :func:`lba_cli.model.initial_weights.build_network` loads pretrained ones. The networks of AGW and CAJ also have non-local
    blocks in layer2 and layer3 (:mod:`lba_cli.model.non_local`), and retrieve by the feature after the neck.

    Args:
        backbone: the name of a torchvision ResNet.
        num_classes: the number of identities that the classifier tells apart.
        image_size: height and width of the input images, in pixels; image files are resized to it.
        non_local: whether there are non-local blocks.
        retrieval: the retrieval feature: ``pooled``, the pooled feature before the neck, or the one after the ``neck``.

    Attributes:
        embedding_size: D, the length of an embedding.
        value_range: how the network's images of more than 8 bits are read from files, see :mod:`lba_cli.value_range`.
        checkpoint_activations: whether the trunk's stages are computed twice in training, to save memory
            (:mod:`lba_cli.model.recomputation`).

    Raises:
        ValueError: ``backbone`` isn't a torchvision ResNet.
    """

    def __init__(
        self,
        backbone: str = "resnet50",
        num_classes: int = 395,
        image_size: tuple[int, int] = IMAGE_SIZE,
        *,
        non_local: bool = False,
        retrieval: FeaturePlace = "pooled",
    ) -> None:
        super().__init__()
        self.checkpoint_activations = False
        if backbone not in BACKBONES:
            raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, not {backbone!r}")
        self.backbone, self.num_classes, self.image_size = backbone, num_classes, image_size
        base: resnet.ResNet = getattr(resnet, backbone)(weights=None)
        twin: resnet.ResNet = getattr(resnet, backbone)(weights=None)
        self.stems = nn.ModuleDict({"visible": _stem(base), "infrared": _stem(twin)})
        self.trunk = nn.ModuleDict({name: getattr(base, name) for name in ("layer1", "layer2", "layer3", "layer4")})
        _keep_resolution(base.layer4)
        self.value_range: ValueRange = FULL
        self.embedding_size: int = base.fc.in_features
        self.neck = nn.BatchNorm1d(self.embedding_size)
        self.classifier = nn.Linear(self.embedding_size, num_classes, bias=False)
        nn.init.normal_(self.neck.weight, 1.0, 0.01)
        nn.init.zeros_(self.neck.bias)
        self.neck.bias.requires_grad_(False)
        nn.init.normal_(self.classifier.weight, 0.0, 0.001)
        self.retrieval: FeaturePlace = retrieval
        # They are made last, so that the same seed gives a network without them the same weights.
        self.non_local = non_local_blocks(self.trunk) if non_local else nn.ModuleDict()

    def forward(self, visible: Tensor, infrared: Tensor) -> StageMaps:
        """Compute the feature maps of (n, 3, H, W) visible and (m, 3, H, W) infrared images, visible ones first."""
        return self._trunk_maps(torch.cat([self.stems["visible"](visible), self.stems["infrared"](infrared)]))

    def maps(self, images: Tensor, modality: Modality) -> StageMaps:
        """Compute the feature maps of (N, 3, H, W) normalised images of one modality."""
        return self._trunk_maps(self.stems[modality](images))

    def embed(self, images: Tensor, modality: Modality) -> Tensor:
        """Embed images for retrieval: the retrieval feature at unit length, which the paper takes before the neck (section 4.1).

        Put the network in eval mode first.

        Args:
            images: (N, 3, H, W), normalised with ImageNet's mean and standard deviation. Infrared images have three equal
                channels.
            modality: the modality of all images, which chooses the stem.

        Returns:
            (N, D) float32, whose dot products are the retrieval scores.
        """
        return self.unit_feature(self.pooled(images, modality))

    def pooled(self, images: Tensor, modality: Modality) -> Tensor:
        """Compute (N, D) pooled layer4 features, before the neck and not normalised; arguments as for :meth:`embed`."""
        return generalized_mean_pool(self.maps(images, modality).layer4)

    def embed_mixed(self, images: Tensor, infrared: Tensor) -> Tensor:
        """Embed images of both modalities as :meth:`embed` does; ``infrared``, (N,) bool, chooses each image's stem.

        Every image goes through both stems, so that the computation doesn't depend on the values of ``infrared``.
        """
        chosen = infrared.view(-1, 1, 1, 1)
        x = torch.where(chosen, self.stems["infrared"](images), self.stems["visible"](images))
        return self.unit_feature(generalized_mean_pool(self._trunk_maps(x).layer4))

    def unit_feature(self, pooled: Tensor, place: FeaturePlace | None = None) -> Tensor:
        """Compute features of unit length from (N, D) pooled ones: the retrieval feature, or that of another ``place``."""
        if (place or self.retrieval) == "neck":
            pooled = self.neck(pooled.to(self.neck.weight.dtype)).to(pooled.dtype)  # networks may be in half precision
        return F.normalize(pooled, dim=1)

    def layer4(self, layer3: Tensor) -> Tensor:
        """Apply the last stage: (N, C3, H, W) → (N, C4, H, W)."""
        return self._stage("layer4", layer3)

    def classify(self, pooled: Tensor) -> Tensor:
        """Apply neck and classifier: (N, D) pooled features → (N, num_classes) logits."""
        result: Tensor = self.classifier(self.neck(pooled))
        return result

    def _trunk_maps(self, x: Tensor) -> StageMaps:
        for name in ("layer1", "layer2", "layer3"):
            x = self._stage(name, x)
        return StageMaps(x, self.layer4(x))

    def _stage(self, name: str, x: Tensor) -> Tensor:
        stage = self.trunk[name]
        blocks = list(self.non_local[name].children()) if name in self.non_local else []

        def compute(x: Tensor) -> Tensor:
            if not blocks:
                return stage(x)  # type: ignore[no-any-return]
            residuals = list(stage.children())
            for number, residual in enumerate(residuals, start=len(blocks) - len(residuals)):
                x = residual(x)
                if number >= 0:
                    x = blocks[number](x)
            return x

        if self.checkpoint_activations and torch.is_grad_enabled():
            return recomputed(compute, x, [stage, *blocks])
        return compute(x)


def _stem(base: resnet.ResNet) -> nn.Sequential:
    stem = nn.Sequential()
    for name in ("conv1", "bn1", "relu", "maxpool"):
        stem.add_module(name, getattr(base, name))
    return stem


def _keep_resolution(layer4: nn.Sequential) -> None:
    """Set the strides of layer4's first block, in its 3×3 convolution and its shortcut, to 1."""
    for module in layer4[0].modules():
        if isinstance(module, nn.Conv2d) and module.stride != (1, 1):
            module.stride = (1, 1)

"""The feature maps of single images."""

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lba_cli.data.loaders import to_images
from lba_cli.data.store import ImageSource
from lba_cli.errors import NotFinite
from lba_cli.evaluation.network_embedder import exact_inference
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.network import StageMaps
from lba_cli.reporting import Silent
from lba_cli.vocabulary import Modality

Stage = Literal["layer3", "layer4"]
STAGES: tuple[Stage, ...] = get_args(Stage)


def image_maps(network: TwoStreamNetwork, image: NDArray[np.uint8], modality: Modality) -> StageMaps:
    """Compute the (1, C, h, w) float32 maps of each stage for an (H, W, 3) uint8 image; raise NotFinite if they aren't finite."""
    with exact_inference(network) as device:
        maps = network.maps(to_images(image[None]).to(device), modality)
        if not all(torch.isfinite(stage).all() for stage in maps):
            raise NotFinite("the network")
        return maps


def sample_maps(network: TwoStreamNetwork, source: ImageSource, index: int) -> tuple[NDArray[np.uint8], StageMaps]:
    """Read a sample's image and compute its feature maps; raise a DataError if the image has changed since it was prepared."""
    source.check([index], Silent())
    image = source.read([index])[0]
    return image, image_maps(network, image, source.samples[index].modality)


def as_array(mask: Tensor) -> NDArray[np.float32]:
    """Convert a (1, 1, H, W) mask to an (H, W) array."""
    array: NDArray[np.float32] = mask[0, 0].float().cpu().numpy()
    return array

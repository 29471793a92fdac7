"""The layout of the method's released checkpoint: three whole ResNet-50s without ``fc``, then neck and classifier.

The network only uses the stems of ``visible_module.visible`` and ``thermal_module.thermal``, and ``base_resnet.base`` without
its stem: 25 of 71 million parameters.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lba_cli.vocabulary import Modality

BACKBONE = "resnet50"
PREFIXES: dict[Modality, str] = {"infrared": "thermal_module.thermal.", "visible": "visible_module.visible."}
TRUNK = "base_resnet.base."
NECK = "bottleneck."


def from_released(state: Mapping[Any, Any]) -> dict[str, Any]:
    """Convert a released state dict to ours. Unused tensors are dropped; names that the layout lacks stay as they are."""
    named = {our_name(str(name)): value for name, value in state.items()}
    return {name: value for name, value in named.items() if name}


def to_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert our state dict of a ResNet-50 to the released layout, with all of its tensors.

    Tensors that the method doesn't use are filled from the same network: the ResNets of the two modalities get the trunk, the
    shared one gets the visible stem. The result shares memory with ``state``.
    """
    trunk = {name.removeprefix("trunk."): value for name, value in state.items() if name.startswith("trunk.")}
    released: dict[str, Tensor] = {}
    for modality, prefix in (*PREFIXES.items(), ("visible", TRUNK)):
        own = f"stems.{modality}."
        stem = {name.removeprefix(own): value for name, value in state.items() if name.startswith(own)}
        released |= {prefix + name: value for name, value in {**stem, **trunk}.items()}
    head = {name: value for name, value in state.items() if name.startswith(("neck.", "classifier."))}
    return released | {name.replace("neck.", NECK): value for name, value in head.items()}


def our_name(released: str) -> str:
    """Convert the name of a released tensor to ours; return an empty string if the tensor isn't used."""
    for modality, prefix in PREFIXES.items():
        if released.startswith(prefix):
            rest = released.removeprefix(prefix)
            return f"stems.{modality}.{rest}" if rest.startswith(("conv1.", "bn1.")) else ""
    if released.startswith(TRUNK):
        rest = released.removeprefix(TRUNK)
        return f"trunk.{rest}" if rest.startswith("layer") else ""
    return released.replace(NECK, "neck.")

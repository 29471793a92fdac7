"""The layout of the method's released checkpoint: three whole ResNet-50s without ``fc``, then neck and classifier.

Of ``visible_module.visible`` and ``thermal_module.thermal`` only the stem is used, of ``base_resnet.base`` all but the stem:
25 of 71 million parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lba_cli.vocabulary import Modality

BACKBONE = "resnet50"
PREFIXES: dict[Modality, str] = {"infrared": "thermal_module.thermal.", "visible": "visible_module.visible."}
TRUNK = "base_resnet.base."
NECK = "bottleneck."


def from_released(state: Mapping[Any, Any]) -> dict[str, Any]:
    """The used values of a released state dict by our names; names that aren't the layout's stay as they are."""
    named = {_our_name(str(name)): value for name, value in state.items()}
    return {name: value for name, value in named.items() if name}


def to_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict of a ResNet-50 in the released layout, with every one of its tensors.

    What the method doesn't use is filled with what the same network has at that place: the trunk in the two modalities'
    ResNets, the visible stem in the shared one. Filled tensors share the memory of those they are filled from.
    """
    trunk = {name.removeprefix("trunk."): value for name, value in state.items() if name.startswith("trunk.")}
    released: dict[str, Tensor] = {}
    for modality, prefix in (*PREFIXES.items(), ("visible", TRUNK)):
        own = f"stems.{modality}."
        stem = {name.removeprefix(own): value for name, value in state.items() if name.startswith(own)}
        # Each name gets a tensor of its own: readers of strangers' files refuse objects that stand in several places.
        released |= {prefix + name: value.detach() for name, value in {**stem, **trunk}.items()}
    rest = {name: value for name, value in state.items() if name.startswith(("neck.", "classifier."))}
    return released | {name.replace("neck.", NECK): value for name, value in rest.items()}


def _our_name(released: str) -> str:
    """Our name of a released tensor; empty for those that aren't used."""
    for modality, prefix in PREFIXES.items():
        if released.startswith(prefix):
            rest = released.removeprefix(prefix)
            return f"stems.{modality}.{rest}" if rest.startswith(("conv1.", "bn1.")) else ""
    if released.startswith(TRUNK):
        rest = released.removeprefix(TRUNK)
        return f"trunk.{rest}" if rest.startswith("layer") else ""
    return released.replace(NECK, "neck.")

"""The layout of the method's released checkpoint: three whole ResNet-50s without ``fc``, then neck and classifier.

The network only uses the stems of ``visible_module.visible`` and ``thermal_module.thermal``, and ``base_resnet.base`` without
its stem: 25 of 71 million parameters. The checkpoints of AGW and CAJ have the same layout, and non-local blocks: ``NL_2.0`` and
``NL_2.1`` follow the last two blocks of layer2, ``NL_3.0`` to ``NL_3.2`` the last three of layer3.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lba_cli.errors import CheckpointError, quoted
from lba_cli.model.non_local import FOREIGN_PARTS
from lba_cli.vocabulary import FeaturePlace, Modality

BACKBONE = "resnet50"
PREFIXES: dict[Modality, str] = {"infrared": "thermal_module.thermal.", "visible": "visible_module.visible."}
TRUNK = "base_resnet.base."
NECK = "bottleneck."
NON_LOCAL = "non_local."
_OWN_PARTS = {theirs: own for own, theirs in FOREIGN_PARTS.items()}  # of a non-local block
_BLOCK_TENSOR = re.compile(rf"NL_(\d)\.(\d+)\.({'|'.join(map(re.escape, _OWN_PARTS))})\.(\w+)")


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
    others = {name: value for name, value in state.items() if name.startswith((NON_LOCAL, "neck.", "classifier."))}
    return released | {released_name(name): value for name, value in others.items()}


def has_non_local_blocks(state: Mapping[str, Any]) -> bool:
    """Whether a released state dict has non-local blocks, as those of AGW and CAJ have. Its tensors may have been renamed to ours."""
    return any(name.startswith((NON_LOCAL, "NL_")) for name in state)


def retrieval_of(non_local: bool) -> FeaturePlace:
    """Return the retrieval feature of a released network, which the layout doesn't name: AGW and CAJ take that after the neck."""
    return "neck" if non_local else "pooled"


def require_non_local(path: Path, state: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> None:
    """Refuse a released state dict whose non-local blocks aren't those of ``wanted``; both have our names.

    Raises:
        CheckpointError: a tensor of a block is missing, unknown, or of another shape; the message has the file's name of it.
    """
    for name in sorted({name for name in (*state, *wanted) if name.startswith((NON_LOCAL, "NL_"))}):
        found, needed = (getattr(each.get(name), "shape", None) for each in (state, wanted))
        if found != needed:
            problem = "is missing" if name not in state else "is unknown"
            if found is not None and needed is not None:
                problem = f"should be {tuple(needed)}, but the file has {tuple(found)}"
            raise CheckpointError(
                f"{path}: its non-local blocks don't fit: {quoted(released_name(name))} {problem}; AGW and CAJ have 2 after "
                "layer2 and 3 after layer3, each with one inner channel"
            )


def our_name(released: str) -> str:
    """Convert the name of a released tensor to ours; return an empty string if the tensor isn't used."""
    for modality, prefix in PREFIXES.items():
        if released.startswith(prefix):
            rest = released.removeprefix(prefix)
            return f"stems.{modality}.{rest}" if rest.startswith(("conv1.", "bn1.")) else ""
    if released.startswith(TRUNK):
        rest = released.removeprefix(TRUNK)
        return f"trunk.{rest}" if rest.startswith("layer") else ""
    if block := _BLOCK_TENSOR.fullmatch(released):
        stage, number, part, tensor = block.groups()
        return f"non_local.layer{stage}.{number}.{_OWN_PARTS[part]}.{tensor}"
    return released.replace(NECK, "neck.")


def released_name(ours: str) -> str:
    """Convert our name of a tensor of the neck, the classifier or a non-local block to that of the released layout."""
    if ours.startswith(NON_LOCAL):
        _, stage, number, part, tensor = ours.split(".")
        return f"NL_{stage.removeprefix('layer')}.{number}.{FOREIGN_PARTS[part]}.{tensor}"
    return ours.replace("neck.", NECK)

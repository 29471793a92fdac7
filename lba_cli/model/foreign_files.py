"""Read state dicts that other programs saved: alone or in a dictionary, with the prefixes of wrappers, in any precision."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeGuard

import torch
from torch import Tensor

from lba_cli.errors import CheckpointError, quoted
from lba_cli.model.official_layout import TRUNK, from_released
from lba_cli.model.tensor_files import is_whole_tensor

Layout = Literal["released", "own", "resnet"]

# The keys under which other programs of the field save a network, besides an optimizer and figures.
NETWORK_KEYS = ("net", "state_dict", "model", "model_state_dict", "network")
DEEPEST = 3  # the largest number of nested dictionaries around a state dict
BLOCK = "layer1.0.conv1.weight"  # a tensor that every ResNet has
COUNTER = "num_batches_tracked"  # of batch normalisation; files from before PyTorch 0.4.1 lack it
# A layout is recognised by the name that it gives BLOCK. Longer names come first, because each name ends with the next.
_MARKS: dict[Layout, str] = {"released": TRUNK + BLOCK, "own": f"trunk.{BLOCK}", "resnet": BLOCK}
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def read_foreign(path: Path, content: Any) -> tuple[Layout, dict[str, Any]]:
    """Find the state dict in a file's content, and recognise its layout.

    Returns:
        The layout, and the state dict without the prefixes that wrappers add to names, such as ``module.`` of DataParallel.
        The layout is ``released`` (with the names converted by :func:`~lba_cli.model.official_layout.from_released`), ``own``
        (a network of lba without its description) or ``resnet`` (an ordinary ResNet). The values are not checked.

    Raises:
        CheckpointError: there is no state dict, more than one, or one of another network.
    """
    state = _find_state_dict(path, content)
    for layout, mark in _MARKS.items():
        prefixes = sorted(name.removesuffix(mark) for name in state if f".{name}".endswith(f".{mark}"))
        if len(prefixes) > 1:
            names = ", ".join(quoted(prefix, 40) for prefix in prefixes[:4])
            raise CheckpointError(
                f"{path}: its state dict holds {len(prefixes)} networks, with the prefixes {names}: save one of them alone"
            )
        if prefixes:
            named = {name.removeprefix(prefixes[0]): value for name, value in state.items()}
            if len(named) < len(state):
                raise CheckpointError(
                    f"{path}: its state dict has names with and without the prefix {quoted(prefixes[0])}"
                )
            return layout, from_released(named) if layout == "released" else named
    some = ", ".join(quoted(name, 40) for name in sorted(state)[:3])
    raise CheckpointError(
        f"{path}: not a checkpoint of lba, a checkpoint in the method's released layout, or an ordinary ResNet: none of its tensor "
        f"names ends in {_MARKS['released']} or {BLOCK}; its names include {some}"
    )


def converted(state: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> dict[str, Any]:
    """Convert tensors of another precision to the dtypes of ``wanted``, and add the counters that old files lack, as zeros.

    Tensors of another shape, or without storage for all of their values, are left unchanged.
    """
    result = dict(state)
    for name, tensor in wanted.items():
        value = state.get(name)
        if value is None and name.endswith(COUNTER):
            result[name] = torch.zeros((), dtype=tensor.dtype)
        elif isinstance(value, Tensor) and value.dtype in DTYPES and is_whole_tensor(value, tensor.to(value.dtype)):
            result[name] = value.detach().to(tensor.dtype)
    return result


def has_string_keys(state: Any) -> TypeGuard[dict[str, Any]]:
    """Return whether a value is a dictionary whose keys are all strings."""
    return isinstance(state, dict) and all(type(name) is str for name in state)


def _find_state_dict(path: Path, content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a checkpoint: it holds a {type(content).__name__}")
    found = _state_dicts(content, "", DEEPEST, lambda name: name in NETWORK_KEYS)
    found = found or _state_dicts(content, "", DEEPEST, lambda _: True)
    if len(found) > 1:
        names = ", ".join(quoted(name, 60) for name in list(found)[:4])
        raise CheckpointError(
            f"{path}: holds {len(found)} state dicts, {names}: save only the one that you need, with torch.save"
        )
    if not found:
        keys = ", ".join(quoted(key, 40) for key in list(content)[:4])
        raise CheckpointError(
            f"{path}: neither a checkpoint of lba nor the method's released one: it holds no state dict, a dictionary of "
            f"tensors with their names, by itself or as {', '.join(map(quoted, NETWORK_KEYS))}; it has {keys or 'nothing'}"
        )
    return next(iter(found.values()))


def _state_dicts(content: Any, name: str, depth: int, enters: Callable[[str], bool]) -> dict[str, dict[str, Any]]:
    """Return the state dicts in ``content`` by their dotted keys, searching only entries whose keys ``enters`` accepts."""
    if not has_string_keys(content):
        return {}
    found: dict[str, dict[str, Any]] = {}
    if depth:
        for key, value in content.items():
            if enters(key):
                found |= _state_dicts(value, f"{name}.{key}".removeprefix("."), depth - 1, enters)
    if not found and any(isinstance(value, Tensor) and value.ndim for value in content.values()):
        found = {name: content}
    return found

"""Options that commands share, and how they become a configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from lba_cli.config import Run
    from lba_cli.reporting import Listener

LOCAL_CONFIG = Path("lba.yaml")
CONFIG_VARIABLE = "LBA_CONFIG"

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=f"YAML settings. Without it the file that ${CONFIG_VARIABLE} names is read, or {LOCAL_CONFIG} here if there is one.",
        show_default=False,
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; may be repeated.", show_default=False),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="A checkpoint of lba, or the method's released one. Without it the newest run's best.pt is taken.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="FILE.onnx",
        help="An exported ONNX file instead of a checkpoint (the extra onnx).",
        show_default=False,
    ),
]
ImageNames = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGES…",
        help="Images, folders with all below them, or globs in quotes; they are taken in the order of their paths.",
        show_default=False,
    ),
]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave out images that can't be decoded.")]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The data set's folder, or a prepared store.", show_default=False),
]

AllTrials = Annotated[
    Literal["all"] | None,
    typer.Option(
        "--trials",
        help="A model for each of the data set's ten splits: RUN/trial-1 … RUN/trial-10.",
        show_default=False,
    ),
]


def examples(*lines: str) -> str:
    """The epilog of a command's help."""
    return "\n\n".join(["**Examples**", *(f"`{line}`" for line in lines)])


def load_config(
    config: Path | None,
    assignments: list[str] | None,
    options: Mapping[str, Any],
    listener: Listener,
    *,
    base: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> Run:
    """Lay the defaults, ``base``, the configuration file, the options and ``--set`` over each other, in this order.

    ``fixed`` (by dotted keys) lies over a configuration file that nobody named, and under one that somebody did.

    Raises:
        ConfigError: one of them is malformed or names a setting that doesn't exist.
    """
    from lba_cli.settings import Layer, resolve

    layers = [Layer(dict(base or {}), "the checkpoint's configuration")]
    ambient = None if config else _ambient_config()
    if ambient:
        listener.say(f"settings from {ambient}")
        layers.append(Layer.from_file(ambient))
    layers.append(Layer.from_options(fixed or {}))
    if config:
        layers.append(Layer.from_file(config))
    layers += [Layer.from_options(options), Layer.from_assignments(assignments or [])]
    return resolve(layers)


def _ambient_config() -> Path | None:
    """The configuration file that nobody named on the command line."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return LOCAL_CONFIG if LOCAL_CONFIG.is_file() else None

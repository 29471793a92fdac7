"""Options that commands share, and the decorator that makes a function a command."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from lba_cli.cli.error_handling import guarded

if TYPE_CHECKING:
    from lba_cli.config import Config
    from lba_cli.reporting import Listener

LOCAL_CONFIG = Path("lba.yaml")
CONFIG_VARIABLE = "LBA_CONFIG"

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=f"YAML configuration. Without it, the file that ${CONFIG_VARIABLE} names is read, or ./{LOCAL_CONFIG} if there is one.",
        show_default=False,
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one config key; repeatable.", show_default=False),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Force = Annotated[bool, typer.Option("--force", help="Replace existing output.")]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="A checkpoint of lba, or the method's released one. Default: best.pt of the newest run.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="FILE.onnx",
        help="An exported ONNX file instead of a checkpoint (needs the extra onnx).",
        show_default=False,
    ),
]
ImageNames = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGES…",
        help="Images, folders with everything below them, or globs in quotes. They are taken in the order of their paths.",
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
        help="One model for each of the data set's ten trials: RUN/trial-1 … RUN/trial-10.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class CommonOptions:
    """The options that every command has: ``--config`` and ``--set``."""

    config_file: Path | None = None
    assignments: Sequence[str] = ()

    def load(
        self,
        options: Mapping[str, Any],
        listener: Listener,
        *,
        base: Mapping[str, Any] | None = None,
        fixed: Mapping[str, Any] | None = None,
    ) -> Config:
        """Resolve the configuration: defaults, ``base``, the config file, ``options``, then ``--set``.

        Args:
            options: command-line options by their dotted keys; None for those that weren't given.
            listener: hears which config file is read, if nobody named it.
            base: sections that lie over the defaults.
            fixed: values by dotted keys that only a file named with ``--config``, an option or ``--set`` may change.

        Raises:
            ConfigError: a file is malformed, or a key or value is unknown.
        """
        from lba_cli.config import ConfigLayer, resolve_config

        layers = [ConfigLayer(dict(base or {}), "the checkpoint's configuration")]
        ambient = None if self.config_file else _ambient_config()
        if ambient:
            listener.say(f"config: {ambient}")
            layers.append(ConfigLayer.from_file(ambient))
        layers.append(ConfigLayer.from_options(fixed or {}))
        if self.config_file:
            layers.append(ConfigLayer.from_file(self.config_file))
        layers += [ConfigLayer.from_options(options), ConfigLayer.from_assignments(self.assignments)]
        return resolve_config(layers)


def _ambient_config() -> Path | None:
    """The configuration file that is read when none is named on the command line."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return LOCAL_CONFIG if LOCAL_CONFIG.is_file() else None


def command(
    app: typer.Typer,
    *examples: str,
    name: str | None = None,
    help: str | None = None,
    distributed: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command of ``app``.

    The function's first parameter receives the :class:`CommonOptions`; the others are the command's own options. Errors
    become one line and an exit status, see :mod:`lba_cli.cli.error_handling`.

    Args:
        app: the group of commands.
        examples: command lines that its help shows.
        name: the command's name; the function's if None.
        help: the help text; the function's docstring if None.
        distributed: whether several processes started by ``torchrun`` share its work.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def wrapper(*, config: Path | None, assignments: list[str] | None, debug: bool, **own: Any) -> None:
            function(CommonOptions(config, assignments or ()), **own)

        _add_common_options(wrapper, function)
        guarded_command = guarded(wrapper, distributed=distributed)
        epilog = "\n\n".join(["**Examples**", *(f"`{line}`" for line in examples)])
        app.command(name, help=help, epilog=epilog)(guarded_command)
        return guarded_command

    return decorate


def _add_common_options(wrapper: Callable[..., None], function: Callable[..., None]) -> None:
    """Give ``wrapper`` the signature of ``function``, with the common options in place of its first parameter."""
    hints = get_type_hints(function, include_extras=True)
    own = list(inspect.signature(function).parameters.values())[1:]
    common = {"config": (ConfigFile, None), "assignments": (Assignments, None), "debug": (Debug, False)}
    parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in common.items()
    ]
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del wrapper.__wrapped__  # type: ignore[attr-defined]  # or inspect would look through to the function

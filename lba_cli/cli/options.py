"""Options that commands share, and the decorator that makes a function a command."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from lba_cli.cli.error_handling import guarded
from lba_cli.files import at_home
from lba_cli.reporting import Listener, Silent
from lba_cli.vocabulary import EmbeddingPrecision

if TYPE_CHECKING:
    from lba_cli.config import Config, ConfigLayer

LOCAL_CONFIG = Path("lba.yaml")
CONFIG_VARIABLE = "LBA_CONFIG"

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=f"A YAML configuration file. Default: the file named by ${CONFIG_VARIABLE}, or else ./{LOCAL_CONFIG} if it exists.",
    ),
]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Set one config key; can be repeated.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Force = Annotated[bool, typer.Option("--force", help="Replace existing output files.")]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="A checkpoint, a run folder, or the authors' released file. Default: last.pt of the newest run.",
    ),
]
Best = Annotated[
    bool,
    typer.Option(
        "--best",
        help="Use a run's best.pt instead of its last.pt: the epoch with the highest mAP on the validation people, or on the "
        "test people if nobody is for validation.",
    ),
]
ModelFile = Annotated[
    Path | None,
    typer.Option(
        "--model", metavar="FILE.onnx", help="Use an exported ONNX file instead of a checkpoint (needs the extra onnx)."
    ),
]
ImageNames = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGES",
        help="Images, folders (searched recursively), or quoted glob patterns. Images are sorted by path.",
    ),
]
EmbeddingArithmetic = Annotated[
    EmbeddingPrecision | None,
    typer.Option(
        "--precision",
        help="The arithmetic of embedding. bfloat16 is faster where the device has instructions for it (auto), and changes scores by "
        "about 0.01 [evaluation.precision].",
    ),
]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave out images that can't be decoded.")]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="The data set's folder, a CSV file of your own images, or a prepared store [data.root].",
    ),
]
AllTrials = Annotated[
    Literal["all"] | None,
    typer.Option("--trials", help="all: one model for each trial of RegDB, in RUN/trial-1 … RUN/trial-10."),
]


@dataclass(frozen=True)
class CommonOptions:
    """The options of every command, ``--config FILE`` and ``--set SECTION.KEY=VALUE``, and a listener for its messages."""

    config_file: Path | None = None
    assignments: Sequence[str] = ()
    listener: Listener = field(default_factory=Silent)

    def load(
        self,
        options: Mapping[str, Any] | None = None,
        *,
        base: Mapping[str, Any] | None = None,
        fixed: Mapping[str, Any] | None = None,
    ) -> Config:
        """Resolve the configuration: defaults, ``base``, the config file, ``options``, then ``--set``.

        Args:
            options: the values of the command's other options, by config key; None stands for an option that isn't given.
            base: sections that replace the defaults, such as a checkpoint's own configuration.
            fixed: values by config key that override a config file found by default, but not one named by ``--config``.
        """
        from lba_cli.config import ConfigLayer, resolve_config

        layers = [ConfigLayer(dict(base or {}), "the checkpoint's configuration")]
        default_file = None if self.config_file else find_config()
        if default_file:
            self.listener.say(f"config: {default_file}")
            layers.append(ConfigLayer.from_file(default_file))
        return resolve_config([*layers, ConfigLayer.from_options(fixed or {}), *self.layers(options or {})])

    def layers(self, options: Mapping[str, Any]) -> list[ConfigLayer]:
        """Return the configuration layers of the command line: the file of ``--config``, ``options``, and ``--set``."""
        from lba_cli.config import ConfigLayer

        named = [ConfigLayer.from_file(self.config_file)] if self.config_file else []
        return [*named, ConfigLayer.from_options(options), ConfigLayer.from_assignments(self.assignments)]


def find_config() -> Path | None:
    """Return the config file for a command line without ``--config``.

    This is the file that ``$LBA_CONFIG`` names, or else ``lba.yaml`` in the current folder, or None if there is no such file.
    """
    if named := os.environ.get(CONFIG_VARIABLE):
        return at_home(Path(named))  # type: ignore[no-any-return]
    return LOCAL_CONFIG if LOCAL_CONFIG.is_file() else None


def group() -> typer.Typer:
    """Return a new group, to which a module adds its command or subcommands."""
    return typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", add_completion=False)


def command(
    app: typer.Typer, *examples: str, name: str | None = None, help: str | None = None, distributed: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that makes a function a command of ``app``.

    The function's first parameter receives the :class:`CommonOptions`; its other parameters are the command's own
    options. Errors become one line and an exit status (see :mod:`lba_cli.cli.error_handling`).

    Args:
        app: the group that the command belongs to.
        examples: command lines shown in the help.
        name, help: the command's name and help text. Default: the function's name and docstring.
        distributed: whether the command can run in several processes under ``torchrun``.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def wrapper(*, config: Path | None, assignments: list[str] | None, debug: bool, **own: Any) -> None:
            from lba_cli.cli.console import get_listener

            own = {name: at_home(value) for name, value in own.items()}
            function(CommonOptions(at_home(config), assignments or (), get_listener()), **own)

        _add_common_options(wrapper, function)
        guarded_command = guarded(wrapper, distributed=distributed)
        epilog = "\n\n".join(["**Examples**", *(f"`{line}`" for line in examples)])
        app.command(name, help=help, epilog=epilog)(guarded_command)
        return guarded_command

    return decorate


def _add_common_options(wrapper: Callable[..., None], function: Callable[..., None]) -> None:
    """Give ``wrapper`` the signature of ``function``, whose first parameter is replaced by the common options."""
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
    del wrapper.__wrapped__  # type: ignore[attr-defined]  # otherwise inspect would show the signature of the function

"""Choose the settings that a configuration asks for, and the setting that selects a run's best epoch."""

from collections.abc import Sequence

from lba_cli.config import EvaluationSection
from lba_cli.datasets import EvaluationSet, Setting, get_dataset
from lba_cli.errors import ConfigError
from lba_cli.vocabulary import Shots


def choose_settings(section: EvaluationSection, source: EvaluationSet) -> list[Setting]:
    """Return the settings that a configuration asks for, in the order of the data set's modes.

    Raises:
        ConfigError: the data set has no such protocol, mode or number of shots; the message names the valid values.
    """
    spec = get_dataset(source.dataset)
    offered = spec.protocols.get(section.protocol)
    if offered is None:
        raise _unknown(spec.title, "protocol", section.protocol, list(spec.protocols))
    modes = offered
    if section.mode == "auto":
        modes = tuple(mode for mode in spec.usual_modes if mode in offered)
    elif section.mode != "all":
        modes = (section.mode,)
    shots: tuple[Shots, ...] = ("single", "multi")
    if section.shots == "auto":
        shots = (spec.usual_shots(source.samples),)
    elif section.shots != "both":
        shots = (section.shots,)
    where = spec.title if section.protocol == "community" else f"{spec.title}'s protocol {section.protocol}"
    for mode in modes:
        if mode not in offered:
            raise _unknown(where, "mode", mode, offered)
    for shot in shots:
        if shot not in spec.shots:
            raise _unknown(where, "shots", shot, spec.shots)
    return [Setting(mode, shot, section.protocol) for mode in modes for shot in shots]


def selection_setting(source: EvaluationSet) -> Setting:
    """Return the setting whose mAP selects a run's best epoch: the one that papers on the data set report most."""
    spec = get_dataset(source.dataset)
    return Setting(spec.selection_mode, spec.usual_shots(source.samples), "community")


def _unknown(where: str, kind: str, word: str, valid: Sequence[str]) -> ConfigError:
    return ConfigError(f"{where} has no {kind} '{word}'; it has {', '.join(valid)} (--{kind}, evaluation.{kind})")

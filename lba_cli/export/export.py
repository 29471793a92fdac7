"""Write a format, run what was written against the trained network, and only then let the files and their card appear."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lba_cli.errors import ExportError
from lba_cli.export.embedding_model import Embed, EmbedOne, Flavour, example
from lba_cli.export.model_card import Export, ExportedFile, Measured, Measuring, card_text
from lba_cli.export.official import load_official, write_official
from lba_cli.export.onnx import load_onnx, write_onnx
from lba_cli.export.safetensors import load_safetensors_model, write_safetensors
from lba_cli.export.torch_export import load_torch_export, write_torch_export
from lba_cli.files import whole_file
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description
from lba_cli.model.official_layout import BACKBONE
from lba_cli.outputs import require_new_file
from lba_cli.vocabulary import MODALITIES, ExportFormat, ExportPrecision, Modality, Stems

# How far an embedding's values (of a vector of unit length) may be off: rounding in float32; in half precision, where the
# deviation is told and not bounded by a promise, as far as the file can still be called the same network.
TOLERANCES: dict[ExportPrecision, float] = {"float32": 1e-4, "float16": 0.05, "bfloat16": 0.05}
BATCHES = (1, 7)


@dataclass(frozen=True)
class Format:
    """How a format is written, how what was written is loaded as a function, its files' ending, and what it can hold."""

    write: Callable[[TwoStreamNetwork, Description, Path, Flavour], None]
    load: Callable[[Path], Embed]
    suffix: str
    precisions: tuple[ExportPrecision, ...] = ("float32", "float16", "bfloat16")
    stems: tuple[Stems, ...] = ("one", "two")


FORMATS: dict[ExportFormat, Format] = {
    "onnx": Format(write_onnx, load_onnx, ".onnx", precisions=("float32", "float16")),
    "pt2": Format(write_torch_export, load_torch_export, ".pt2"),
    "safetensors": Format(write_safetensors, load_safetensors_model, ".safetensors", stems=("one",)),
    "official": Format(write_official, load_official, ".t", precisions=("float32",), stems=("one",)),
}


def export(
    network: TwoStreamNetwork,
    description: Description,
    format_name: ExportFormat,
    path: Path,
    *,
    precision: ExportPrecision = "float32",
    stems: Stems = "one",
    card: bool = False,
    measuring: Measuring | None = None,
    force: bool = False,
) -> Export:
    """Write ``network``, in eval mode and on the CPU, and check what was written; nothing appears unless all does.

    Args:
        network: the network.
        description: what its checkpoint says of it.
        format_name: one of :data:`FORMATS`.
        path: the file. With two stems: of the files ``NAME-visible…`` and ``NAME-infrared…`` beside it.
        precision: of the weights; images and embeddings are float32 in every one.
        stems: ``one`` file for both modalities, or ``two``, one each.
        card: also write a model card, ``path`` with ``.md`` after its ending.
        measuring: a data set on which the trained and the exported network are scored.
        force: replace what is there.

    Returns:
        The files, the largest deviation of their embeddings from the network's (over batches of 1 and 7 of either
        modality), and the figures.

    Raises:
        ExportError: a file exists and ``force`` isn't given, its ending isn't the format's, the format can't hold this
            network in this way, or what was written deviates too much (then no file is left).
        MissingExtra: a package that the format needs isn't installed.
    """
    files, card_path = _files(path, precision, stems), path.with_name(f"{path.name}.md")
    _require_possible(network, format_name, path, precision, stems)
    for each in [*files, *([card_path] if card else [])]:
        require_new_file(each, force=force)
    with ExitStack() as stack:  # what is entered first appears last: the card
        card_partial = stack.enter_context(whole_file(card_path, replace=force)) if card else None
        partials = {each: stack.enter_context(whole_file(each, replace=force)) for each in files}
        written = [(each, flavour, partials[each]) for each, flavour in files.items()]
        result = _write(network, description, format_name, written, measuring)
        if card_partial:
            card_partial.write_text(card_text(result), encoding="utf-8")
    return result


def _write(
    network: TwoStreamNetwork,
    description: Description,
    format_name: ExportFormat,
    files: Sequence[tuple[Path, Flavour, Path]],
    measuring: Measuring | None,
) -> Export:
    """Write files, each known by its name to be, what it holds, and where it is written; compare, and measure."""
    form = FORMATS[format_name]
    for _, flavour, partial in files:
        form.write(network, description, partial, flavour)
    embed = _joined([(flavour, form.load(partial)) for _, flavour, partial in files])
    deviation = largest_deviation(network, description, embed)
    name, flavour, _ = files[0]
    _require_equal(name, deviation, flavour.precision)
    measured = None
    if measuring:
        measured = Measured(measuring.where, measuring.figures(network.embed), measuring.figures(embed))
    told = tuple(_file(*each) for each in files)
    return Export(description, network.embedding_size, format_name, told, deviation, measured)


@torch.inference_mode()
def largest_deviation(network: TwoStreamNetwork, description: Description, embed: EmbedOne) -> float:
    """The largest absolute difference between ``embed``'s embeddings and the network's."""
    worst = 0.0
    for batch in BATCHES:
        for modality in MODALITIES:
            images, _ = example(description, batch, infrared=modality == "infrared")
            difference = embed(images, modality) - network.embed(images, modality)
            worst = max(worst, float(difference.abs().nan_to_num(torch.inf).max()))
    return worst


def _files(path: Path, precision: ExportPrecision, stems: Stems) -> dict[Path, Flavour]:
    """The files to write, and what each holds."""
    if stems == "one":
        return {path: Flavour(precision)}
    return {path.with_name(f"{path.stem}-{m}{path.suffix}"): Flavour(precision, m) for m in MODALITIES}


def _joined(loaded: list[tuple[Flavour, Embed]]) -> EmbedOne:
    """What was loaded as one function of images and their modality."""

    def embed(images: Tensor, modality: Modality) -> Tensor:
        (run,) = (run for flavour, run in loaded if flavour.stem in (None, modality))
        return run(images, torch.full((len(images),), modality == "infrared"))

    return embed


def _require_possible(
    network: TwoStreamNetwork, name: ExportFormat, path: Path, precision: ExportPrecision, stems: Stems
) -> None:
    """Refuse what a format can't hold."""
    form = FORMATS[name]
    if path.suffix != form.suffix:
        raise ExportError(f"{path}: a file of the format {name} ends in {form.suffix}")
    if precision not in form.precisions:
        raise ExportError(f"--format {name} has no --precision {precision}; it has {', '.join(form.precisions)}")
    if stems not in form.stems:
        raise ExportError(f"--format {name} keeps the whole network in one file: leave --stems {stems} out")
    if name == "official" and network.backbone != BACKBONE:
        raise ExportError(
            f"--format official is the layout of a {BACKBONE}, this is a {network.backbone}: use another format"
        )
    largest = torch.finfo(getattr(torch, precision)).max
    for tensor, value in network.state_dict().items():
        if value.is_floating_point() and not value.abs().max() <= largest:
            fitting = "use bfloat16 or float32" if precision == "float16" else "the checkpoint is damaged"
            raise ExportError(f"the tensor '{tensor}' has values beyond the range of {precision}: {fitting}")


def _require_equal(path: Path, deviation: float, precision: ExportPrecision) -> None:
    if not deviation <= TOLERANCES[precision]:
        raise ExportError(
            f"{path}: the exported network's embeddings deviate by {deviation:.2e} from the trained network's, more "
            f"than {TOLERANCES[precision]:g}; no file was written"
        )


def _file(path: Path, flavour: Flavour, written: Path) -> ExportedFile:
    with written.open("rb") as file:
        return ExportedFile(path, flavour, hashlib.file_digest(file, "sha256").hexdigest(), written.stat().st_size)

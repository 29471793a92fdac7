"""Export a network to files, which get their final names only after they have been compared with the trained network."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lba_cli.errors import ExportError, NotFinite
from lba_cli.export.embedding_model import Embed, EmbedOne, FileContents, example
from lba_cli.export.model_card import ExportedFile, ExportResult, ExportScorer, ExportScores, card_text
from lba_cli.export.programs import (
    load_onnx,
    load_torch_export,
    program_fingerprint,
    quantize_file,
    write_onnx,
    write_torch_export,
)
from lba_cli.export.quantization import Calibration
from lba_cli.export.weights import load_weights, weights_fingerprint, write_official, write_safetensors
from lba_cli.files import whole_file
from lba_cli.manifest import sha256_of
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description
from lba_cli.model.official_layout import BACKBONE, retrieval_of
from lba_cli.vocabulary import MODALITIES, ExportPrecision, Modality, Stems

# The largest accepted difference between the values of two unit-length embeddings. In float32 it allows for rounding. In
# half precision and int8, where users see the measured difference, it only rejects files that don't represent the network. There,
# the distance of the two embeddings is limited as well, because long embeddings have small values.
TOLERANCES: dict[ExportPrecision, float] = {"float32": 1e-4, "float16": 0.05, "bfloat16": 0.05, "int8": 0.05}
LARGEST_DISTANCE = 0.2
BATCHES = (1, 7)  # the sizes of the batches that are compared


@dataclass(frozen=True)
class Format:
    """A file format: how its files are written, loaded and identified, how their names end, and what they can hold."""

    write: Callable[[TwoStreamNetwork, Description, Path, FileContents], None]
    load: Callable[[Path], Embed]
    suffix: str
    precisions: tuple[ExportPrecision, ...] = ("float32", "float16", "bfloat16")
    stems: tuple[Stems, ...] = ("one", "two")
    fingerprint: Callable[[TwoStreamNetwork, FileContents], str] = program_fingerprint


FORMATS: dict[str, Format] = {
    "onnx": Format(write_onnx, load_onnx, ".onnx", precisions=("float32", "float16", "int8")),
    "pt2": Format(write_torch_export, load_torch_export, ".pt2"),
    "safetensors": Format(
        write_safetensors, load_weights, ".safetensors", stems=("one",), fingerprint=weights_fingerprint
    ),
    "official": Format(
        write_official, load_weights, ".t", ("float32",), stems=("one",), fingerprint=weights_fingerprint
    ),
}


@dataclass(frozen=True)
class ExportOptions:
    """How a network is exported.

    Attributes:
        precision: the data type of the weights; images and embeddings are always float32.
        stems: ``one`` file for both modalities, or ``two`` files, one for each.
        card: also write a model card, whose name is that of the file with ``.md`` appended.
        scorer: scores the trained and the exported network on a data set.
        force: replace files that exist.
        calibration: the images that an int8 file is calibrated on.
    """

    precision: ExportPrecision = "float32"
    stems: Stems = "one"
    card: bool = False
    scorer: ExportScorer | None = None
    force: bool = False
    calibration: Calibration | None = None


def export(
    network: TwoStreamNetwork,
    description: Description,
    format_name: str,
    path: Path,
    options: ExportOptions = ExportOptions(),
) -> ExportResult:
    """Write ``network`` to one or two files, and compare them with it. If anything fails, no file is written.

    Args:
        network, description: the network, in eval mode and on the CPU, and what its checkpoint says about it.
        format_name: a key of :data:`FORMATS`.
        path: the file to write. For two stems the files ``NAME-visible…`` and ``NAME-infrared…`` are written instead.
        options: see :class:`ExportOptions`.

    Raises:
        ExportError: a file exists and ``force`` isn't set, ``path`` doesn't have the format's suffix, the format doesn't
            support the options or the network, or the exported embeddings deviate too much from the network's.
        MissingExtra: a package that the format needs isn't installed.
    """
    files, card_path = _files(path, options), path.with_name(f"{path.name}.md")
    _require_possible(network, format_name, path, options)
    for each in [*files, *([card_path] if options.card else [])]:
        if each.exists() and not (options.force and each.is_file()):
            raise ExportError(f"{each}: exists already; name another --output, or replace it with --force")
    with ExitStack() as stack:  # the card is entered first, so it appears last
        card_partial = stack.enter_context(whole_file(card_path, replace=options.force)) if options.card else None
        partials = {each: stack.enter_context(whole_file(each, replace=options.force)) for each in files}
        written = [(each, contents, partials[each]) for each, contents in files.items()]
        result = _write(network, description, format_name, written, options)
        if card_partial:
            card_partial.write_text(card_text(result), encoding="utf-8")
    return result


def _write(
    network: TwoStreamNetwork,
    description: Description,
    format_name: str,
    files: Sequence[tuple[Path, FileContents, Path]],
    options: ExportOptions,
) -> ExportResult:
    """Write, compare and score ``files``, which are tuples of the final path, the contents and the temporary path."""
    form = FORMATS[format_name]
    for _, contents, partial in files:
        form.write(network, description, partial, contents)
        if options.calibration:
            quantize_file(partial, contents, options.calibration)
    embed = _as_one_function([(contents, form.load(partial)) for _, contents, partial in files])
    deviation, distance = largest_deviation(network, description, embed)
    tolerance = TOLERANCES[files[0][1].precision]
    if not (deviation <= tolerance and distance <= LARGEST_DISTANCE):
        raise ExportError(
            f"{files[0][0]}: the exported network's embeddings deviate by {deviation:.2e} from the trained network's (allowed: "
            f"{tolerance:g}), and their distance is {distance:.2e} (allowed: {LARGEST_DISTANCE:g}); no file was written"
        )
    scores = None
    if scorer := options.scorer:
        scores = ExportScores(scorer.setting, scorer.score(network.embed), scorer.score(embed), scorer.note)
    described = tuple(ExportedFile(name, held, sha256_of(path), path.stat().st_size) for name, held, path in files)
    name = options.calibration.name if options.calibration else ""
    return ExportResult(
        description,
        network.embedding_size,
        format_name,
        described,
        deviation,
        scores,
        name,
        form.fingerprint(network, files[0][1]),
    )


@torch.inference_mode()
def largest_deviation(network: TwoStreamNetwork, description: Description, embed: EmbedOne) -> tuple[float, float]:
    """Return the largest absolute difference between a value of ``embed``'s embeddings and of the network's, and the largest distance."""
    worst = farthest = 0.0
    for batch in BATCHES:
        for modality in MODALITIES:
            images, _ = example(description, batch, infrared=modality == "infrared")
            trained = network.embed(images, modality)
            if not torch.isfinite(trained).all():
                raise NotFinite("the network")
            difference = embed(images, modality) - trained
            worst = max(worst, float(difference.abs().nan_to_num(torch.inf).max()))
            farthest = max(farthest, float(difference.norm(dim=1).nan_to_num(torch.inf).max()))
    return worst, farthest


def _files(path: Path, options: ExportOptions) -> dict[Path, FileContents]:
    """Return the files to write, and what each of them holds."""
    digest = options.calibration.digest if options.calibration else ""
    stems: tuple[Modality | None, ...] = (None,) if options.stems == "one" else MODALITIES
    return {
        path.with_name(f"{path.stem}-{stem}{path.suffix}") if stem else path: FileContents(
            options.precision, stem, digest
        )
        for stem in stems
    }


def _as_one_function(loaded: list[tuple[FileContents, Embed]]) -> EmbedOne:
    """Return one function that embeds images with the loaded file of their modality."""

    def embed(images: Tensor, modality: Modality) -> Tensor:
        (run,) = (run for contents, run in loaded if contents.stem in (None, modality))
        return run(images, torch.full((len(images),), modality == "infrared"))

    return embed


def _require_possible(network: TwoStreamNetwork, name: str, path: Path, options: ExportOptions) -> None:
    """Raise an ExportError if the format doesn't support the suffix, the options or the network."""
    precision, stems = options.precision, options.stems
    form = FORMATS.get(name)
    if form is None:
        raise ExportError(f"there is no export format '{name}'; valid: {', '.join(FORMATS)}")
    if path.suffix != form.suffix:
        raise ExportError(f"{path}: with --format {name}, the file's name must end in {form.suffix}; change --output")
    if precision not in form.precisions:
        raise ExportError(f"--format {name} supports {', '.join(form.precisions)}, not --precision {precision}")
    if (precision == "int8") != bool(options.calibration):
        raise ExportError(
            "an int8 file, and no other, is calibrated on images: name them with --data or --calibrate for --precision int8, and leave out "
            "--calibrate otherwise"
        )
    if stems not in form.stems:
        raise ExportError(f"--format {name} keeps the whole network in one file: leave --stems {stems} out")
    if name == "official" and network.backbone != BACKBONE:
        raise ExportError(
            f"--format official is the layout of a {BACKBONE}, but the network is a {network.backbone}: use another format"
        )
    if name == "official" and network.retrieval != (usual := retrieval_of(bool(network.non_local))):
        blocks = "with" if network.non_local else "without"
        raise ExportError(
            f"--format official doesn't say the retrieval feature: readers take '{usual}' for a network {blocks} non-local blocks, "
            f"but this one retrieves by '{network.retrieval}': use another format"
        )
    largest = torch.finfo(FileContents(precision).dtype).max
    for tensor, value in network.state_dict().items():
        if value.is_floating_point() and not value.abs().max() <= largest:
            fitting = "use --precision float32" if value.isfinite().all() else "the checkpoint is damaged"
            raise ExportError(f"the tensor '{tensor}' has values that {precision} can't hold: {fitting}")

"""The model card: a page of Markdown that says what an exported file is, and what it must not be used for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lba_cli.data.image_files import MEAN, STANDARD_DEVIATION
from lba_cli.export.embedding_model import INPUTS, OUTPUT, EmbedOne, FileContents
from lba_cli.model.checkpoint import Description
from lba_cli.value_range import KEY, shown
from lba_cli.vocabulary import ONNX_OPSET

FIGURES = {"rank1": "rank-1", "rank5": "rank-5", "rank10": "rank-10", "rank20": "rank-20", "mAP": "mAP", "mINP": "mINP"}
# The config keys that a card shows, and their labels.
CONFIG_KEYS = {
    "alignment.weighting": "weighting of the dense triplet, if the method has one",
    "train.epochs": "epochs",
    "train.seed": "seed",
    "train.precision": "arithmetic",
    "model.pretrained": "started from",
}
RETRIEVAL = {"pooled": "pooled, before the neck", "neck": "after the neck (batch normalisation of the pooled feature)"}
THRESHOLD = "threshold_at_"  # the names of verification's scores in the figures, before the rate of false accepts
SYNTHETIC = "synthetic-"
SYNTHETIC_LIMIT = (
    "- **It was trained on synthetic people**: use it to try the software, not on photographs of people.\n"
)
TEMPLATE = Path(__file__).with_suffix(".md")
LONGEST, LONGEST_NOTE = 200, 2000  # characters of text from a checkpoint, which a stranger may have written
EPOCH_NOTES = {
    "": "The epoch was not chosen by these figures.",
    "validation": "The epoch was chosen by its mAP on these validation people, who were not trained on.",
    "test": "**The epoch was chosen by its mAP on these test people**, as is usual in the field; that flatters the figures.",
}


@dataclass(frozen=True)
class ExportScorer:
    """A function that evaluates an embedding function and returns fractions; ``setting`` says how and on which data.

    ``note`` is what a reader of the figures has to know.
    """

    setting: str
    score: Callable[[EmbedOne], Mapping[str, float]]
    note: str = ""


@dataclass(frozen=True)
class ExportScores:
    """The figures of the trained and of the exported network, as fractions, and the setting and a note in words."""

    setting: str
    trained: Mapping[str, float]
    exported: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class ExportedFile:
    """A file that was written: its path, what it holds, its SHA-256 and its size in bytes."""

    path: Path
    contents: FileContents
    sha256: str
    size: int


@dataclass(frozen=True)
class ExportResult:
    """What was exported, and how it compares with the trained network.

    Attributes:
        description: what the checkpoint says about the network.
        embedding_size: D, the length of an embedding.
        format, files: the name of the format, and the files that were written.
        deviation: the largest absolute difference between the values of the files' embeddings and of the network's.
        scores: the figures on a data set, if one was given.
        calibration: the images that an int8 file was calibrated on, in words; otherwise empty.
        fingerprint: identifies the model that the files compute, as in search indexes.
    """

    description: Description
    embedding_size: int
    format: str
    files: tuple[ExportedFile, ...]
    deviation: float
    scores: ExportScores | None = None
    calibration: str = ""
    fingerprint: str = ""

    @property
    def precision(self) -> str:
        """The precision of the weights."""
        return self.files[0].contents.precision


def card_text(export: ExportResult) -> str:
    """Return the card of an export, in Markdown."""
    names = " and ".join(f"`{file.path.name}`" for file in export.files)
    sections: dict[str, Iterable[str]] = {
        "Training": _training(export.description),
        "Figures": _figures(export),
        "The files": _files(export),
        "Input and output": _usage(export),
    }
    content = "\n\n".join("\n".join([f"## {title}", "", *lines]) for title, lines in sections.items())
    warning = SYNTHETIC_LIMIT if export.description.dataset.startswith(SYNTHETIC) else ""
    return TEMPLATE.read_text(encoding="utf-8").format(names=names, sections=content, synthetic=warning)


def _training(description: Description) -> Iterator[str]:
    name = _plain(description.dataset) or "not known"
    trial = f", trial {description.trial}" if description.trial else ""
    synthetic = " (**synthetic people**, drawn by a program: figures on them say nothing about photographs)"
    yield f"- data set: {name}{trial}{synthetic if description.dataset.startswith(SYNTHETIC) else ''}"
    yield f"- training identities: {description.num_classes}"
    blocks = " with non-local blocks" if description.non_local else ""
    yield f"- backbone: {description.backbone}, two stems and one trunk{blocks}"
    yield f"- retrieval feature: {RETRIEVAL[description.retrieval]}"
    yield f"- method: {_plain(description.method)}"
    yield f"- image size: {description.height} × {description.width} pixels (height × width)"
    yield f"- last epoch: {description.epoch if description.epoch >= 0 else 'not known'} (counted from 0)"
    for key, words in CONFIG_KEYS.items():
        section, _, name = key.partition(".")
        value = description.config.get(section, {}).get(name)
        yield f"- {words}: {'not known: the file has no configuration' if value is None else _plain(value)}"


def _figures(export: ExportResult) -> Iterator[str]:
    description = export.description
    own = {name: description.figures[name] for name in FIGURES if name in description.figures}
    if own:
        trial = f", trial {description.trial}" if description.trial else ""
        setting = _plain(description.figures_setting) or "the usual setting of the data set"
        data = f"the test identities of {_plain(description.dataset)}{trial}, {setting}, community protocol"
        note = EPOCH_NOTES[description.selected_on]
        yield f"The trained network at its last evaluation during training, on {data}, mean over all draws. {note}"
        yield from _table({"trained": own})
        yield from _note(description.figures_note)
    else:
        yield "The network was not evaluated during training."
    yield ""
    if not export.scores:
        yield "The exported file was not evaluated (`lba export --data` does that)."
        return
    yield f"The exported file, evaluated at export on {_plain(export.scores.setting)}:"
    exported, trained = export.scores.exported, export.scores.trained
    yield from _table({"trained, float32": trained, f"exported, {export.precision}": exported})
    differences = [f"{FIGURES[n]} {100 * (exported[n] - trained[n]):+.2f}" for n in FIGURES if n in trained]
    yield from ("", f"Difference in percentage points: {', '.join(differences)}.")
    yield from _thresholds(exported)
    yield from _note(export.scores.note)


def _thresholds(figures: Mapping[str, float]) -> Iterator[str]:
    """Yield a table of the scores from which on two images count as one person, if they were measured."""
    rates = [name.removeprefix(THRESHOLD) for name in figures if name.startswith(THRESHOLD)]
    if not rates:
        return
    yield from ("", "Scores from which on two images count as one person, on these images:", "")
    yield "| false accepts, percent of pairs | score | accepted pairs of one person, percent |"
    yield "| --- | --- | --- |"
    for rate in rates:
        cells = f"{100 * float(rate):g} | {figures[THRESHOLD + rate]:.4f} | {100 * figures[f'tar_at_{rate}']:.2f}"
        yield f"| {cells} |"


def _note(words: str) -> Iterator[str]:
    if words:
        yield from ("", f"**Note:** {_plain(words, LONGEST_NOTE)}.")


def _table(rows: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    names = [name for name in FIGURES if all(name in figures for figures in rows.values())]
    yield ""
    yield "| percent | " + " | ".join(FIGURES[name] for name in names) + " |"
    yield "|" + " --- |" * (len(names) + 1)
    for row, figures in rows.items():
        yield f"| {row} | " + " | ".join(f"{100 * figures[name]:.2f}" for name in names) + " |"


def _files(export: ExportResult) -> Iterator[str]:
    opset = f", opset {ONNX_OPSET}" if export.format == "onnx" else ""
    calibrated = f", calibrated on {_plain(export.calibration)}" if export.calibration else ""
    yield f"- format: {export.format}{opset}; weights in {export.precision}{calibrated}"
    for file in export.files:
        holds = f"{file.contents.stem} images" if file.contents.stem else "both modalities"
        yield f"- `{file.path.name}`: {holds}, {file.size:,} bytes, SHA-256 `{file.sha256}`"
    how = "measured when it was exported, on the CPU, with batches of 1 and 7 images of either modality"
    yield f"- largest deviation from the trained network's embeddings, which have unit length: {export.deviation:.1e} ({how})"


def _usage(export: ExportResult) -> Iterator[str]:
    height, width = export.description.height, export.description.width
    shapes = f"float32 (N, 3, {height}, {width})", f"float32 (N, {export.embedding_size}), unit length"
    yield f"- image: a picture of one person, RGB, resized to {height} × {width} (height × width) with the Lanczos filter"
    yield f"- images of more than 8 bits a pixel: read with {KEY}={shown(export.description.value_range)}"
    yield f"- normalisation: divided by 255, minus {MEAN}, divided by {STANDARD_DEVIATION}"
    if export.format in ("onnx", "pt2"):
        yield f"- input `{INPUTS[0]}`: {shapes[0]}, any N"
        if export.files[0].contents.stem:
            yield "- infrared images (three equal channels) go into the infrared file, visible ones into the visible file"
        else:
            yield f"- input `{INPUTS[1]}`: bool (N,), true for infrared images, which have three equal channels"
        yield f"- output `{OUTPUT}`: {shapes[1]}"
    else:
        call = 'lba_cli.model.load_network(FILE).embed(images, "visible")'
        yield f'- `{call}` or `"infrared"`: {shapes[0]} to {shapes[1]}'
    if export.format == "official":
        yield (
            "- the layout doesn't record the image size and the data set: programs assume 288 × 144 and SYSU-MM01. The "
            "tensors that the method doesn't use are copies of the trunk and of the visible stem"
        )
    if export.precision == "float32":
        yield "- embeddings can be compared with those of the trained network and of its other float32 exports"
    else:
        yield f"- compare embeddings of {export.precision} files only with each other: the trained network's differ slightly"
    yield "- compare embeddings by dot product; which score means a match depends on the cameras: measure it on their images"


def _plain(value: object, longest: int = LONGEST) -> str:
    """Return text of unknown origin on one line, with the marks of Markdown escaped."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)[:longest]).split())
    for mark in "\\|*_`<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text

"""The model card: a page of Markdown that tells whoever finds an exported file what it is and what it is not for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lba_cli.data.image_files import MEAN, STANDARD_DEVIATION
from lba_cli.export.embedding_model import INPUTS, OUTPUT, EmbedOne, Flavour
from lba_cli.model.checkpoint import Description
from lba_cli.vocabulary import ONNX_OPSET, ExportFormat

FIGURES = {"rank1": "rank-1", "rank5": "rank-5", "rank10": "rank-10", "rank20": "rank-20", "mAP": "mAP", "mINP": "mINP"}
# What a card tells of a run's configuration: dotted keys and what they are called.
SETTINGS = {
    "train.method": "method",
    "alignment.weighting": "weighting of the dense triplet",
    "train.epochs": "epochs",
    "train.seed": "seed",
    "train.precision": "arithmetic",
    "model.pretrained": "started from",
}
SYNTHETIC = "synthetic-"
LONGEST = 200  # letters of a stranger's text


@dataclass(frozen=True)
class Measuring:
    """How networks are scored: on what, in words, and the figures (fractions) of any function that embeds."""

    where: str
    figures: Callable[[EmbedOne], Mapping[str, float]]


@dataclass(frozen=True)
class Measured:
    """Figures of the trained and of the exported network, as fractions, and in words where they were measured."""

    where: str
    trained: Mapping[str, float]
    exported: Mapping[str, float]


@dataclass(frozen=True)
class ExportedFile:
    """A file that was written: its name, what it holds, its SHA-256 and its bytes."""

    path: Path
    flavour: Flavour
    sha256: str
    size: int


@dataclass(frozen=True)
class Export:
    """What was exported, and what was found out about it.

    Attributes:
        description: what the checkpoint says of the network.
        embedding_size: D.
        format: its name.
        files: what was written.
        deviation: the largest difference between the files' embeddings and the trained network's.
        measured: figures of both, where a data set was named.
    """

    description: Description
    embedding_size: int
    format: ExportFormat
    files: tuple[ExportedFile, ...]
    deviation: float
    measured: Measured | None = None

    @property
    def precision(self) -> str:
        """Of the weights."""
        return self.files[0].flavour.precision


def card_text(export: Export) -> str:
    """The card of an export, in Markdown."""
    names = " and ".join(f"`{file.path.name}`" for file in export.files)
    sections: dict[str, Sequence[str]] = {
        "Training": list(_training(export.description)),
        "Figures": list(_figures(export)),
        "The files": list(_files(export)),
        "Input and output": list(_usage(export)),
        "Licence": LICENCE,
        "Intended use": INTENDED,
        "Limits": list(_limits(export.description)),
        "What it must not be used for": FORBIDDEN,
    }
    lines = [
        "# Model card: visible-infrared person re-identification",
        "",
        f"{names}: a network that turns a picture of a person, from a visible-light or an infrared camera, into a vector "
        "whose dot product with another's tells how alike two people look. Method: *Learning by Aligning* (Park, Lee, "
        "Lee and Ham, ICCV 2021). Written by `lba export`.",
    ]
    for title, content in sections.items():
        lines += ["", f"## {title}", "", *content]
    return "\n".join(lines) + "\n"


def _training(description: Description) -> Iterator[str]:
    name = _plain(description.dataset) or "not known"
    split = f", trial {description.trial}" if description.trial else ""
    drawn = " (**synthetic people**, drawn by a program: no figure on them says how it does on photographs)"
    yield f"- data set: {name}{split}{drawn if description.dataset.startswith(SYNTHETIC) else ''}"
    yield f"- identities trained on: {description.num_classes}"
    yield f"- backbone: {description.backbone}, two stems and one trunk"
    yield f"- image size: {description.height} × {description.width} pixels (height × width)"
    yield f"- last epoch: {description.epoch if description.epoch >= 0 else 'not known'} (counted from 0)"
    for key, words in SETTINGS.items():
        section, _, setting = key.partition(".")
        value = description.config.get(section, {}).get(setting)
        if key == "alignment.weighting" and description.config.get("train", {}).get("method") == "baseline":
            continue
        yield f"- {words}: {'not known: the file has no settings' if value is None else _plain(value)}"


def _figures(export: Export) -> Iterator[str]:
    description = export.description
    own = {name: description.figures[name] for name in FIGURES if name in description.figures}
    if own:
        split = f", trial {description.trial}" if description.trial else ""
        yield (
            f"Of the trained network when it was last evaluated in training, on the test identities of "
            f"{_plain(description.dataset)}{split}, {_plain(description.figures_setting) or 'the usual setting of the data set'}, community protocol, "
            "mean of its trials. The epoch may have been chosen by these figures, as is the habit of the field."
        )
        yield from _table({"trained": own})
    else:
        yield "In training: not evaluated."
    yield ""
    if export.measured:
        yield f"At the export, {_plain(export.measured.where)}:"
        exported, trained = export.measured.exported, export.measured.trained
        lost = {name: exported[name] - trained[name] for name in FIGURES if name in trained}
        yield from _table({"trained, float32": trained, f"exported, {export.precision}": exported})
        yield ""
        yield (
            "Difference in points: " + ", ".join(f"{FIGURES[n]} {100 * value:+.2f}" for n, value in lost.items()) + "."
        )
    else:
        yield "Of the exported file: not evaluated (`lba export --data` does that)."


def _table(rows: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    names = [name for name in FIGURES if all(name in figures for figures in rows.values())]
    yield ""
    yield "| percent | " + " | ".join(FIGURES[name] for name in names) + " |"
    yield "|" + " --- |" * (len(names) + 1)
    for row, figures in rows.items():
        yield f"| {row} | " + " | ".join(f"{100 * figures[name]:.2f}" for name in names) + " |"


def _files(export: Export) -> Iterator[str]:
    opset = f", opset {ONNX_OPSET}" if export.format == "onnx" else ""
    yield f"- format: {export.format}{opset}; weights in {export.precision}"
    for file in export.files:
        holds = f"{file.flavour.stem} images" if file.flavour.stem else "both modalities"
        yield f"- `{file.path.name}`: {holds}, {file.size:,} bytes, SHA-256 `{file.sha256}`"
    yield (
        f"- largest deviation from the trained network's embeddings, which have unit length: {export.deviation:.1e} (measured "
        "at the export, on the CPU, batches of 1 and 7 of either modality)"
    )


def _usage(export: Export) -> Iterator[str]:
    height, width = export.description.height, export.description.width
    yield f"- image: a picture of one person, RGB, resized to {height} × {width} (height × width) with Lanczos' filter"
    yield f"- normalisation: divided by 255, minus {MEAN}, divided by {STANDARD_DEVIATION}"
    if export.format in ("onnx", "pt2"):
        yield f"- input `{INPUTS[0]}`: float32 (N, 3, {height}, {width}), any N"
        if export.files[0].flavour.stem:
            yield "- infrared images (three equal channels) go into the infrared file, visible ones into the visible file"
        else:
            yield f"- input `{INPUTS[1]}`: bool (N,), true for infrared images, which have three equal channels"
        yield f"- output `{OUTPUT}`: float32 (N, {export.embedding_size}), unit length"
    else:
        yield (
            f'- `lba_cli.model.load_network(FILE).embed(images, "visible")` or `"infrared"`: float32 (N, 3, {height}, {width}) '
            f"to float32 (N, {export.embedding_size}), unit length"
        )
    if export.format == "official":
        yield (
            "- the layout can't tell image size or data set: programs take it for 288 × 144 and SYSU-MM01. The parts the "
            "method doesn't use hold copies of the trunk and of the visible stem"
        )
    if export.precision == "float32":
        yield "- embeddings can be compared with the trained network's own, and with every other float32 export of it"
    else:
        yield f"- compare embeddings of {export.precision} files with each other alone: the trained network's are a little off"
    yield "- compare by dot product; which score is high enough depends on the cameras and has to be found on images of them"


LICENCE = (
    "The software is under the MIT licence. The licence of these weights is for whoever trained them to state here; the "
    "agreement under which a data set was released (SYSU-MM01, RegDB and LLCM have one) may restrict their use, commonly to "
    "research that isn't commercial, and their being passed on.",
)
INTENDED = (
    "Research on cross-modality retrieval, and search among images that may lawfully be searched, of people who consented or "
    "where the law allows it, with a human judging every result.",
)
FORBIDDEN = (
    "Person re-identification is the processing of biometric data, or biometric identification, in many jurisdictions (among "
    "them the European Union's GDPR and AI Act), and is forbidden or needs a legal basis there.",
    "",
    "- not without the consent of the people in the images, or a law that allows it",
    "- not to track people in secret, in public or at work, nor to single out groups of them",
    "- not as the ground for any decision about a person: a high score is a resemblance, not an identity",
)


def _limits(description: Description) -> Iterator[str]:
    yield "- It goes by build, clothing and what is carried: people who change clothes are lost, alike ones are confused."
    yield "- It ranks whatever it is given: also a gallery that the person isn't in has a best match."
    yield "- Other cameras, resolutions, crops or seasons than in training lower the figures, by how much is not known."
    yield "- How the errors spread over sex, age, skin and clothing was not measured."
    if description.dataset.startswith(SYNTHETIC):
        yield "- **Trained on synthetic people**: for trying things out; not for photographs of anybody."


def _plain(value: object) -> str:
    """A stranger's text that Markdown shows as it is, on one line."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)[:LONGEST]).split())
    for mark in "\\|*_`<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text

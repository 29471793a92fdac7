"""Collect the data of a report from a network, a data set and a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lba_cli.config import Config
from lba_cli.data.store import ImageSource
from lba_cli.datasets import get_dataset
from lba_cli.errors import DataError
from lba_cli.evaluation.correspondence_results import (
    CHANCE,
    COLUMNS,
    ModelCorrespondences,
    row_cells,
    table_rows,
    title,
)
from lba_cli.evaluation.correspondences import PREDICTIONS, configured_accuracy
from lba_cli.evaluation.embedding import Embeddings, embed_views
from lba_cli.evaluation.leakage import selection_note
from lba_cli.evaluation.network_embedder import PLAIN
from lba_cli.evaluation.result import FIGURES, Result, ScoredModel
from lba_cli.evaluation.results import EvaluationResults
from lba_cli.evaluation.scoring import SettingDraws, draw_setting, score
from lba_cli.evaluation.setting_choice import choose_settings
from lba_cli.evaluation.true_places import has_truth
from lba_cli.evaluation.variants import choose_variants
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description
from lba_cli.reporting import Listener
from lba_cli.visualize.curves import label
from lba_cli.visualize.people import PictureOptions, choose_people
from lba_cli.visualize.report.album import Album, ImageEncoder
from lba_cli.visualize.report.comparison import Confusion, compare, confusions, distances, worst_pairs
from lba_cli.visualize.report.embedding_map import embedding_map
from lba_cli.visualize.report.matching import in_album, matched_people
from lba_cli.visualize.report.ranked_lists import ranked_lists
from lba_cli.visualize.report.roc_curve import roc_curve
from lba_cli.visualize.report.run_curves import cmc, curves

ONE_OF_TEN = "this is one of ten trials; papers report the mean over all of them (lba evaluate --trials all)"


@dataclass(frozen=True)
class Subject:
    """The model that a report is about, the config of its evaluation, and the run's records if it is in a run folder.

    ``note`` is a remark for readers of the figures.
    """

    network: TwoStreamNetwork
    description: Description
    model: ScoredModel
    config: Config
    records: list[dict[str, Any]] | None = None
    note: str = ""


@dataclass(frozen=True)
class Bounds:
    """The largest numbers of queries, people and images that a report shows."""

    queries: int = 120  # queries with their ranked lists
    top: int = 10  # gallery images in each list
    people: int = 8  # people with correspondences and masks
    points: int = 1000  # images on the map of embeddings

    def halved(self) -> Bounds | None:
        """Return bounds with half of every number except ``top``; None if no number can be halved any more."""
        queries, people, points = max(1, self.queries // 2), max(1, self.people // 2), max(2, self.points // 2)
        smaller = replace(self, queries=queries, people=people, points=points)
        return None if smaller == self else smaller


@dataclass(frozen=True)
class Findings:
    """The results that need the network. They are computed once, even if the report must be made again with less content."""

    subject: Subject
    source: ImageSource
    drawn: tuple[SettingDraws, ...]
    results: tuple[Result, ...]
    embeddings: Embeddings
    people: tuple[dict[str, Any], ...]
    confused: Mapping[tuple[int, int], Confusion]
    encoder: ImageEncoder
    seed: int
    correspondences: tuple[ModelCorrespondences, ...] = ()


def analyse(subject: Subject, source: ImageSource, bounds: Bounds, seed: int, listener: Listener) -> Findings:
    """Embed the test images, score every setting, and match the images of some people.

    Raises:
        DataError: there are no queries or gallery images, or fewer than two people have images of both modalities.
        ConfigError: the data set lacks a setting that the config asks for.
    """
    section = subject.config.evaluation
    drawn = tuple(draw_setting(source, setting) for setting in choose_settings(section, source))
    variants = choose_variants(section, [subject.network.retrieval])
    people = choose_people(source.samples, PictureOptions(people=bounds.people, seed=seed))
    embeddings = embed_views(
        subject.network,
        source,
        set().union(*(each.samples() for each in drawn)),
        list(dict.fromkeys([PLAIN, *(variant.view for variant in variants)])),
        listener=listener,
        batch_size=section.batch_size,
        workers=subject.config.data.workers,
    )
    results = score(source, drawn, embeddings, variants, listener=listener, model=subject.model)
    root = subject.config.data.root if get_dataset(source.dataset).split_is_drawn else ""
    rooted = tuple(replace(result, root=root) for result in results)
    temperature = subject.config.alignment.temperature
    matched = matched_people(subject.network, source, people, temperature=temperature, seed=seed, listener=listener)
    plain = embeddings[PLAIN]
    confused = confusions(source, (compare(source, draw, plain) for draw in drawn[0].draws))
    known = _measured(subject, source, listener) if has_truth(source) else ()
    return Findings(subject, source, drawn, rooted, plain, tuple(matched), confused, ImageEncoder(source), seed, known)


def _measured(subject: Subject, source: ImageSource, listener: Listener) -> tuple[ModelCorrespondences, ...]:
    """Measure the correspondences; warn and return nothing if there are no pairs of images, or their truth is damaged."""
    try:
        found = configured_accuracy(subject.network, source, subject.config, listener)
    except DataError as problem:
        listener.warn(f"the report has no figures of correspondences: {problem}")
        return ()
    return (ModelCorrespondences(subject.model.name, (found,)),)


def assemble(findings: Findings, bounds: Bounds, requested: Bounds, listener: Listener) -> dict[str, Any]:
    """Return the report's content as plain values for JSON; ``bounds`` may be smaller than ``requested`` to save space."""
    source, embeddings, album = findings.source, findings.embeddings, Album(findings.source)
    first = compare(source, findings.drawn[0].draws[0], embeddings)
    samples = findings.drawn[0].samples()
    data = {
        "summary": _summary(findings, bounds, requested),
        "curves": curves(findings.subject.records),
        "cmc": cmc(findings.results),
        "lists": ranked_lists(source, first, album, queries=bounds.queries, top=bounds.top, seed=findings.seed),
        "correspondences": _correspondences(findings.correspondences),
        "people": [in_album(person, album) for person in findings.people[: bounds.people]],
        "map": embedding_map(embeddings, samples, album, points=bounds.points, seed=findings.seed, listener=listener),
        "distances": distances(first),
        "roc": roc_curve(first),
        "confusions": worst_pairs(dict(findings.confused), album),
    }
    data["images"] = album.as_json(findings.encoder, listener)
    return data


def _summary(findings: Findings, bounds: Bounds, requested: Bounds) -> dict[str, Any]:
    subject, source = findings.subject, findings.source
    report = EvaluationResults((findings.results,))
    chosen = selection_note(subject.model)
    return {
        "model": subject.model.name,
        "dataset": source.name,
        "synthetic": source.name.startswith("synthetic"),
        "title": report.title(),
        "inflation_note": subject.note,
        "notes": [*report.notes(), *([chosen] if chosen else []), *([ONE_OF_TEN] if source.trial else [])],
        "cmc_counts": get_dataset(source.dataset).match_rules.cmc_counts,
        "shown_setting": str(findings.drawn[0].setting),
        "facts": _facts(subject, source),
        "columns": [label(name) for name in FIGURES],
        "figures": _figures(findings.results),
        "config": [
            [f"{section}.{key}", str(value)]
            for section, keys in subject.config.values().items()
            for key, value in keys.items()
        ],
        "has_run": subject.records is not None,
        "image_size": [source.height, source.width],
        "bounds": vars(bounds),
        "requested": vars(requested) if bounds != requested else None,
    }


def _correspondences(models: Sequence[ModelCorrespondences]) -> dict[str, Any] | None:
    """Return the table of correspondences with a known truth; None without a truth."""
    if not models:
        return None
    rows = [
        [row.stage if row.prediction not in CHANCE else "", PREDICTIONS[row.prediction], *row_cells(row)]
        for row in table_rows(models)
    ]
    return {"title": title(models), "columns": ["stage", "prediction", *COLUMNS.values()], "rows": rows}


def _facts(subject: Subject, source: ImageSource) -> list[list[str]]:
    """Return a list of [name, value] facts about the model and the data; unknown facts are left out."""
    description = subject.description
    facts = {
        "checkpoint": subject.model.path,
        "trained on": subject.model.trained_on,
        "evaluated on": f"{source.name}, trial {source.trial}" if source.trial else source.name,
        "method": description.method,
        "retrieval feature": subject.network.retrieval,
        "backbone": description.backbone,
        "image size": f"{source.height} × {source.width} pixels",
        "training identities": description.num_classes,
        "epoch, counted from 0": description.epoch if description.epoch >= 0 else "",
    }
    return [[name, str(value)] for name, value in facts.items() if value != ""]


def _figures(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return a row for each result, with the mean and the standard deviation of every figure."""
    rows = []
    for result in results:
        mean, spread = result.mean(), result.spread()
        rows.append(
            {
                "setting": str(result.setting),
                "variant": result.variant,
                "draws": len(result.trials),
                "queries": result.query_words(),
                "gallery": result.num_gallery,
                "figures": [[name, mean[name], spread[name]] for name in FIGURES],
            }
        )
    return rows

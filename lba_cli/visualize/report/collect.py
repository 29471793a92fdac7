"""From a network, a data set and a run to the plain data of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lba_cli.config import Config
from lba_cli.data.store import ImageSource
from lba_cli.datasets import get_dataset
from lba_cli.evaluation.embedding import PLAIN, Embeddings, embed_views
from lba_cli.evaluation.leakage import inflation_note
from lba_cli.evaluation.results import FIGURES, Origin, Report, Result
from lba_cli.evaluation.scoring import SettingDraws, draw_setting, score
from lba_cli.evaluation.setting_choice import choose_settings
from lba_cli.evaluation.variants import choose_variants
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Description
from lba_cli.reporting import Listener
from lba_cli.visualize.people import choose_people
from lba_cli.visualize.report.album import Album, Encoded
from lba_cli.visualize.report.confusions import Confusion, confusions, distances, worst_pairs
from lba_cli.visualize.report.embedding_map import embedding_map
from lba_cli.visualize.report.matching import in_album, matched_people
from lba_cli.visualize.report.ranked_lists import ranked_lists
from lba_cli.visualize.report.run_curves import cmc, curves

ONE_OF_TEN = "one of ten trials; papers report the mean over all of them (lba evaluate --trials all)"


@dataclass(frozen=True)
class Subject:
    """What a report is about.

    Attributes:
        network: the trained one, on its device.
        description: what its checkpoint says of it.
        origin: the checkpoint's name, and that of the data set it was trained on.
        config: how it is evaluated.
        records: the lines of its run's ``metrics.jsonl``; None where the checkpoint has no run's folder.
    """

    network: TwoStreamNetwork
    description: Description
    origin: Origin
    config: Config
    records: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Bounds:
    """How much a report shows.

    Attributes:
        queries: ranked lists.
        top: gallery images in each.
        people: whose correspondences and masks.
        points: images on the map.
    """

    queries: int = 120
    top: int = 10
    people: int = 8
    points: int = 1000

    def halved(self) -> Bounds | None:
        """Half as much of everything but the lists' lengths; None where nothing is left to halve."""
        smaller = replace(
            self,
            queries=max(1, self.queries // 2),
            people=max(1, self.people // 2),
            points=max(2, self.points // 2),
        )
        return None if smaller == self else smaller


@dataclass(frozen=True)
class Findings:
    """What the network was asked for, once, whatever the report then shows of it."""

    subject: Subject
    source: ImageSource
    drawn: tuple[SettingDraws, ...]
    results: tuple[Result, ...]
    embeddings: Embeddings
    people: tuple[dict[str, Any], ...]
    confused: Mapping[tuple[int, int], Confusion]
    encoded: Encoded
    seed: int


def ask(subject: Subject, source: ImageSource, bounds: Bounds, seed: int, listener: Listener) -> Findings:
    """Embed the test images, score every setting, and match the positions of some people.

    Raises:
        DataError: there is nothing to rank, or too few people to match. ConfigError: the data set lacks a setting.
    """
    section = subject.config.evaluation
    drawn = tuple(draw_setting(source, setting) for setting in choose_settings(section, source))
    ways = choose_variants(section)
    people = choose_people(source.samples, bounds.people, seed)
    embeddings = embed_views(
        subject.network,
        source,
        set().union(*(trials.samples() for trials in drawn)),
        list(dict.fromkeys([PLAIN, *(way.view for way in ways)])),
        listener=listener,
        batch_size=section.batch_size,
        workers=subject.config.data.workers,
    )
    results = score(source, drawn, embeddings, ways, listener=listener, origin=subject.origin)
    root = subject.config.data.root if get_dataset(source.dataset).split_is_drawn else ""
    rooted = tuple(replace(result, root=root) for result in results)
    temperature = subject.config.alignment.temperature
    matched = matched_people(subject.network, source, people, temperature=temperature, seed=seed, listener=listener)
    confused = confusions(source, drawn[0].draws, embeddings[PLAIN])
    return Findings(subject, source, drawn, rooted, embeddings[PLAIN], tuple(matched), confused, Encoded(source), seed)


def assemble(findings: Findings, bounds: Bounds, asked: Bounds, listener: Listener) -> dict[str, Any]:
    """The report as plain values that JSON can hold; ``asked`` is what ``bounds`` were before the file got too large."""
    source, embeddings = findings.source, findings.embeddings
    trials, album = findings.drawn[0], Album(findings.source)
    first = trials.draws[0]
    data = {
        "summary": _summary(findings, bounds, asked),
        "curves": curves(findings.subject.records),
        "cmc": cmc(findings.results),
        "lists": ranked_lists(
            source, first, embeddings, album, queries=bounds.queries, top=bounds.top, seed=findings.seed
        ),
        "people": [in_album(person, album) for person in findings.people[: bounds.people]],
        "map": embedding_map(
            embeddings, trials.samples(), album, points=bounds.points, seed=findings.seed, listener=listener
        ),
        "distances": distances(source, first, embeddings),
        "confusions": worst_pairs(dict(findings.confused), album),
    }
    data["images"] = album.as_json(findings.encoded, listener)
    return data


def _summary(findings: Findings, bounds: Bounds, asked: Bounds) -> dict[str, Any]:
    subject, source = findings.subject, findings.source
    report = Report((findings.results,))
    first = findings.drawn[0].setting
    return {
        "model": subject.origin.name,
        "dataset": source.name,
        "synthetic": source.name.startswith("synthetic"),
        "title": report.title(),
        "inflated": inflation_note([(subject.description, source)]),
        "notes": [*report.notes(), *([ONE_OF_TEN] if source.trial else [])],
        "cmc_counts": get_dataset(source.dataset).match_rules.cmc_counts,
        "shown_setting": str(first),
        "direction": findings.results[0].direction,
        "facts": _facts(subject, source),
        "figures": _table(findings.results),
        "settings": _flat(subject.config.values()),
        "has_run": subject.records is not None,
        "size": [source.height, source.width],
        "bounds": vars(bounds),
        "asked": vars(asked) if bounds != asked else None,
    }


def _facts(subject: Subject, source: ImageSource) -> list[list[str]]:
    described = subject.description
    method = described.config.get("train", {}).get("method", "")
    facts = {
        "checkpoint": subject.origin.model,
        "trained on": subject.origin.trained_on,
        "scored on": f"{source.name}, trial {source.trial}" if source.trial else source.name,
        "method": method,
        "backbone": described.backbone,
        "image size": f"{source.height} × {source.width} pixels",
        "identities trained on": str(described.num_classes),
        "epoch, counted from 0": str(described.epoch) if described.epoch >= 0 else "",
    }
    return [[name, str(value)] for name, value in facts.items() if value]


def _table(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {
            "setting": str(result.setting),
            "variant": result.variant,
            "trials": len(result.trials),
            "queries": result.query_words(),
            "gallery": result.num_gallery,
            "figures": [[name, result.mean()[name], result.spread()[name]] for name in FIGURES],
        }
        for result in results
    ]


def _flat(values: Mapping[str, Any]) -> list[list[str]]:
    """Settings as dotted keys and words."""
    return [[f"{section}.{key}", str(value)] for section, keys in values.items() for key, value in keys.items()]

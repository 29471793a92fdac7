"""Show ranked lists as tables, JSON and pictures, and the contents of an index as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from lba_cli.errors import one_line
from lba_cli.files import write_text

if TYPE_CHECKING:
    from lba_cli.reporting import Listener
    from lba_cli.search.gallery import Gallery, Hit
    from lba_cli.search.rank_images import RankedList, RankingOptions

MOST_DRAWN, MOST_COLUMNS = 20, 20


def ranking_table(ranked: RankedList, least: float | None = None) -> Table:
    """Return the table of one query's ranked list. The paths of gallery images below the current folder are relative.

    For an empty list, the table says that no gallery image scores ``least`` or more.
    """
    nobody = f"nobody in the gallery scores {least:.4f} or more" if least is not None and not ranked.hits else None
    table = Table(title=one_line(ranked.query), caption=nobody, box=box.SIMPLE, padding=(0, 1), title_justify="left")
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    known = [name for name in ("identity", "camera") if any(name in _label(hit) for hit in ranked.hits)]
    for name in known:
        table.add_column(name)
    table.add_column("gallery", overflow="fold")
    for rank, hit in enumerate(ranked.hits, start=1):
        labels = [one_line(_label(hit).get(name, "")) for name in known]
        table.add_row(str(rank), f"{hit.score:.4f}", *labels, one_line(_from_here(hit.path)))
    return table


def write_lists(
    path: Path, gallery: Gallery, modality: str, options: RankingOptions, lists: Sequence[RankedList], force: bool
) -> None:
    """Write the ranked lists to ``path`` as JSON. With ``force``, an existing file is replaced."""
    content = {
        "index": gallery.place,
        "model": gallery.description.model,
        "engine": options.engine,
        "min_score": options.min_score,
        "together": options.together,
        "tracks": options.tracks,
        "query_modality": modality,
        "gallery_modality": gallery.description.modality,
        "gallery_images": gallery.images,
        "queries": [
            {
                "query": each.query,
                "images": list(each.images),
                "results": [
                    {"rank": rank, "path": hit.path, "score": hit.score, **_label(hit)}
                    for rank, hit in enumerate(each.hits, start=1)
                ],
            }
            for each in lists
        ],
    }
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n", replace=force)


def _label(hit: Hit) -> dict[str, str | int]:
    """Return what the gallery knows of a hit besides its path."""
    known = {"identity": hit.identity, "camera": hit.camera}
    return {name: value for name, value in known.items() if value is not None}


def draw_lists(path: Path, gallery: Gallery, lists: Sequence[RankedList], force: bool, listener: Listener) -> None:
    """Draw the ranked lists of the first queries, and report queries that are left out and images that can't be read."""
    from lba_cli.visualize.canvas import save
    from lba_cli.visualize.search_results import ranked_lists

    if len(lists) > MOST_DRAWN:
        listener.say(f"{path} shows the first {MOST_DRAWN} of {len(lists)} queries")
    drawn = [(each.query, each.hits[:MOST_COLUMNS]) for each in lists[:MOST_DRAWN]]
    save(ranked_lists(drawn, gallery.description, listener), path, force=force)


def info_table(gallery: Gallery) -> Table:
    """Return the table of a gallery's contents."""
    made = gallery.description
    table = Table(title=one_line(gallery.place), box=box.SIMPLE, show_header=False, title_justify="left")
    rows = {
        "images": f"{gallery.images:,} {made.modality}",
        "embeddings": f"{made.dimension} numbers each, computed in {made.precision}",
        "image size": f"{made.height}×{made.width}",
        "model": f"{one_line(made.origin)} (weights {made.model:.12})",
        "thresholds": "; ".join(
            f"{modality} queries: {', '.join(f'{score:.4f} at FAR {far}' for far, score in levels.items())}"
            for modality, levels in made.thresholds.items()
        )
        or "none",
        **gallery.facts(),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _from_here(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path

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
    from lba_cli.search.index import Index
    from lba_cli.search.rank_images import RankedList, RankingOptions

MOST_DRAWN, MOST_COLUMNS = 20, 20


def ranking_table(ranked: RankedList, least: float | None = None) -> Table:
    """Return the table of one query's ranked list. The paths of gallery images below the current folder are relative.

    An empty list says that nobody scores ``least``.
    """
    nobody = f"nobody in the gallery scores {least:.4f} or more" if least is not None and not ranked.hits else None
    table = Table(title=one_line(ranked.query), caption=nobody, box=box.SIMPLE, padding=(0, 1), title_justify="left")
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    table.add_column("gallery", overflow="fold")
    for rank, hit in enumerate(ranked.hits, start=1):
        table.add_row(str(rank), f"{hit.score:.4f}", one_line(_from_here(hit.path)))
    return table


def write_lists(
    path: Path, index: Index, modality: str, options: RankingOptions, lists: Sequence[RankedList], force: bool
) -> None:
    """Write the ranked lists to ``path`` as JSON. With ``force``, an existing file is replaced."""
    content = {
        "index": str(index.folder),
        "model": index.manifest.model,
        "engine": options.engine,
        "min_score": options.min_score,
        "together": options.together,
        "tracks": options.tracks,
        "query_modality": modality,
        "gallery_modality": index.manifest.modality,
        "gallery_images": index.manifest.images,
        "queries": [
            {
                "query": each.query,
                "images": list(each.images),
                "results": [
                    {"rank": rank, "path": hit.path, "score": hit.score} for rank, hit in enumerate(each.hits, start=1)
                ],
            }
            for each in lists
        ],
    }
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n", replace=force)


def draw_lists(path: Path, index: Index, lists: Sequence[RankedList], force: bool, listener: Listener) -> None:
    """Draw the ranked lists of the first queries, and report queries that are left out and images that can't be read."""
    from lba_cli.visualize.canvas import save
    from lba_cli.visualize.search_results import ranked_lists

    if len(lists) > MOST_DRAWN:
        listener.say(f"{path} shows the first {MOST_DRAWN} of {len(lists)} queries")
    drawn = [(each.query, each.hits[:MOST_COLUMNS]) for each in lists[:MOST_DRAWN]]
    save(ranked_lists(drawn, index.manifest, listener), path, force=force)


def info_table(index: Index) -> Table:
    """Return the table of an index's contents."""
    made = index.manifest
    table = Table(title=one_line(index.folder), box=box.SIMPLE, show_header=False, title_justify="left")
    rows = {
        "images": f"{made.images:,} {made.modality}",
        "embeddings": f"{made.dimension} numbers each, {made.vectors.bytes:,} bytes",
        "image size": f"{made.height}×{made.width}",
        "model": f"{one_line(made.origin)} (weights {made.model:.12})",
        "thresholds": "; ".join(
            f"{modality} queries: {', '.join(f'{score:.4f} at FAR {far}' for far, score in levels.items())}"
            for modality, levels in made.thresholds.items()
        )
        or "none",
        "FAISS": f"{made.faiss.bytes:,} bytes" if made.faiss else "none",
        "first, last": f"{one_line(index.paths[0])}\n{one_line(index.paths[-1])}",
        "state": "intact: every byte is as it was written",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _from_here(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path

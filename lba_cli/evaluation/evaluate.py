"""Evaluate a network: every image that takes part is embedded once, for all settings, draws and variants."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lba_cli import processes
from lba_cli.data.store import ImageSource
from lba_cli.datasets import Setting
from lba_cli.evaluation.embedding import embed_views
from lba_cli.evaluation.feature_files import write_features
from lba_cli.evaluation.network_embedder import PLAIN
from lba_cli.evaluation.result import UNKNOWN_MODEL, Result, ScoredModel
from lba_cli.evaluation.scoring import draw_setting, score
from lba_cli.evaluation.variants import Variant
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener
from lba_cli.vocabulary import EmbeddingPrecision


@dataclass(frozen=True)
class EvaluationOptions:
    """The options of :func:`evaluate`.

    Attributes:
        variants: how distances are computed.
        model: what the results say about the network.
        batch_size, workers: the number of images that are loaded at a time, and of processes that load them.
        save_features: a file to which the plain embeddings of every test image are written as well.
        note: a remark for readers of the figures, which is written to that file.
        verify: whether the results also say how well pairs of images are verified.
        precision: the arithmetic of the network, see :class:`~lba_cli.evaluation.network_embedder.NetworkEmbedder`.
    """

    variants: Sequence[Variant] = (Variant(),)
    model: ScoredModel = UNKNOWN_MODEL
    batch_size: int = 128
    workers: int | None = None
    save_features: Path | None = None
    note: str = ""
    verify: bool = False
    precision: EmbeddingPrecision = "float32"


def evaluate(
    network: TwoStreamNetwork,
    source: ImageSource,
    settings: Sequence[Setting],
    *,
    listener: Listener,
    options: EvaluationOptions = EvaluationOptions(),
) -> list[Result]:
    """Score ``network`` on the test images of ``source``; return a result per setting and variant, grouped by setting.

    In a job of several processes (:mod:`lba_cli.processes`), each embeds a share of the images. One process scores them,
    and all processes return its results.

    Raises:
        DataError: there are no test images, or the draws don't fit this copy of the data set.
    """
    drawn = [draw_setting(source, setting) for setting in settings]
    needed = set().union(*(each.samples() for each in drawn))
    views = dict.fromkeys(variant.view for variant in options.variants)
    if options.save_features:
        needed = {index for index, sample in enumerate(source.samples) if sample.split == "test"}
        views = {PLAIN: None, **views}
    embeddings = embed_views(
        network,
        source,
        needed,
        list(views),
        listener=listener,
        batch_size=options.batch_size,
        workers=options.workers,
        precision=options.precision,
    )
    device = next(network.parameters()).device

    def write_and_score() -> list[Result]:
        if options.save_features:
            facts = {"trained_on": options.model.trained_on, "note": options.note}
            write_features(options.save_features, source, sorted(needed), embeddings[PLAIN], **facts)
        return score(
            source,
            drawn,
            embeddings,
            options.variants,
            listener=listener,
            model=options.model,
            device=device,
            verify=options.verify,
        )

    return processes.run_on_writer(write_and_score)

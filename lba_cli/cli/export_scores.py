"""Score the trained and the exported network of ``lba export --data``, and describe both results as ``lba evaluate`` does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from lba_cli.cli.checkpoints import OpenedCheckpoint
from lba_cli.cli.evaluate_models import scored_model
from lba_cli.evaluation.embedding import embed_through
from lba_cli.evaluation.network_embedder import PLAIN
from lba_cli.evaluation.result import Result
from lba_cli.evaluation.results import EvaluationResults
from lba_cli.evaluation.scoring import draw_setting, score
from lba_cli.evaluation.setting_choice import selection_setting
from lba_cli.evaluation.verification_results import verification_means
from lba_cli.export import ExportResult, ExportScorer
from lba_cli.model.checkpoint import fingerprint

if TYPE_CHECKING:
    from lba_cli.export.embedding_model import EmbedOne


class ExportScoring:
    """Scores embedding functions on a data set in its usual setting.

    Args:
        opened: the trained network, with its data set and options.

    Attributes:
        results: a result for each function that has been scored.
    """

    def __init__(self, opened: OpenedCheckpoint) -> None:
        self._opened = opened
        self._source, self._note = opened.images_to_score()
        if self._note:
            opened.listener.warn(self._note)
        self._drawn = draw_setting(self._source, selection_setting(self._source))
        self.results: list[Result] = []

    def scorer(self) -> ExportScorer:
        """Return what :func:`lba_cli.export.export` calls for the trained network, and then for the exported one."""
        setting, count = self._drawn.setting, len(self._drawn.draws)
        split = f", trial {self._source.trial}" if self._source.trial else ""
        where = (
            f"{self._source.name}{split}, {setting.mode}, {setting.gallery_words}, {setting.protocol} protocol, "
            f"{'1 draw' if count == 1 else f'mean of {count} draws'}"
        )
        return ExportScorer(where, self._score, self._note)

    def as_json(self, exported: ExportResult) -> str:
        """Return both results as JSON, in the form of ``lba evaluate --json``."""
        names = " and ".join(str(file.path) for file in exported.files)
        network = fingerprint(self._opened.network.state_dict())
        models = [
            replace(scored_model(str(path), self._opened, self._source), fingerprint=identity)
            for path, identity in ((self._opened.path, network), (names, exported.fingerprint))
        ]
        scored = [
            (replace(result, model=model, note=self._note),) for result, model in zip(self.results, models, strict=True)
        ]
        return EvaluationResults(tuple(scored)).as_json(
            checkpoint=str(self._opened.path), epoch=self._opened.description.epoch
        )

    def _score(self, embed: "EmbedOne") -> Mapping[str, float]:
        opened, source = self._opened, self._source
        embeddings = embed_through(
            embed,
            opened.network.embedding_size,
            source,
            self._drawn.samples(),
            listener=opened.listener,
            batch_size=opened.config.evaluation.batch_size,
            workers=opened.config.data.workers,
        )
        several = len({source.samples[index].identity for index in self._drawn.draws[0].gallery}) > 1
        (result,) = score(source, [self._drawn], {PLAIN: embeddings}, listener=opened.listener, verify=several)
        self.results.append(result)
        (verified,) = verification_means(result.verification) or ({},)
        return {**result.mean(), **verified}

"""Score the trained and the exported network of ``lba export --data``, and describe both results as ``lba evaluate`` does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from lba_cli.cli.checkpoints import OpenedCheckpoint
from lba_cli.cli.evaluate_models import complete, scored_model
from lba_cli.config import EvaluationSection
from lba_cli.evaluation.embedding import embed_through
from lba_cli.evaluation.network_embedder import PLAIN
from lba_cli.evaluation.result import Result
from lba_cli.evaluation.results import EvaluationResults
from lba_cli.evaluation.scoring import draw_setting, require_scorable, score
from lba_cli.evaluation.setting_choice import choose_settings, selection_setting
from lba_cli.evaluation.verification_results import THRESHOLDS
from lba_cli.export import ExportResult, ExportScorer
from lba_cli.model.checkpoint import fingerprint

if TYPE_CHECKING:
    from lba_cli.export.embedding_model import EmbedOne


class ExportScoring:
    """Scores embedding functions on a data set: in the setting that papers report most, and on request in all usual ones.

    Args:
        opened: the trained network, with its data set and options.
        every_direction: whether all usual settings are scored. Thresholds belong to a direction.

    Attributes:
        results: for each function that has been scored, its results in every setting.

    Raises:
        DataError: the data set can't be scored, or the network was trained on some of its test people.
    """

    def __init__(self, opened: OpenedCheckpoint, *, every_direction: bool = False) -> None:
        self._opened = opened
        self._source, self._note = opened.images_to_score()
        require_scorable(self._source)
        if self._note:
            opened.listener.warn(self._note)
        first = selection_setting(self._source)
        others = choose_settings(EvaluationSection(), self._source) if every_direction else []
        self._drawn = [draw_setting(self._source, each) for each in dict.fromkeys([first, *others])]
        gallery = self._drawn[0].draws[0].gallery
        self._several = len({self._source.samples[index].identity for index in gallery}) > 1
        self.results: list[list[Result]] = []

    @property
    def has_thresholds(self) -> bool:
        """Whether scores for rates of false accepts are known of the function that was scored last."""
        return any(not THRESHOLDS.keys().isdisjoint(result.verification_mean()) for result in self.results[-1])

    def scorer(self) -> ExportScorer:
        """Return what :func:`lba_cli.export.export` calls for the trained network, and then for the exported one."""
        setting, count = self._drawn[0].setting, len(self._drawn[0].draws)
        split = f", trial {self._source.trial}" if self._source.trial else ""
        where = (
            f"{self._source.name}{split}, {setting.mode}, {setting.gallery_words}, {setting.protocol} protocol, "
            f"{'1 draw' if count == 1 else f'mean of {count} draws'}"
        )
        return ExportScorer(where, self._score, self._note)

    def as_json(self, exported: ExportResult) -> str:
        """Return the results of the trained and of the exported network as JSON, in the form of ``lba evaluate --json``."""
        opened = self._opened
        names = " and ".join(str(file.path) for file in exported.files)
        known = ((str(opened.path), fingerprint(opened.network.state_dict())), (names, exported.fingerprint))
        models = []
        for results, (path, identity) in zip(self.results, known, strict=True):
            model = replace(scored_model(path, opened, self._source), fingerprint=identity)
            described = [replace(result, model=model) for result in results]
            models.append(complete(described, opened, self._source, self._note))
        return EvaluationResults(tuple(models)).as_json(checkpoint=str(opened.path), epoch=opened.description.epoch)

    def _score(self, embed: "EmbedOne") -> Mapping[str, float]:
        opened, source = self._opened, self._source
        embeddings = embed_through(
            embed,
            opened.network.embedding_size,
            source,
            set().union(*(drawn.samples() for drawn in self._drawn)),
            listener=opened.listener,
            batch_size=opened.config.evaluation.batch_size,
            workers=opened.config.data.workers,
        )
        results = score(source, self._drawn, {PLAIN: embeddings}, listener=opened.listener, verify=self._several)
        self.results.append(results)
        return {**results[0].mean(), **results[0].verification_mean()}

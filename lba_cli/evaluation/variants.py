"""The plain figures and the extras beside them: other embeddings of the images, and re-ranked distances."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from lba_cli.config import EvaluationSection
from lba_cli.evaluation.features import PLAIN, View
from lba_cli.evaluation.rerank import Reranking


@dataclass(frozen=True)
class Variant:
    """One way to score: from which embeddings, and whether their distances are re-ranked."""

    view: View = PLAIN
    reranking: Reranking | None = None

    @property
    def name(self) -> str:
        """``plain``, or the extras joined by plus signs: ``flip+neck+rerank``."""
        named = {"flip": self.view.flip, "neck": self.view.neck, "rerank": self.reranking is not None}
        return "+".join(name for name, there in named.items() if there) or "plain"


def variants(section: EvaluationSection) -> list[Variant]:
    """The plain way first, then every combination of the extras that a configuration asks for."""
    reranking = Reranking(section.rerank_k1, section.rerank_k2, section.rerank_lambda)
    asked = itertools.product(
        (None, reranking) if section.rerank else (None,),
        (False, True) if section.features_from == "neck" else (False,),
        (False, True) if section.flip else (False,),
    )
    return [Variant(View(flip, neck), ranked) for ranked, neck, flip in asked]

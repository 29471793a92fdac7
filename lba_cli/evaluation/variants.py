"""The plain figures and the extras beside them: other embeddings of the images, and re-ranked distances."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from lba_cli.config import EvaluationSection
from lba_cli.evaluation.embedding import PLAIN, View
from lba_cli.evaluation.rerank import Reranking


@dataclass(frozen=True)
class Variant:
    """One way to score: from which embeddings, and whether their distances are re-ranked."""

    view: View = PLAIN
    reranking: Reranking | None = None

    @property
    def name(self) -> str:
        """``plain``, or the extras joined by plus signs: ``flip+neck+rerank``; with what isn't the paper's: ``rerank(k1=5)``."""
        changed = [f"{n}={v}" for n, v in self.parameters().items() if v != parameters_of(Reranking())[n]]
        ranked = f"rerank({','.join(changed)})" if changed else "rerank"
        named = {"flip": self.view.flip, "neck": self.view.neck, ranked: self.reranking is not None}
        return "+".join(name for name, there in named.items() if there) or "plain"

    def parameters(self) -> dict[str, int | float]:
        """Those of re-ranking, by the paper's names; empty without it."""
        return parameters_of(self.reranking) if self.reranking else {}


def parameters_of(reranking: Reranking) -> dict[str, int | float]:
    """Re-ranking's parameters by the paper's names."""
    return {"k1": reranking.k1, "k2": reranking.k2, "lambda": reranking.original_weight}


def choose_variants(section: EvaluationSection) -> list[Variant]:
    """The plain way first, then every combination of the extras that a configuration asks for."""
    reranking = Reranking(section.rerank_k1, section.rerank_k2, section.rerank_lambda)
    asked = itertools.product(
        (None, reranking) if section.rerank else (None,),
        (False, True) if section.features_from == "neck" else (False,),
        (False, True) if section.flip else (False,),
    )
    return [Variant(View(flip, neck), ranked) for ranked, neck, flip in asked]

"""Variants of an evaluation: other embeddings of the images, and re-ranked distances, in addition to the plain ones."""

import itertools
from collections.abc import Collection
from dataclasses import dataclass

from lba_cli.config import EvaluationSection
from lba_cli.evaluation.network_embedder import PLAIN, View
from lba_cli.evaluation.rerank import Reranking
from lba_cli.vocabulary import FeaturePlace


@dataclass(frozen=True)
class Variant:
    """One way to compute distances: which embeddings are compared, and the parameters of re-ranking, if it is used."""

    view: View = PLAIN
    reranking: Reranking | None = None

    @property
    def name(self) -> str:
        """``plain``, or the extras joined by plus signs, such as ``flip+neck+rerank``, ``pooled`` or ``rerank(k1=5)``.

        Parameters of re-ranking are named if they differ from the paper's.
        """
        usual = Variant(reranking=Reranking()).parameters()
        changed = [f"{name}={value}" for name, value in self.parameters().items() if value != usual[name]]
        ranked = f"rerank({','.join(changed)})" if changed else "rerank"
        place = self.view.place or ""
        extras = {"flip": self.view.flip, place: bool(place), ranked: self.reranking is not None}
        return "+".join(name for name, used in extras.items() if used) or "plain"

    def parameters(self) -> dict[str, int | float]:
        """Return the parameters of re-ranking by the paper's names; empty without re-ranking."""
        used = self.reranking
        return {"k1": used.k1, "k2": used.k2, "lambda": used.original_weight} if used else {}


def choose_variants(section: EvaluationSection, retrieval: Collection[FeaturePlace]) -> list[Variant]:
    """Return the plain variant, followed by every combination of the extras that a configuration asks for.

    ``retrieval`` are the retrieval features of the networks to compare. A feature that all of them retrieve by is no extra.
    """
    place = None if {section.features_from} == set(retrieval) else section.features_from
    reranking = Reranking(section.rerank_k1, section.rerank_k2, section.rerank_lambda)
    combinations = itertools.product(
        (None, reranking) if section.rerank else (None,),
        (None, place) if place else (None,),
        (False, True) if section.flip else (False,),
    )
    return [Variant(View(flip, chosen), ranked) for ranked, chosen, flip in combinations]

"""Evaluation: embed every image once, draw queries and galleries, rank, and summarise the figures."""

from lba_cli.datasets.galleries import community_gallery
from lba_cli.datasets.permutations import load_permutations, official_gallery
from lba_cli.evaluation.correspondences import correspondence_accuracy
from lba_cli.evaluation.embed_images import embed_images
from lba_cli.evaluation.ranking import Metrics, rank_metrics
from lba_cli.evaluation.verification import Verification, verification

__all__ = [
    "Metrics",
    "Verification",
    "community_gallery",
    "correspondence_accuracy",
    "embed_images",
    "load_permutations",
    "official_gallery",
    "rank_metrics",
    "verification",
]

"""A loss term and a method of one's own: the features of an identity should have the same mean in both modalities."""

from torch import Tensor

from lba_cli.methods import HARD_TRIPLET, IDENTITY, ForwardPass, LossTerm, Method


def modality_gap(step: ForwardPass) -> dict[str, Tensor]:
    """Compute the mean squared distance between an identity's mean visible and mean infrared feature."""
    labels = step.labels.chunk(2)[0]  # the same for both halves
    same = (labels[:, None] == labels).float()  # (B·P, B·P)
    average = same / same.sum(dim=1, keepdim=True)
    visible, infrared = (average @ features for features in step.pooled.chunk(2))  # (B·P, D)
    step.diagnostics["mean_feature"] = step.pooled.detach().mean()  # in the run's metrics, beside the losses
    return {"modality_gap": (visible - infrared).square().sum(dim=1).mean()}


MODALITY_GAP = LossTerm("modality_gap", modality_gap)
CENTRED = Method(
    name="centred",
    summary="the baseline, with a small gap between the modalities",
    default_weights={IDENTITY: 1.0, HARD_TRIPLET: 1.0, MODALITY_GAP: 0.1},
)

if __name__ == "__main__":  # python own_method.py train --method centred
    from lba_cli.__main__ import main
    from lba_cli.methods import register

    register(CENTRED)
    main()

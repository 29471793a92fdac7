"""Join the results of several runs: of one model for each trial of RegDB, or of one run for each seed."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from lba_cli.evaluation.ranking import Metrics
from lba_cli.evaluation.result import Result
from lba_cli.evaluation.verification_results import verification_means


def over_trials(results: Sequence[Sequence[Result]]) -> tuple[Result, ...]:
    """Join the results of several trials' models: one result per setting and variant, with the metrics of all trials.

    Args:
        results: for each trial the results of its model, all with the same settings and variants in the same order.
    """
    return tuple(map(_joined, zip(*results, strict=True)))


def over_seeds(results: Sequence[Sequence[Result]], seeds: Sequence[int]) -> tuple[Result, ...]:
    """Join the results of runs with different seeds: one result per setting and variant, with one set of metrics per seed.

    A seed's metrics are means over the draws of its run. So the standard deviation of the joined result tells how much
    training runs differ, not how much random galleries do.

    Args:
        results: for each seed the results of its run, all with the same settings and variants in the same order.
        seeds: the seeds in the same order.
    """
    means = [
        [replace(r, trials=(_mean(r.trials),), verification=verification_means(r.verification)) for r in run]
        for run in results
    ]
    draws = [len(result.trials) for result in results[0]]
    joined = map(_joined, zip(*means, strict=True))
    return tuple(
        replace(result, seeds=tuple(seeds), draws=count, trial_numbers=result.trial_numbers[:1])
        for result, count in zip(joined, draws, strict=True)
    )


def _mean(draws: Sequence[Metrics]) -> Metrics:
    cmc = np.mean([draw.cmc for draw in draws], axis=0)
    mean_ap, mean_inp = (fmean(getattr(draw, name) for draw in draws) for name in ("mAP", "mINP"))
    return Metrics(cmc, mean_ap, mean_inp, draws[0].num_queries)


def _joined(results: Sequence[Result]) -> Result:
    """Join the results of several models in one setting.

    The joined model's ``trained_on`` names the training data sets other than the scored one, or the scored one if there are no
    others. Its ``epoch`` is None if the models' epochs differ, and its ``fingerprint`` empty if their weights differ.
    """
    first, models = results[0], [result.model for result in results]
    trained = list(dict.fromkeys(model.trained_on for model in models if model.trained_on != first.dataset))
    epochs = {model.epoch for model in models}
    fingerprints = {model.fingerprint for model in models}
    model = replace(
        first.model,
        fingerprint=first.model.fingerprint if len(fingerprints) == 1 else "",
        epoch=first.model.epoch if len(epochs) == 1 else None,
        trained_on=" and ".join(trained) or first.model.trained_on,
    )
    return replace(
        first,
        trials=tuple(trial for result in results for trial in result.trials),
        trial_numbers=tuple(number for result in results for number in result.trial_numbers),
        verification=tuple(figures for result in results for figures in result.verification),
        model=model,
    )

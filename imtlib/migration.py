"""The learnt migrations as one matrix: averaged over real contexts, between scenarios, with error bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imtlib.batching import by_length, inputs
from imtlib.listing import in_catalogue
from imtlib.log import BehaviourLog
from imtlib.model import InterestMigrationModel
from imtlib.transition import mean_matrix

FloatArray = NDArray[np.float64]


def learnt_transition(
    model: InterestMigrationModel,
    log: BehaviourLog,
    scenario: str,
    current: str | None = None,
    batch: int = 64,
) -> FloatArray:
    """$\\mathbb E[\\pi_T(\\cdot \\mid y) \\mid y, s', s]$ as the model has it, over the contexts of a log.

    The simulator's own same average is `Truth.mean_transition`.

    Args:
        model: trained, by way of interests.
        log: whose every event is a context: what came before it, and the scenario it took place in. Of a user
            with more events than the model's `max_length`, the last ones.
        scenario: $s'$, where the next event takes place.
        current: s, where the last one took place; by default anywhere, START included.
        batch: users worked on at a time.

    Returns:
        float64 `(K + 1, K)`; each row sums to one, or is NaN where no context is such. Row K is START.

    Raises:
        UnknownNameError: a scenario, or an item of the log, is not in the model's catalogue.
    """
    asked = int(model.catalogue.codes("scenario", [scenario])[0])
    where = None if current is None else int(model.catalogue.codes("scenario", [current])[0])
    last = log.starts[1:][np.diff(log.starts) > 0] - 1
    lives = in_catalogue(log.histories_before(last), model.catalogue)
    beliefs, matrices = [], []
    for rows in by_length(lives, batch):
        arrays = inputs(lives.select(rows), model.max_length)
        found = model(arrays)
        position = np.arange(arrays["request_scenario"].shape[1])
        chosen = (position <= arrays["length"][:, None]) & (arrays["request_scenario"] == asked)
        # A life that was cut does not begin at START.
        cut = np.diff(lives.starts)[rows] > model.max_length
        chosen[cut, 0] = False
        if where is not None:
            chosen[:, 0] = False
            chosen[:, 1:] &= arrays["scenario"] == where
        beliefs.append(np.asarray(found["belief"])[chosen])
        matrices.append(np.asarray(found["matrix"])[chosen])
    return mean_matrix(np.concatenate(beliefs), np.concatenate(matrices))


@dataclass(frozen=True, eq=False)
class Spread:
    """A matrix measured on several fresh logs.

    Attributes:
        mean: `(K + 1, K)`.
        error: standard error of the mean, `(K + 1, K)`.
        logs: how many.
    """

    mean: FloatArray
    error: FloatArray
    logs: int

    def interval(self, times: float = 2.0) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bound: the mean, and `times` standard errors to each side."""
        return self.mean - times * self.error, self.mean + times * self.error


def spread(matrices: Sequence[FloatArray]) -> Spread:
    """Mean and standard error over matrices of models trained on fresh logs of the same laws.

    Args:
        matrices: at least two, each `(K + 1, K)`.

    Raises:
        ValueError: there are fewer than two.
    """
    if len(matrices) < 2:
        raise ValueError(f"{len(matrices)} matrix has no spread: train on at least two fresh logs")
    stacked = np.stack(matrices)
    return Spread(stacked.mean(axis=0), stacked.std(axis=0, ddof=1) / len(stacked) ** 0.5, len(stacked))


def distance(one: FloatArray, other: FloatArray) -> float:
    """Mean over rows of the total variation $\\tfrac12 \\sum_{y'} |\\pi(y' \\mid y) - \\pi'(y' \\mid y)|$.

    Args:
        one, other: `(rows, K)`; rows that are NaN in either are left out.

    Returns:
        From 0, the same, to 1; NaN where no row is left.
    """
    apart = 0.5 * np.abs(one - other).sum(axis=1)
    return float(np.nanmean(apart)) if np.isfinite(apart).any() else float("nan")

"""The learnt migrations as one matrix: averaged over real contexts, between scenarios, with error bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from imtlib.data.inputs import by_length, inputs
from imtlib.data.log import BehaviourLog
from imtlib.data.queries import in_catalogue
from imtlib.model import InterestMigrationModel
from imtlib.transition import mean_matrix
from imtlib.types import Float32Array, FloatArray, IntArray


def learnt_transition(
    model: InterestMigrationModel,
    log: BehaviourLog,
    scenario: str,
    current: str | None = None,
    batch: int = 64,
) -> FloatArray:
    """Compute $\\mathbb E[\\pi_T(\\cdot \\mid y) \\mid y, s', s]$ as a model has it, over a log's contexts.

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
        ValueError: the model has learnt no transitions, since it does not go through interests.
    """
    asked = int(model.catalogue.codes("scenario", [scenario])[0])
    where = None if current is None else int(model.catalogue.codes("scenario", [current])[0])
    beliefs, matrices = [], []
    for found in contexts(model, log, batch):
        chosen = found.asked == asked
        if where is not None:
            chosen &= found.current == where
        beliefs.append(found.belief[chosen])
        matrices.append(found.matrix[chosen])
    return mean_matrix(np.concatenate(beliefs), np.concatenate(matrices))


def must_have_transitions(model: InterestMigrationModel) -> None:
    """Refuse a model that has learnt none: what its matrix holds are first, random values.

    Raises:
        ValueError: the model was made with `through_interests=False`.
    """
    if not model.config.through_interests:
        raise ValueError(
            "the model has learnt no transitions: make and fit it with through_interests=True, the default"
        )


@dataclass(frozen=True, eq=False)
class Contexts:
    """What a model believes just before n events.

    Attributes:
        belief: $b_T$, float32 `(n, K + 1)`; the last column is START.
        matrix: $\\pi_T$, float32 `(n, K + 1, K)`.
        current: the scenario of the event before, codes, int32 `(n,)`; −1 at START.
        asked: $s'$, where the event took place, codes, int32 `(n,)`.
    """

    belief: Float32Array
    matrix: Float32Array
    current: IntArray
    asked: IntArray


def contexts(model: InterestMigrationModel, log: BehaviourLog, batch: int = 64) -> Iterator[Contexts]:
    """Take every event of a log as a context, some users at a time; arguments as in `learnt_transition`."""
    must_have_transitions(model)
    last = log.starts[1:][log.lengths > 0] - 1
    histories = in_catalogue(log.histories_before(last), model.catalogue)
    for rows in by_length(histories, batch):
        arrays = inputs(histories.take(rows), model.max_length)
        found = model(arrays)
        position = np.arange(arrays["request_scenario"].shape[1])
        chosen = position <= arrays["length"][:, None]
        # A history that was cut does not begin at START.
        chosen[histories.lengths[rows] > model.max_length, 0] = False
        current = np.pad(arrays["scenario"], ((0, 0), (1, 0)), constant_values=-1)
        parts = (found["belief"], found["matrix"], current, arrays["request_scenario"])
        yield Contexts(*(np.asarray(values)[chosen] for values in parts))


@dataclass(frozen=True, eq=False)
class Spread:
    """A matrix measured several times: on fresh logs, or by models of other seeds.

    Attributes:
        mean: `(K + 1, K)`, or of what shape the matrices are.
        error: standard error of the mean, of the same shape.
        logs: how many.
    """

    mean: FloatArray
    error: FloatArray
    logs: int

    def interval(self, times: float = 2.0) -> tuple[FloatArray, FloatArray]:
        """Compute the lower and upper bound: the mean, and `times` standard errors to each side."""
        return self.mean - times * self.error, self.mean + times * self.error


def spread(matrices: Sequence[FloatArray]) -> Spread:
    """Compute mean and standard error over matrices of models trained on fresh logs of the same laws.

    Models of other seeds on one log say less: how far training leaves the answer open, but not the log.

    Args:
        matrices: at least two, each `(K + 1, K)`, or all of another shape. What is NaN in one is in the mean.

    Raises:
        ValueError: there are fewer than two.
    """
    if len(matrices) < 2:
        raise ValueError(f"{len(matrices)} matrix has no spread: train on at least two fresh logs")
    stacked = np.stack(matrices)
    return Spread(stacked.mean(axis=0), stacked.std(axis=0, ddof=1) / len(stacked) ** 0.5, len(stacked))


def distance(one: FloatArray, other: FloatArray) -> float:
    """Compute the mean over rows of the total variation.

    That of row y is $\\tfrac12 \\sum_{y'} |\\pi(y' \\mid y) - \\pi'(y' \\mid y)|$.

    Args:
        one, other: `(rows, K)`; rows that are NaN in either are left out.

    Returns:
        From 0, the same, to 1; NaN where no row is left.
    """
    apart = 0.5 * np.abs(one - other).sum(axis=1)
    return float(np.nanmean(apart)) if np.isfinite(apart).any() else float("nan")

"""The best predictor against plain enumeration, and against the logs that its laws wrote."""

import dataclasses
import itertools

import numpy as np
import pytest

from imtlib.baselines.counting import Popularity
from imtlib.data.histories import EvaluationSet, Histories
from imtlib.data.log import BehaviourLog
from imtlib.errors import ModelFileError
from imtlib.evaluation.ranking import evaluate
from imtlib.simulation.bayes_predictor import BestPredictor, share_of_achievable
from imtlib.simulation.simulator import simulate
from imtlib.simulation.truth import Laws
from imtlib.simulation.world import draw_world


def every_request(log: BehaviourLog) -> EvaluationSet:
    """Each event of the log as a request, its history all events before it."""
    return EvaluationSet(log.histories_before(np.arange(len(log))), log.item, log.user, "test")


def by_enumeration(laws: Laws, histories: Histories, row: int) -> tuple[np.ndarray, ...]:
    """p of item, interest, current interest and persona: the sum over personas and paths of interests."""
    events = range(histories.starts[row], histories.starts[row + 1])
    items = [int(histories.item[e]) for e in events]
    scenarios = [int(histories.scenario[e]) for e in events] + [int(histories.request_scenario[row])]
    behaviours = [int(histories.behaviour[e]) for e in events]
    held, start = laws.catalogue.item_interests, len(laws.catalogue.interests)
    interests = range(start)

    def next_interest(m: int, y: int, t: int) -> list[float]:
        rows = [laws.matrix[scenarios[t], y, k] * laws.affinity[m, k] for k in interests]
        base = [r / sum(rows) for r in rows]
        if t and scenarios[t] != scenarios[t - 1]:
            fresh = [laws.matrix[scenarios[t], start, k] * laws.affinity[m, k] for k in interests]
            mu = laws.migration
            base = [mu * b + (1 - mu) * f / sum(fresh) for b, f in zip(base, fresh, strict=True)]
        raised = [0.0] * start
        for before in range(t):
            effect, lag = laws.effect[items[before]], t - before
            if effect >= 0 and lag <= len(laws.lag_weights):
                raised[effect] += laws.lag_weights[lag - 1]
        a = min(1.0, sum(raised))
        pull = [a * r / sum(raised) if a else 0.0 for r in raised]
        p = [
            ((1 - laws.trigger * a) * b + laws.trigger * u) * float(bool(unseen(k, t)))
            for k, b, u in zip(interests, base, pull, strict=True)
        ]
        return [x / sum(p) for x in p]

    def unseen(k: int, t: int) -> list[int]:
        return [i for i in range(len(held)) if held[i, k] and i not in items[:t]]

    def draw(i: int, k: int, t: int) -> float:
        here = unseen(k, t)
        return laws.popularity[i] / sum(laws.popularity[j] for j in here) if i in here else 0.0

    p_item, p_interest, p_current = np.zeros(len(held)), np.zeros(start), np.zeros(start)
    p_persona = np.zeros(len(laws.affinity))
    group = int(histories.profile[row].argmax()) if histories.profile[row].any() else None
    for m in range(len(laws.affinity)):
        for path in itertools.product(interests, repeat=len(items)):
            weight = 1.0 if group is None else laws.group[m, group]
            last = start
            for t, y in enumerate(path):
                weight *= next_interest(m, last, t)[y] * draw(items[t], y, t)
                weight *= laws.behaviour[m, y, behaviours[t]]
                last = y
            p_persona[m] += weight
            if path:
                p_current[last] += weight
            for k, p in enumerate(next_interest(m, last, len(items))):
                p_interest[k] += weight * p
                p_item += [weight * p * draw(i, k, len(items)) if p else 0.0 for i in range(len(held))]
    total = p_persona.sum()
    return p_item / total, p_interest / total, p_current / total, p_persona / total


@pytest.mark.parametrize(("seed", "migration"), [(0, 0.4), (1, 0.0), (2, 0.5), (3, 1.0)])
def test_equals_enumeration_of_every_latent_path(seed: int, migration: float) -> None:
    """With migration between scenarios turned down, off and up."""
    laws = draw_world(7, 3, ("a", "b"), 2, 0.7, 3, 1, 0.5, migration, seed)
    rng = np.random.default_rng(seed)
    length = np.array([0, 1, 2, 3, 4, 4, 4, 6])  # six of seven items seen: some interests are used up
    n, starts = len(length), np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    events = int(starts[-1])
    given = np.eye(2, dtype=np.float32)[rng.integers(2, size=n)]
    given[3] = 0  # a user of unknown group
    histories = Histories(
        laws.catalogue,
        starts,
        np.concatenate([rng.permutation(7)[:size] for size in length]).astype(np.int32),
        rng.integers(2, size=events).astype(np.int32),
        rng.integers(3, size=events).astype(np.int32),
        np.arange(events),
        rng.integers(2, size=n).astype(np.int32),
        np.zeros(n, np.int64),
        given,
    )
    best = BestPredictor(laws)
    score, interest, persona = best.score(histories), best.next_interest(histories), best.persona(histories)
    current = best.current_interest(histories)
    for row in range(n):
        p_item, p_interest, p_current, p_persona = by_enumeration(laws, histories, row)
        np.testing.assert_allclose(np.exp(score[row].astype(float)), p_item, rtol=2e-5, atol=1e-12)
        np.testing.assert_allclose(interest[row], p_interest, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(current[row], p_current, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(persona[row], p_persona, rtol=1e-9)


def test_nothing_is_left_to_gain_on_its_own_logs() -> None:
    log, truth = simulate(users=250, seed=3, migration=0.5)
    asked = every_request(log)
    score = BestPredictor(truth).score(asked.histories).astype(float)
    p = np.exp(score)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    # A predictor says the truth when what surprises it is, on average, what it expects to surprise it.
    surprise = -score[np.arange(len(score)), asked.target] + (p * score).sum(axis=1)
    assert abs(surprise.mean()) < 4 * surprise.std() / np.sqrt(len(surprise))
    blind = BestPredictor(dataclasses.replace(truth, trigger=0.0)).score(asked.histories).astype(float)
    told = -blind[np.arange(len(score)), asked.target] + (np.exp(blind) * blind).sum(axis=1)
    assert abs(told.mean()) > 4 * told.std() / np.sqrt(len(told))


def test_interests_are_calibrated_by_group_of_prediction() -> None:
    log, truth = simulate(users=500, seed=4)
    p = BestPredictor(truth).next_interest(every_request(log).histories).ravel()
    came = np.eye(len(log.catalogue.interests))[truth.interest].ravel()
    for low, high in itertools.pairwise([0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8]):
        here = (p >= low) & (p < high)
        assert here.sum() > 100
        error = np.sqrt((p[here] * (1 - p[here])).sum()) / here.sum()
        assert abs(p[here].mean() - came[here].mean()) < 4 * error


def test_persona_is_found_out_as_the_history_grows() -> None:
    log, truth = simulate(users=400, events=30, seed=5)
    asked = every_request(log)
    right = BestPredictor(truth).persona(asked.histories)[np.arange(len(log)), truth.persona[asked.user]]
    length = asked.histories.lengths
    assert right[length == 0].mean() < right[length == 5].mean() < right[length == 15].mean()
    assert right[length == 0].mean() == pytest.approx((truth.group**2).sum() / 3, abs=0.06)


def test_asked_one_by_one_or_in_blocks_is_the_same() -> None:
    log, truth = simulate(users=30, seed=6)
    histories, best = every_request(log).histories, BestPredictor(truth)
    whole = best.score(histories)
    assert whole.dtype == np.float32
    assert len(whole) > 512
    one = np.concatenate([best.score(histories.take(np.array([r]))) for r in range(500, 530)])
    np.testing.assert_allclose(one, whole[500:530], rtol=1e-6)
    assert best.score(histories.take(slice(0, 0))).shape == (0, 160)


def test_refuses_another_world() -> None:
    log, _ = simulate(users=5)
    _, other = simulate(users=5, world=1)
    with pytest.raises(ModelFileError, match=r"of the truth, \[.+ of the histories"):
        BestPredictor(other).score(every_request(log).histories)


def test_share_of_achievable() -> None:
    assert share_of_achievable(0.15, 0.10, 0.20) == pytest.approx(0.5)
    assert share_of_achievable(4.5, 5.0, 4.0) == pytest.approx(0.5)  # a loss, lower is better
    assert np.isnan(share_of_achievable(1.0, 2.0, 2.0))
    log, truth = simulate(users=300)
    asked = every_request(log)
    floor, best = evaluate(Popularity(log), asked), evaluate(BestPredictor(truth), asked)
    assert best["log loss"] < floor["log loss"] - 0.4

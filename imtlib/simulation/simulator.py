"""The simulator: logs from a known process, handed back together with its truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imtlib.data.log import BehaviourLog
from imtlib.simulation.truth import Laws, Truth
from imtlib.simulation.world import SCENARIOS, draw_world
from imtlib.types import FloatArray, IntArray, TimeArray

EPOCH = 1_704_067_200
"""1 January 2024, 00:00 UTC: nobody begins earlier."""
CELLS = 2_000_000
"""Users are worked on in blocks of this many user–item cells, so that memory does not grow with the log."""


def simulate(
    users: int = 1200,
    items: int = 160,
    interests: int = 8,
    scenarios: Sequence[str] = SCENARIOS,
    *,
    events: int = 36,
    personas: int = 3,
    trigger: float = 0.8,
    lag: int = 4,
    triggers: int = 1,
    specific: float = 0.5,
    migration: float = 1.0,
    stay: float = 0.7,
    seed: int = 0,
    world: int = 0,
) -> tuple[BehaviourLog, Truth]:
    """Write a log by the process of `imtlib.simulation.truth.Laws`. No item comes twice to a user.

    Args:
        users: U, how many.
        items: N; each has one to three interests.
        interests: K, at least 2.
        scenarios: names of the S scenarios.
        events: mean number of events a user; each has from half to one and a half times as many.
        personas: M hidden kinds of user. The visible feature `group` names the persona of seven users in ten
            and is drawn at random for the others. One persona turns the difference off.
        trigger: λ, the strength of the causes at a distance, from 0 (off) to below 1.
        lag: how many events after its trigger an effect comes, at least 3; as strong one event sooner or
            later, half as strong two sooner or later.
        triggers: items per interest that trigger it: of those not about it, the most popular.
        specific: share of the transition matrices that belongs to one scenario alone: 0, all are the same;
            1, they have nothing in common.
        migration: how much of the last interest survives a change of scenario: 0, each scenario begins
            anew from its START row; 1, all. A control without any transfer also has `trigger=0, personas=1`.
        stay: probability that the next event is in the same scenario, else in any other.
        seed: of the users and what they do.
        world: seed of the laws: matrices, items and personas. The same `world` with another `seed` is a fresh
            log of the same process.

    Returns:
        The log and its truth.

    Raises:
        ValueError: an argument lies outside its range, or there are too few items.
    """
    _check(users, items, interests, scenarios, events, personas, lag, triggers)
    for name, value, top in (("specific", specific, 1), ("migration", migration, 1), ("stay", stay, 1)):
        if not 0 <= value <= top:
            raise ValueError(f"{name}={value} is outside 0 … 1")
    if not 0 <= trigger < 1:
        raise ValueError(f"trigger={trigger} is outside 0 … 1 (below 1: with 1 the matrix would say nothing)")
    laws = draw_world(
        items, interests, scenarios, personas, trigger, lag, triggers, specific, migration, world
    )
    rng = np.random.default_rng([seed, 23])
    length = rng.integers(events - events // 2, events + events // 2 + 1, size=users)
    parts = []
    size = max(1, CELLS // items)
    for start in range(0, users, size):
        parts.append(_lives(laws, length[start : start + size], stay, rng))
    return _assembled(laws, length, *(np.concatenate(values) for values in zip(*parts, strict=True)))


def shuffle_events(log: BehaviourLog, seed: int = 0) -> BehaviourLog:
    """Shuffle each user's events, at the times of the log: the control without order.

    Args:
        log: any log.
        seed: of the order.

    Returns:
        A log with the same users, events and times; item, scenario and behaviour of an event stay together.
    """
    order = np.lexsort((np.random.default_rng(seed).random(len(log)), log.user))
    return dataclasses.replace(
        log,
        item=log.item[order],
        scenario=log.scenario[order],
        behaviour=log.behaviour[order],
        notes=(*log.notes, "The events of each user are shuffled: their order means nothing."),
    )


def _check(
    users: int,
    items: int,
    interests: int,
    scenarios: Sequence[str],
    events: int,
    personas: int,
    lag: int,
    triggers: int,
) -> None:
    least = {"users": 1, "interests": 2, "events": 1, "personas": 1, "lag": 3, "triggers": 0}
    given = {
        "users": users,
        "interests": interests,
        "events": events,
        "personas": personas,
        "lag": lag,
        "triggers": triggers,
    }
    for name, value in given.items():
        if value < least[name]:
            raise ValueError(f"{name}={value} is too few: at least {least[name]}")
    if isinstance(scenarios, str) or not scenarios or len(set(scenarios)) < len(scenarios):
        raise ValueError(f"scenarios={scenarios!r} must be one or more different names")
    needed = max(2 * events, interests * (triggers + 1) * 2)
    if items < needed:
        raise ValueError(f"items={items} is too few for these events and triggers: at least {needed}")


def _lives(
    laws: Laws, length: NDArray[np.int64], stay: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], ...]:
    """Of each user persona and group; of each event item, scenario, behaviour, time, interest and cause."""
    users, steps = len(length), int(length.max())
    personas = len(laws.affinity)
    persona = rng.integers(personas, size=users)
    group = _choose(laws.group[persona], rng)
    scenario = _scenarios(users, steps, len(laws.catalogue.scenarios), stay, rng)
    time = _times(users, steps, rng)
    interest, item, cause = _events(laws, persona, scenario, rng)
    behaviour = _choose(laws.behaviour[persona[:, None], interest].reshape(users * steps, -1), rng)
    real = np.arange(steps) < length[:, None]
    columns = (item, scenario, behaviour.reshape(users, steps), time, interest, cause)
    return persona, group, *(column[real] for column in columns)


def _scenarios(
    users: int, steps: int, count: int, stay: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """A sticky chain: a step of 0 stays, one of 1 … count − 1 goes to another."""
    if count == 1:
        return np.zeros((users, steps), np.int64)
    step = np.where(rng.random((users, steps)) < stay, 0, rng.integers(1, count, (users, steps)))
    step[:, 0] = rng.integers(count, size=users)
    chain: NDArray[np.int64] = np.cumsum(step, axis=1) % count
    return chain


def _times(users: int, steps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Sessions of some minutes, with hours to days between them."""
    within = 20 + rng.exponential(120, (users, steps))
    between = 4 * 3600 + rng.exponential(2 * 86400, (users, steps))
    gap = np.where(rng.random((users, steps)) < 0.15, between, within)
    gap[:, 0] = rng.uniform(0, 30 * 86400, users)
    return EPOCH + np.cumsum(gap, axis=1).astype(np.int64)


def _events(
    laws: Laws, persona: NDArray[np.int64], scenario: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Interest, item and cause (place of the trigger event, or −1) of each event, `(users, steps)`."""
    users, steps = scenario.shape
    kinds, lags = laws.matrix.shape[-1], len(laws.lag_weights)
    held = laws.catalogue.item_interests
    attraction = np.where(held.T, laws.popularity, 0.0)
    unseen = np.ones((users, len(held)), bool)
    left = np.tile(held.sum(axis=0), (users, 1))
    interest, item = np.full((2, users, steps + 1), kinds)
    # What each event will raise, `lags` empty places in front; the last place of a row is the latest event.
    effect = np.full((users, lags + steps), -1)
    cause = np.full((users, steps), -1)
    everyone = np.arange(users)
    for t in range(steps):
        changed = (scenario[:, t] != scenario[:, t - 1]).astype(int) if t else np.zeros(users, int)
        rows = laws.rows[changed, scenario[:, t], persona, interest[:, t - 1] if t else kinds]
        recent = effect[:, t : t + lags]
        weight = np.where(recent >= 0, laws.lag_weights[::-1], 0.0)
        weight = laws.trigger * weight / np.maximum(1.0, weight.sum(axis=1, keepdims=True))
        from_matrix = (1 - weight.sum(axis=1, keepdims=True)) * rows * (left > 0)
        from_triggers = weight * (left[everyone[:, None], recent] > 0)
        drawn = _choose(np.concatenate([from_matrix, from_triggers], axis=1), rng)
        place = drawn - kinds
        raised = place >= 0
        interest[:, t] = np.where(raised, recent[everyone, np.maximum(place, 0)], drawn)
        cause[:, t] = np.where(raised, t - lags + place, -1)
        item[:, t] = _choose(unseen * attraction[interest[:, t]], rng)
        unseen[everyone, item[:, t]] = False
        left -= held[item[:, t]]
        effect[:, lags + t] = laws.effect[item[:, t]]
    return interest[:, :steps], item[:, :steps], cause


def _choose(weight: FloatArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """One column a row, drawn in proportion to its weight."""
    upto = np.cumsum(weight, axis=1)
    mark = np.minimum(rng.random(len(weight)) * upto[:, -1], np.nextafter(upto[:, -1], 0))
    return np.asarray((upto > mark[:, None]).argmax(axis=1))


def _assembled(
    laws: Laws,
    length: NDArray[np.int64],
    persona: NDArray[np.int64],
    group: NDArray[np.int64],
    item: NDArray[np.int64],
    scenario: NDArray[np.int64],
    behaviour: NDArray[np.int64],
    time: TimeArray,
    interest: NDArray[np.int64],
    cause: NDArray[np.int64],
) -> tuple[BehaviourLog, Truth]:
    starts = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    users = tuple(f"u{u + 1:0{len(str(len(length)))}d}" for u in range(len(length)))
    names = laws.catalogue
    groups = [names.user_features["group"][code] for code in group]
    index = pd.Index(users, dtype="str", name="user")
    features = pd.DataFrame({"group": pd.Series(groups, index, dtype="str")})
    log = BehaviourLog(
        catalogue=names,
        users=users,
        starts=starts,
        item=_codes(item),
        scenario=_codes(scenario),
        behaviour=_codes(behaviour),
        time=time,
        item_features=pd.DataFrame(index=pd.Index(names.items, dtype="str", name="item")),
        user_features=features,
        notes=("Simulated: no person did any of this.",),
    )
    row = np.where(cause >= 0, cause + np.repeat(starts[:-1], length), -1)
    return log, Truth(**_fields(laws), persona=_codes(persona), interest=_codes(interest), cause=row)


def _codes(values: NDArray[np.int64]) -> IntArray:
    return values.astype(np.int32)


def _fields(laws: Laws) -> dict[str, Any]:
    return {field.name: getattr(laws, field.name) for field in dataclasses.fields(laws)}

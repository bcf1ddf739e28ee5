"""The simulated logs: what is rare in them is rare, and what is to have nothing in common has nothing."""

from __future__ import annotations

import numpy as np

from imtlib.analysis.cross_scenario import true_between
from imtlib.data.splits import leave_one_out
from imtlib.datasets.registry import load_dataset
from imtlib.datasets.simulated import SIZE, WHERE, between, late, unlike
from imtlib.simulation.simulator import simulate


def test_the_late_scenario_has_few_events_and_is_asked_as_often() -> None:
    log = late()
    whole = leave_one_out(log)
    events, asked = map(np.bincount, (whole.train.scenario, whole.test.histories.request_scenario))
    assert events[2] * 5 < events[:2].min()
    assert asked.min() > 250
    # What is left of the others is what they were.
    kept, all_events = (np.bincount(one.scenario) for one in (log, simulate(**SIZE)[0]))
    assert (kept[:2] == all_events[:2]).all()


def test_unlike_scenarios_share_nothing_and_the_control_lets_nothing_migrate() -> None:
    assert load_dataset("simulated-unlike").catalogue.scenarios == unlike().catalogue.scenarios == WHERE
    log, truth = between(1.0, seed=1)
    none, control = between(0.0, seed=1)
    assert log.catalogue.fingerprint == none.catalogue.fingerprint
    assert log.catalogue.fingerprint == load_dataset("simulated-between").catalogue.fingerprint
    alive, dead = true_between(truth, log), true_between(control, none)
    assert np.clip(alive.excess, 0, None).sum() > 0.3
    assert np.abs(dead.excess).max() < 1e-12
    np.testing.assert_allclose(alive.excess.sum(axis=(-2, -1)), 0, atol=1e-12)

"""What the page on many scenarios stands on: its logs, one model each, one pool, and its wheels."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import PathPatch

from imtlib import checkpoints
from imtlib.analysis.cross_scenario import true_between
from imtlib.book.chord_diagram import chord_figure, comets
from imtlib.book.results import as_report_by_scenario
from imtlib.data.splits import Split, leave_one_out
from imtlib.datasets.registry import load_dataset
from imtlib.datasets.simulated import WHERE, between, late, unlike
from imtlib.errors import LogError
from imtlib.evaluation.ablations import without_scenarios
from imtlib.evaluation.per_scenario import PerScenarioModel, only_scenario
from imtlib.evaluation.ranking import evaluate
from imtlib.model import InterestMigrationModel
from imtlib.simulation.simulator import simulate
from imtlib.training.per_scenario import each_for_log, fit_each

NAMES = ("shop", "video")


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(simulate(60, 40, 4, NAMES, events=10, seed=3)[0])


def test_the_late_scenario_has_few_events_and_is_asked_as_often() -> None:
    log = late()
    whole = leave_one_out(log)
    events, asked = (np.bincount(x.scenario) for x in (whole.train, evaluated(whole)))
    assert events[2] * 5 < events[:2].min()
    assert asked.min() > 250
    # What is left of the others is what they were.
    assert (
        np.bincount(log.scenario)[:2] == np.bincount(simulate(1000, 160, 8, WHERE, events=24)[0].scenario)[:2]
    ).all()


def evaluated(split: Split) -> object:
    class Asked:
        scenario = split.test.histories.request_scenario

    return Asked


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


def test_the_excess_is_what_lies_above_chance() -> None:
    log, truth = simulate(300, 80, 4, NAMES, events=10, seed=3)
    found = true_between(truth, log)
    steps = found.contexts[..., None] * found.matrix
    chance = steps.sum(axis=-1, keepdims=True) * steps.sum(axis=-2, keepdims=True)
    chance = chance / steps.sum(axis=(-2, -1), keepdims=True)
    total = found.contexts[0, 1].sum() + found.contexts[1, 0].sum()
    for a, b in ((0, 1), (1, 0)):
        np.testing.assert_allclose(found.excess[a, b], (steps - chance)[a, b] / total, atol=1e-12)
    assert not found.excess[[0, 1], [0, 1]].any()


def test_who_is_not_told_sees_one_scenario_and_the_same_requests(split: Split) -> None:
    pooled = without_scenarios(split)
    for part, was in ((pooled.valid, split.valid), (pooled.test, split.test)):
        assert not part.histories.scenario.any()
        assert not part.histories.request_scenario.any()
        np.testing.assert_array_equal(part.histories.item, was.histories.item)
        np.testing.assert_array_equal(part.target, was.target)
    assert not pooled.train.scenario.any()
    assert split.train.scenario.any()
    assert pooled.train.catalogue.fingerprint == split.train.catalogue.fingerprint
    assert pooled.hash == split.hash


def test_each_model_learns_from_its_scenario_and_from_no_other(split: Split, tmp_path: Path) -> None:
    models = each_for_log(split.train, units=16, heads=1)
    assert isinstance(models, PerScenarioModel)
    before = {code: model.score(split.test.histories) for code, model in models.models.items()}
    history = fit_each(models, split, folder=tmp_path, epochs=1, batch=16, seed=0, progress=False)
    assert [(row["scenario"], row["epoch"]) for row in history] == [(0, 1), (1, 1)]
    for code, model in models.models.items():
        assert np.abs(model.score(split.test.histories) - before[code]).max() > 0.01
        kept = json.loads((tmp_path / str(code) / "run.json").read_text("utf8"))
        assert kept["settings"]["split"] == only_scenario(split, NAMES[code]).hash
    assert np.isfinite(evaluate(models, split.test)["log loss"])


def test_reports_of_runs_know_their_scenarios(split: Split) -> None:
    report = evaluate(InterestMigrationModel.for_log(split.train, units=16, heads=1), split.test)
    rank = [int(r) for r in report.rank]
    run = {"model": "mine", "hash": split.hash, "rank": rank, "loss": report.loss.tolist()}
    back = as_report_by_scenario([run, run], split)
    assert back.scenarios == NAMES
    for name in NAMES:
        assert back.by_scenario[name]["NDCG@10"] == pytest.approx(report.by_scenario[name]["NDCG@10"])
        assert len(back.by_scenario[name].rank) == 2 * len(report.by_scenario[name].rank)
    with pytest.raises(LogError, match="'mine' are of another split"):
        as_report_by_scenario([{**run, "hash": "other"}], split)


def test_a_card_may_name_the_data_set_of_its_model(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = InterestMigrationModel.for_log(split.train, units=16, heads=1)
    checkpoints.keep_pretrained(model, "mine-seed7", tmp_path, {"dataset": "mine"})
    asked: list[str] = []
    monkeypatch.setattr(checkpoints, "load_dataset", lambda name: asked.append(name) or split.train)
    back = checkpoints.load_pretrained("mine-seed7", folder=tmp_path)
    assert asked == ["mine"]
    np.testing.assert_array_equal(back.score(split.test.histories), model.score(split.test.histories))


def a_wheel() -> np.ndarray:
    wheel = np.zeros((3, 3, 2, 2))
    wheel[0, 1, 0, 1], wheel[0, 2, 0, 0], wheel[1, 0, 1, 1] = 0.02, 0.01, 0.03
    wheel[2, 2, 0, 1] = 0.5  # stays in its scenario
    wheel[1, 2, 0, 0] = -0.1
    return wheel


def test_every_migration_above_chance_is_a_comet() -> None:
    figure = chord_figure([a_wheel(), 0 * a_wheel()], ["one", "none"], ["a", "b", "c"], ["x", "y"])
    counts = [sum(isinstance(p, PathPatch) for p in axis.patches) for axis in figure.axes]
    assert counts == [3, 0]
    with pytest.raises(ValueError, match="give one each"):
        chord_figure([a_wheel()], [], ["a", "b", "c"], ["x", "y"])
    with pytest.raises(ValueError, match="only 5 colours"):
        chord_figure([np.zeros((6, 6, 2, 2))], [""], list("abcdef"), ["x", "y"])
    plt.close("all")


def test_a_comet_is_as_thick_as_its_mass_and_they_lie_side_by_side() -> None:
    wheel = np.clip(a_wheel(), 0, 0.1)
    wheel[2, 2] = 0
    found = comets(wheel / 0.03)
    thick = {(a, y, round(end - begin, 6)) for a, y, begin, end, _ in found}
    most = max(end - begin for _, _, begin, end, _ in found)
    assert thick == {(0, 0, round(most * 2 / 3, 6)), (0, 0, round(most / 3, 6)), (1, 1, round(most, 6))}
    one, two = sorted((begin, end) for a, _, begin, end, _ in found if a == 0)
    assert one[1] == pytest.approx(two[0])

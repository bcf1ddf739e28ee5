"""One model for each scenario sees its own only_scenario; and sharing is judged where the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.worlds import random_histories, small_catalogue

from imtlib.baselines.counting import SmoothedTransitions, Transitions
from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.splits import Split, leave_one_out
from imtlib.errors import LogError, ModelFileError, UnknownNameError
from imtlib.evaluation.per_scenario import PerScenarioModel, negative_transfer, only_scenario, own_scenario
from imtlib.evaluation.ranking import Report, evaluate
from imtlib.simulation.simulator import simulate

NAMES = ("shop", "video", "news")


class Remembers:
    """A scorer that keeps what it was shown, and says the same number of all items."""

    def __init__(self, catalogue: Catalogue, number: float) -> None:
        self.catalogue, self.number = catalogue, number
        self.shown: list[Histories] = []

    def score(self, histories: Histories) -> np.ndarray:
        self.shown.append(histories)
        return np.full((len(histories), len(self.catalogue.items)), self.number, np.float32)


def a_split(specific: float) -> Split:
    """Scenarios that have everything in common, or nothing: then what one teaches is wrong in the others."""
    off = {"migration": 0.0, "trigger": 0.0, "personas": 1, "stay": 0.9}
    return leave_one_out(simulate(users=400, scenarios=NAMES, specific=specific, **off)[0])


@pytest.fixture(scope="module")
def split() -> Split:
    return a_split(1.0)


def test_a_history_keeps_the_events_of_its_own_scenario() -> None:
    whole = random_histories(small_catalogue(), [6, 0, 1, 9])
    own = own_scenario(whole)
    for row in range(4):
        events = slice(whole.starts[row], whole.starts[row + 1])
        here = whole.scenario[events] == whole.request_scenario[row]
        kept = slice(own.starts[row], own.starts[row + 1])
        for name in ("item", "scenario", "behaviour", "time"):
            expected = getattr(whole, name)[events][here]
            np.testing.assert_array_equal(getattr(own, name)[kept], expected)
    assert own.starts[-1] < whole.starts[-1]
    np.testing.assert_array_equal(own.request_time, whole.request_time)


def test_a_share_of_a_split_knows_its_scenario_alone(split: Split) -> None:
    shares = {name: only_scenario(split, name) for name in NAMES}
    for code, share in enumerate(shares.values()):
        assert set(share.train.scenario) == {code}
        assert share.train.users == split.train.users
        for part, whole in ((share.valid, split.valid), (share.test, split.test)):
            assert set(part.histories.request_scenario) == {code}
            assert set(part.histories.scenario) <= {code}
            here = whole.histories.request_scenario == code
            np.testing.assert_array_equal(part.user, whole.user[here])
            np.testing.assert_array_equal(part.target, whole.target[here])
    assert sum(len(share.train) for share in shares.values()) == len(split.train)
    assert len({share.hash for share in shares.values()} | {split.hash}) == 4
    with pytest.raises(UnknownNameError, match="'radio'"):
        only_scenario(split, "radio")
    nothing = replace(split, train=split.train.filter(split.train.scenario != 1))
    with pytest.raises(LogError, match="'video'"):
        only_scenario(nothing, "video")


def test_each_request_goes_to_the_model_of_its_scenario() -> None:
    names = small_catalogue()
    models = {name: Remembers(names, number) for number, name in enumerate(NAMES)}
    histories = random_histories(names, [6, 0, 1, 9, 4, 3, 8])
    score = PerScenarioModel(dict(reversed(models.items()))).score(histories)
    assert score.shape == (7, 12)
    assert score.dtype == np.float32
    np.testing.assert_array_equal(score[:, 0], histories.request_scenario)
    for code, model in enumerate(models.values()):
        for shown in model.shown:
            assert set(shown.scenario) <= {code}
            assert set(shown.request_scenario) == {code}
    assert PerScenarioModel(models).score(histories.take(slice(0, 0))).shape == (0, 12)


def test_it_is_evaluated_like_any_scorer_and_says_what_each_model_says(split: Split) -> None:
    shares = {name: only_scenario(split, name) for name in NAMES}
    models = {name: SmoothedTransitions(share.train) for name, share in shares.items()}
    each = PerScenarioModel(models)
    report, score = evaluate(each, split.test), each.score(split.test.histories)
    for code, (name, share) in enumerate(shares.items()):
        here = split.test.histories.request_scenario == code
        np.testing.assert_array_equal(score[here], models[name].score(share.test.histories))
        own = evaluate(models[name], share.test).each("MRR")
        # Alone, an item seen elsewhere is not known to be seen, and may stand above the target.
        assert (report.by_scenario[name].each("MRR") >= own - 1e-12).all()


def test_wrong_models_are_refused(split: Split) -> None:
    names = small_catalogue()
    histories = random_histories(names, [6, 0, 1, 9])
    with pytest.raises(ValueError, match="no model is given"):
        PerScenarioModel({})
    with pytest.raises(UnknownNameError, match="'radio'"):
        PerScenarioModel({"radio": Remembers(names, 0)})
    with pytest.raises(ModelFileError, match="is not that of the model of 'shop': items: 12 of"):
        PerScenarioModel({"shop": Remembers(names, 0), "video": Remembers(split.train.catalogue, 0)})
    histories = replace(histories, request_scenario=np.full(4, 2, np.int32))
    with pytest.raises(UnknownNameError, match="'news', for which no model"):
        PerScenarioModel({"shop": Remembers(names, 0)}).score(histories)


def reports(better: tuple[int, int, int]) -> tuple[Report, Report]:
    """A shared and a separate report; by how many ranks the shared is better, scenario by scenario."""
    rng = np.random.default_rng(0)
    n = 900
    scenario = np.arange(n, dtype=np.int32) % 3
    low = rng.integers(6, 12, n).astype(float)
    gain = np.array(better)[scenario]
    # Where nothing is to be gained, the two differ all the same, and take turns.
    turn = (np.arange(n) // 3) % 2
    rank = low + (gain == 0) * turn
    other = low + gain + (gain == 0) * (1 - turn)
    user = np.arange(n, dtype=np.int32)

    def one(rank: np.ndarray) -> Report:
        shown = np.ones((4, 2, 2), bool)
        return Report("test", (1, 10), (*NAMES, "never"), rank, np.log(rank), user, scenario, shown)

    return one(rank), one(other)


@pytest.mark.parametrize("metric", ["MRR", "log loss"])
def test_the_verdict_is_that_of_the_interval(metric: str) -> None:
    shared, each = reports((2, -2, 0))
    found = negative_transfer(shared, each, metric, draws=400)
    assert list(found.index) == list(NAMES), "nobody asked about the fourth scenario"
    assert list(found["verdict"]) == ["helps", "hurts", "undecided"]
    for name, row in zip(NAMES, found.to_dict("records"), strict=True):
        one, other = shared.by_scenario[name], each.by_scenario[name]
        assert row["shared"] == pytest.approx(one[metric])
        assert row["alone"] == pytest.approx(other[metric])
        assert row["difference"] == pytest.approx(one[metric] - other[metric])
        assert row["low"] < row["difference"] < row["high"]
    assert (found["users"] == 300).all()
    assert found.loc["video", "p"] < 0.01 < found.loc["news", "p"]


def test_reports_by_scenario_serve_as_well() -> None:
    shared, each = reports((2, -2, 0))
    whole = negative_transfer(shared, each, "MRR", draws=100)
    by_name = negative_transfer(shared, dict(each.by_scenario), "MRR", draws=100)
    assert whole.equals(by_name)
    with pytest.raises(ValueError, match="no report of scenario 'shop'"):
        negative_transfer(shared, {"video": each})
    short = each.by_scenario
    with pytest.raises(ValueError, match="different requests"):
        negative_transfer(shared, {**short, "shop": short["video"]})


@pytest.mark.parametrize(("specific", "verdict"), [(0.0, "helps"), (1.0, "hurts")])
def test_sharing_helps_where_all_is_the_same_and_hurts_where_nothing_is(
    specific: float, verdict: str
) -> None:
    """Transitions counted over all scenarios, against those counted in each."""
    mixed = a_split(specific)
    models = {name: Transitions(only_scenario(mixed, name).train) for name in NAMES}
    shared = evaluate(Transitions(mixed.train), mixed.test)
    each = evaluate(PerScenarioModel(models), mixed.test)
    found = negative_transfer(shared, each, "log loss", draws=300)
    assert set(found["verdict"]) <= {verdict, "undecided"}
    assert verdict in set(found["verdict"])
    assert (np.sign(found["difference"]) == (-1 if verdict == "helps" else 1)).all()

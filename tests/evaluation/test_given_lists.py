"""Lists by name, of whatever system: they get the figures that their model gets from its scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from imtlib.baselines.counting import Popularity, SmoothedTransitions
from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split, leave_one_out
from imtlib.errors import LogError
from imtlib.evaluation.given_lists import evaluate_lists
from imtlib.evaluation.ranking import evaluate


def lists_of(
    model: Popularity | SmoothedTransitions, split: Split, log: BehaviourLog, k: int
) -> pd.DataFrame:
    table = model.recommend(history=split.test.histories, k=k)
    return table.assign(user=np.array(log.users)[split.test.user[table["request"]]])


@pytest.mark.parametrize("kind", [Popularity, SmoothedTransitions])
def test_lists_have_the_figures_of_their_model(small_log: BehaviourLog, kind: type) -> None:
    split = leave_one_out(small_log)
    model = kind(split.train)
    lists = lists_of(model, split, small_log, 20)
    # A tie counts against the scores, while a list has an order: without ties both must agree.
    found, expected = evaluate_lists(lists, split.test, small_log), evaluate(model, split.test)
    for k in (1, 5, 10, 20):
        assert found[f"coverage@{k}"] == expected[f"coverage@{k}"]
        if kind is SmoothedTransitions:
            assert found[f"HR@{k}"] == pytest.approx(expected[f"HR@{k}"], abs=0.03)
        assert found[f"HR@{k}"] >= expected[f"HR@{k}"]
    by_request = evaluate_lists(model.recommend(history=split.test.histories, k=20), split.test)
    np.testing.assert_array_equal(by_request.rank, found.rank)
    assert np.isnan(found["log loss"])
    assert found.interval("HR@10")[0] <= found["HR@10"] <= found.interval("HR@10")[1]
    assert "stand in no list" in repr(found)


def test_a_list_by_hand(small_log: BehaviourLog) -> None:
    split = leave_one_out(small_log)
    names, rows = np.array(small_log.catalogue.items), []
    for user, target in zip(split.test.user, split.test.target, strict=True):
        other = names[(target + 1) % len(names)]
        rows += [(small_log.users[user], other, 1), (small_log.users[user], names[target], 2)]
    lists = pd.DataFrame(rows, columns=["who", "what", "place"])
    columns = {"user": "who", "item": "what", "rank": "place"}
    report = evaluate_lists(lists, split.test, small_log, ks=(1, 2), **columns)
    assert (report["HR@1"], report["HR@2"], report["MRR"]) == (0, 1, 0.5)
    # Rows in another order, users that nobody asks about and items that nobody knows change nothing.
    more = pd.DataFrame([("nobody", "x", 1), ("nobody", names[0], 2)], columns=lists.columns)
    mixed = pd.concat([more, lists]).sample(frac=1, random_state=0)
    with pytest.warns(UserWarning, match="1 of 98 rows of the lists name an item that the catalogue lacks"):
        again = evaluate_lists(mixed, split.test, small_log, **columns)
    assert (again.ks, again["HR@1"]) == ((1,), 0)


def test_lists_that_cannot_be_used_say_why(small_log: BehaviourLog) -> None:
    split = leave_one_out(small_log)
    lists = lists_of(Popularity(split.train), split, small_log, 5)

    def refused(table: pd.DataFrame, says: str, ks: tuple[int, ...] = (5,)) -> None:
        with pytest.raises(LogError, match=says):
            evaluate_lists(table, split.test, small_log, ks=ks)

    refused(lists.rename(columns={"rank": "place"}), "no column 'rank'")
    refused(lists, "48 of 48 requests have fewer than 10 items in the lists, such as request 0 with 5", (10,))
    refused(lists.assign(rank=lists["rank"] - 1), "count from 1")
    refused(lists.assign(rank=1), "a list has two items of rank 1")
    refused(lists.assign(item="sku"), "no item of the lists is in the catalogue: they are such as 'sku'")
    refused(lists[lists["user"] != "u01"], "1 of 48 requests .* request 0 with 0")
    refused(lists.drop(columns=["user", "request"]), "no column 'user'")
    with pytest.raises(LogError, match="give the log"):
        evaluate_lists(lists, split.test)
    with pytest.raises(TypeError, match="a list is no DataFrame"):
        evaluate_lists([1, 2], split.test, small_log)

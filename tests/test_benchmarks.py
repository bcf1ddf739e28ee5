"""The commands under benchmarks/ that write results: two domains, and what each task gives the others."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import imtlib as imt

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import domains
import tasks


def two_shops(users: int = 60, each: int = 20) -> imt.BehaviourLog:
    """Everybody meets items of both shops that nobody else meets, one a day; every second user the last two
    on one day.
    """
    last = 2 * each - 1
    rows = [
        (f"u{user}", f"{user}-{place}", "ab"[(place + user // 2) % 2], min(place, last - user % 2))
        for user in range(users)
        for place in range(last + 1)
    ]
    table = pd.DataFrame(rows, columns=["user", "item", "scenario", "day"])
    table["time"] = 86_400 * table.pop("day")
    items = pd.DataFrame({"item": table["item"], "interests": [[shop] for shop in table["scenario"]]})
    return imt.read_log(table, items=items, behaviour=None)


@pytest.mark.parametrize("name", ["smoothed-transitions", "plain", "shared", "each"])
def test_two_domains_are_asked_by_both_protocols(name, tmp_path, monkeypatch) -> None:
    fitting = {"epochs": 1, "judged": 5, "keep": "last", "progress": False}
    for settings, how in (("PLAIN", "PLAINLY"), ("SETTINGS", "FITTING")):
        monkeypatch.setattr(domains, settings, {"units": 8, "heads": 2})
        monkeypatch.setattr(domains, how, fitting)
    found = domains.run(name, "a-b", two_shops(), 0, tmp_path)
    assert found["fitting"] == (None if name == "smoothed-transitions" else fitting)
    assert sum(one["requests"] for one in found["authors"]["test"].values()) == 60
    assert sum(one["requests"] for one in found["untied"]["test"].values()) == 30
    for protocol, most in (("authors", 1000), ("untied", 1200)):
        for one in found[protocol]["test"].values():
            rank = np.array(one["rank"])
            assert len(rank) == one["requests"]
            assert rank.min(initial=1) >= 1
            assert rank.max(initial=1) <= most
            if len(rank):
                assert one["HR@10"] == pytest.approx((rank <= 10).mean(), abs=1e-5)


def test_points_are_held_against_the_five_events_after_the_tenth() -> None:
    people, truth = imt.simulate(30, seed=1)
    model = imt.InterestMigrationModel.for_log(people, units=8, heads=2)
    found = tasks.points(model, people)
    tenth = people.starts[:-1] + 10
    p = 1 / (
        1 + np.exp(-model.outputs(people.histories_before(tenth), ("interest_logits",))["interest_logits"])
    )
    came = np.array([people.catalogue.item_interests[people.item[e : e + 5]].max(axis=0) for e in tenth])
    by_hand = -np.log(np.where(came, p, 1 - p)).mean()
    assert found["cross-entropy"] == pytest.approx(by_hand, rel=1e-4)
    assert 0 < found["average precision"] <= 1
    assert 0 < tasks.matrix(model, people, truth) < 1
    assert tasks.items(model, people, truth)["share of the achievable"] < 1

"""The commands of experiments/ that write results: domains, tasks, new items and new users."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import imtlib as imt
from experiments import domains, modalities, new_users, tasks
from imtlib.evaluation.new_items import hold_out_items
from imtlib.evaluation.new_users import hold_out_users


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
    fitting = {"epochs": 1, "max_validation_requests": 5, "keep": "last", "progress": False}
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


def test_any_pair_in_the_form_of_the_authors_is_read_by_path(tmp_path, monkeypatch) -> None:
    # Everybody meets twenty items of each domain that nobody else meets.
    lines = [
        f"{user} "
        + " ".join(
            f"{1 + 20 * user + day // 2 + 1200 * ((day + user) % 2)}|{86_400 * day}" for day in range(40)
        )
        for user in range(60)
    ]
    (tmp_path / "events.txt").write_text("\n".join(lines))
    items = {f"item {code}": [code, int(code > 1200)] for code in range(1, 2401)}
    (tmp_path / "items.json").write_text(json.dumps(items))
    given = [
        "--files",
        str(tmp_path / "events.txt"),
        str(tmp_path / "items.json"),
        "--domains",
        "film",
        "book",
    ]
    where = ["--results", str(tmp_path / "results"), "--runs", str(tmp_path / "runs")]
    monkeypatch.setattr(sys, "argv", ["domains.py", "--model", "popularity", *given, *where])
    domains.main()
    found = json.loads((tmp_path / "results" / "film-book" / "popularity-seed0.json").read_text("utf8"))
    assert set(found["authors"]["test"]) == {"film", "book"}
    assert sum(one["requests"] for one in found["untied"]["test"].values()) == 60


def test_new_items_are_asked_three_ways_and_with_each_modality_missing(tmp_path, monkeypatch) -> None:
    log, _ = imt.simulate(80, 60, 4, ("shop", "video"), events=12, seed=3)
    names = log.catalogue.items
    table = pd.DataFrame(
        {"item": names, "title": [f"a thing {name}" for name in names], "year": np.arange(len(names))}
    )
    log = replace(log, item_features=table)
    new = hold_out_items(log, share=0.2, least=1)
    monkeypatch.setattr(modalities, "SETTINGS", {"units": 8, "heads": 2})
    monkeypatch.setattr(modalities, "FITTING", {"epochs": 1, "max_validation_requests": 5, "keep": "last"})
    found = modalities.run("id-title", 0, new, tmp_path)
    assert found["modalities"] == ["id", "text"]
    assert set(found["one missing"]) == {"id", "text"}
    assert found["requests"]["new"] == found["requests"]["among"] == len(found["rank"])
    assert 1 <= min(found["rank"]) <= max(found["rank"]) <= found["new items"]


def test_new_users_are_asked_after_each_number_of_their_events(monkeypatch) -> None:
    log, _ = imt.simulate(60, 40, 4, ("shop", "video"), events=14, seed=3)
    new = hold_out_users(log, 0.3, 10)
    monkeypatch.setitem(new_users.SETTINGS, "simulated-small", {"units": 8, "heads": 2})
    monkeypatch.setitem(
        new_users.FITTING, "simulated-small", {"epochs": 1, "batch": 16, "max_validation_requests": 5}
    )
    for name, asked in (
        ("popularity", [0, 1, 2, 5, 10]),
        ("model", [0, 1, 2, 5, 10]),
        ("scratch", [2, 5, 10]),
    ):
        found = new_users.run("simulated-small", name, 0, new)
        assert list(found) == asked
        kept = new_users.told("simulated-small", name, 0, new, found)
        assert {len(ranks) for ranks in kept["rank"].values()} == {len(new.users)}

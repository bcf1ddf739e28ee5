"""Every file of results is whole, named for its run, and says what its own ranks say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(__file__).parents[2] / "experiments" / "results"

Kept = dict[str, Any]
Ranks = tuple[list[int | None], int, float]
"""The ranks of all requests, how many requests there are, and the hit rate at 10 that the file claims."""


@dataclass(frozen=True)
class Family:
    """Files that one command writes.

    Attributes:
        place: where a file with this content belongs.
        ranks: what can be computed again from it.
        folders: where such files are, below the results.
        fewest: how many there are at least.
    """

    place: Callable[[Kept], str]
    ranks: Callable[[Kept], Iterator[Ranks]]
    folders: tuple[str, ...]
    fewest: int

    def files(self) -> list[Path]:
        return sorted(path for folder in self.folders for path in RESULTS.glob(f"{folder}/*.json"))


def one(kept: Kept) -> Iterator[Ranks]:
    yield kept["rank"], len(kept["loss"]), kept["test"]["HR@10"]


def of_benchmark(kept: Kept) -> Iterator[Ranks]:
    yield kept["rank"], kept["requests"]["test"], kept["test"]["HR@10"]
    low, high = kept["interval"]["HR@10"]
    assert low < kept["test"]["HR@10"] < high
    if (kept["dataset"], kept["split"]) == ("movielens-1m", "leave-one-out"):
        assert kept["hash"].startswith("9938b1b4eaecb2a8")


def after_events(kept: Kept) -> Iterator[Ranks]:
    for events, figures in kept["after"].items():
        assert len(kept["loss"][events]) == kept["new users"]
        yield kept["rank"][events], kept["new users"], figures["HR@10"]


def by_protocol(kept: Kept) -> Iterator[Ranks]:
    for protocol in ("authors", "untied"):
        for figures in kept[protocol]["test"].values():
            yield figures["rank"], figures["requests"], figures["HR@10"]


def among_new(kept: Kept) -> Iterator[Ranks]:
    yield kept["rank"], kept["requests"]["among"], kept["among"]["HR@10"]


def of_tasks(kept: Kept) -> Iterator[Ranks]:
    assert (kept["matrix, total variation"] is None) == (kept["model"] == "no-transition")
    assert 0 < kept["points"]["average precision"] < 1
    assert len(kept["history"]) == kept["fitting"]["epochs"]
    yield from ()


def seeded(kept: Kept) -> str:
    return f"{kept['model']}-seed{kept['seed']}.json"


def of_modalities(folder: str) -> Family:
    return Family(lambda kept: f"{folder}/{seeded(kept)}", among_new, (folder,), 6)


FAMILIES = {
    "benchmark": Family(
        lambda kept: f"{kept['dataset']}/{kept['split']}/{seeded(kept)}",
        of_benchmark,
        tuple(
            f"{log}/{split}"
            for log in (
                "movielens-1m",
                "movielens-100k",
                "simulated-small",
                "simulated-unlike",
                "simulated-late",
            )
            for split in ("leave-one-out", "time")
        ),
        200,
    ),
    "followers": Family(
        lambda kept: f"{kept['dataset']}-followers/{kept['split']}/{seeded(kept)}",
        of_benchmark,
        ("movielens-1m-followers/leave-one-out",),
        2,
    ),
    "transfer": Family(
        lambda kept: (
            f"transfer/{kept['source']}--{kept['target']}/"
            f"{kept['how']}-share{kept['share']:g}-seed{kept['seed']}.json"
        ),
        one,
        ("transfer/*",),
        200,
    ),
    "new users": Family(
        lambda kept: f"new-users/{kept['dataset']}/{seeded(kept)}", after_events, ("new-users/*",), 15
    ),
    "domains": Family(lambda kept: f"domains/{kept['pair']}/{seeded(kept)}", by_protocol, ("domains/*",), 15),
    **{folder: of_modalities(folder) for folder in ("modalities", "modalities/draw-1", "modalities/draw-2")},
    "tasks": Family(lambda kept: f"tasks/{seeded(kept)}", of_tasks, ("tasks",), 20),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_file_is_whole_and_named_for_its_run(name: str) -> None:
    family = FAMILIES[name]
    files = family.files()
    assert len(files) >= family.fewest
    for path in files:
        kept = json.loads(path.read_text("utf8"))
        assert str(path.relative_to(RESULTS)) == family.place(kept)
        for ranks, requests, hit_rate in family.ranks(kept):
            hits = [rank is not None and rank <= 10 for rank in ranks]
            assert len(hits) == requests, path
            assert sum(hits) / len(hits) == pytest.approx(hit_rate, abs=1e-5), path


def test_every_file_belongs_to_a_family() -> None:
    known = {path for family in FAMILIES.values() for path in family.files()}
    rest = {str(path.relative_to(RESULTS)) for path in RESULTS.rglob("*.json")} - {
        str(path.relative_to(RESULTS)) for path in known
    }
    at_the_top = ("movielens-1m-", "simulated-small-", "speed")
    assert [name for name in sorted(rest) if "/" in name or not name.startswith(at_the_top)] == []

"""Logs whose catalogue is another's in another order, smaller or larger; and models to carry over to them."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np

import imtlib as imt
from imtlib.data.catalogue import Catalogue
from imtlib.data.item_features import Modalities, describe
from imtlib.data.splits import Split


def simulated() -> tuple[imt.BehaviourLog, Split]:
    log, _ = imt.simulate(users=40, items=60, interests=4, events=12, scenarios=("shop", "video", "news"))
    return log, imt.leave_one_out(log)


def stirred(log: imt.BehaviourLog, **settings: object) -> imt.InterestMigrationModel:
    """A model none of whose weights is zero or one, as if it had learnt."""
    keras.utils.set_random_seed(0)
    return stir(
        imt.InterestMigrationModel.for_log(log, units=8, heads=2, **{"attention": "state", **settings})
    )


def stir(model: imt.InterestMigrationModel) -> imt.InterestMigrationModel:
    """Move every weight but those that say what an item is."""
    rng = np.random.default_rng(0)
    given = [] if model.fused is None else model.fused.given
    for variable in model.weights:
        if all(variable is not one for one in given):
            variable.assign(np.asarray(variable) + rng.normal(0, 0.3, variable.shape))
    return model


def chosen(names: Catalogue, seed: int, items: int, scenarios: int) -> Catalogue:
    """Some of the items and scenarios of a catalogue, in another order; all interests, in another order."""
    rng = np.random.default_rng(seed)
    item, scenario = (
        rng.permutation(len(names.items))[:items],
        rng.permutation(len(names.scenarios))[:scenarios],
    )
    interest = rng.permutation(len(names.interests))
    return replace(
        names,
        items=tuple(names.items[i] for i in item),
        scenarios=tuple(names.scenarios[s] for s in scenario),
        interests=tuple(names.interests[k] for k in interest),
        item_interests=names.item_interests[item][:, interest],
    )


def mapped(log: imt.BehaviourLog, names: Catalogue) -> imt.BehaviourLog:
    """The events of a log that a smaller catalogue can name, with its codes."""
    item = np.array([names.items.index(name) if name in names.items else -1 for name in log.catalogue.items])
    scenario = np.array(
        [names.scenarios.index(name) if name in names.scenarios else -1 for name in log.catalogue.scenarios]
    )
    kept = log.filter((item[log.item] >= 0) & (scenario[log.scenario] >= 0))
    return replace(
        kept,
        catalogue=names,
        item=item[kept.item].astype(np.int32),
        scenario=scenario[kept.scenario].astype(np.int32),
        item_features=kept.item_features.loc[list(names.items)],
    )


def grown(names: Catalogue) -> Catalogue:
    """With two items, a scenario and an interest that nobody has heard of."""
    item_interests = np.pad(names.item_interests, ((0, 2), (0, 1)))
    item_interests[-2:, -1] = True
    return replace(
        names,
        items=(*names.items, "one new", "two new"),
        scenarios=("somewhere new", *names.scenarios),
        interests=(*names.interests, "a new interest"),
        item_interests=item_interests,
    )


def pictured(log: imt.BehaviourLog, like: Modalities | None = None) -> Modalities:
    """A title, a year and a picture of each item, by its name; the year of every third is not known."""
    number = np.array([sum(map(ord, name)) for name in log.catalogue.items], np.float64)
    log.item_features["title"] = [f"the {int(n) % 5} and the {int(n) % 7}" for n in number]
    log.item_features["year"] = np.where(number % 3 > 0, 1900 + number % 100, np.nan)
    image = np.sin(number[:, None] * np.arange(1, 4))
    return describe(log, text=["title"], numbers=["year"], vectors={"image": image}, like=like)

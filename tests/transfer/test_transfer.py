"""Carrying a model over to another catalogue, and what may change there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import imtlib as imt
from experiments import transfer
from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import nobody
from imtlib.data.item_features import Modalities, describe
from imtlib.data.splits import Split
from imtlib.datasets.xmarket import read_markets
from imtlib.errors import LogError, ModelFileError, UnknownNameError
from imtlib.transfer.adapters import ADAPTATIONS, Counts, adapt
from imtlib.transfer.remapping import Carried, carry_over, match

WAYS = [
    {"successors": True, "sharing": "star", "use_profile": True, "cell": "lstm", "matrix_from_state": True},
    {"sharing": "gate", "attention": "self", "use_request_time": True, "through_interests": False},
]


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
    told = [] if model.fused is None else model.fused.given
    for variable in model.weights:
        if all(variable is not one for one in told):
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


@pytest.mark.parametrize("settings", WAYS)
def test_a_catalogue_in_another_order_changes_no_score(settings: dict[str, object]) -> None:
    log, split = simulated()
    source = stirred(log, **settings)
    names = chosen(log.catalogue, 1, len(log.catalogue.items), 3)
    moved = carry_over(source, names)
    assert not moved.new_rows()
    there = imt.leave_one_out(mapped(log, names))
    order = log.catalogue.codes("item", names.items)
    np.testing.assert_allclose(
        moved.model.score(there.test.histories),
        source.score(split.test.histories)[:, order],
        rtol=2e-4,
        atol=2e-4,
    )


def test_scores_of_shared_items_keep_their_distances() -> None:
    log, _ = simulated()
    source = stirred(log, through_interests=False)
    names = chosen(log.catalogue, 2, 40, 2)
    small = mapped(log, names)
    same_events = replace(
        small,
        catalogue=log.catalogue,
        item=log.catalogue.codes("item", names.items)[small.item],
        scenario=log.catalogue.codes("scenario", names.scenarios)[small.scenario],
        item_features=log.item_features,
    )
    moved = carry_over(source, names).model
    here = moved.score(imt.leave_one_out(small).test.histories)
    there = source.score(imt.leave_one_out(same_events).test.histories)
    there = there[:, log.catalogue.codes("item", names.items)]
    np.testing.assert_allclose(here - here[:, :1], there - there[:, :1], rtol=1e-3, atol=1e-3)


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


@pytest.mark.parametrize("settings", WAYS)
def test_a_new_name_starts_at_the_mean_of_the_known(settings: dict[str, object]) -> None:
    log, _ = simulated()
    source = stirred(log, **settings)
    moved = carry_over(source, grown(log.catalogue))
    table, known = (
        np.asarray(moved.model.embedding.item.embeddings),
        np.asarray(source.embedding.item.embeddings),
    )
    np.testing.assert_array_equal(table[:-2], known)
    assert np.abs(table[-2:] - known.mean(axis=0)).max() < 5 * 8**-0.5
    np.testing.assert_allclose(
        np.asarray(moved.model.item_bias)[-2:], np.asarray(source.item_bias).mean(), rtol=1e-4
    )
    matrix = np.asarray(moved.model.migration_matrix.by_scenario)
    theirs = np.asarray(source.migration_matrix.by_scenario)
    kinds = len(log.catalogue.interests)
    rows = [*range(kinds), kinds + 1]  # START stays the last
    np.testing.assert_array_equal(matrix[1:, rows][..., :kinds], theirs)
    np.testing.assert_allclose(matrix[0][rows][:, :kinds], theirs.mean(axis=0), rtol=1e-4)
    assert np.isfinite(moved.model.score(nobody(moved.model.catalogue))).all()


def test_titles_match_items_and_a_title_that_stands_twice_matches_none() -> None:
    log, _ = simulated()
    names = log.catalogue
    target = replace(names, items=tuple(f"number {i}" for i in range(len(names.items))))
    titles = [*names.items]
    titles[3] = titles[5]
    found = match(names, target, target_items=titles)
    assert found.twice == 2
    assert np.flatnonzero(found.new("item")).tolist() == [3, 5]
    with pytest.raises(UnknownNameError, match="no item is common to both"):
        match(names, target)
    with pytest.raises(ValueError, match="2 names for the 60 items of the target"):
        match(names, target, target_items=["a", "b"])


def pictured(log: imt.BehaviourLog, like: Modalities | None = None) -> Modalities:
    """A title, a year and a picture of each item, by its name; the year of every third is not known."""
    number = np.array([sum(map(ord, name)) for name in log.catalogue.items], np.float64)
    log.item_features["title"] = [f"the {int(n) % 5} and the {int(n) % 7}" for n in number]
    log.item_features["year"] = np.where(number % 3 > 0, 1900 + number % 100, np.nan)
    image = np.sin(number[:, None] * np.arange(1, 4))
    return describe(log, text=["title"], numbers=["year"], vectors={"image": image}, like=like)


def test_with_modalities_a_catalogue_in_another_order_changes_no_score() -> None:
    log, split = simulated()
    described = pictured(log)
    keras.utils.set_random_seed(0)
    source = stir(imt.InterestMigrationModel.for_log(log, described, units=8, heads=2))
    other = mapped(log, chosen(log.catalogue, 1, len(log.catalogue.items), 3))
    moved = carry_over(source, other.catalogue, modalities=pictured(other, like=described))
    order = log.catalogue.codes("item", other.catalogue.items)
    np.testing.assert_allclose(
        moved.model.score(imt.leave_one_out(other).test.histories),
        source.score(split.test.histories)[:, order],
        rtol=2e-4,
        atol=2e-4,
    )
    counts = adapt(moved, "lora", rank=1)
    assert 0 < counts.share < 0.3
    with pytest.raises(ValueError, match="adapted before"):
        adapt(moved, "norms")


def test_in_the_words_of_another_log_what_it_lacks_is_none() -> None:
    log, _ = simulated()
    few = mapped(log, chosen(log.catalogue, 2, 40, 2))
    theirs = pictured(few)
    ours = pictured(log, like=theirs)
    assert ours.vocabularies == theirs.vocabularies
    place = log.catalogue.codes("item", few.catalogue.items)
    for name in ("numbers", "image"):
        np.testing.assert_allclose(ours.vectors[name][place], theirs.vectors[name], rtol=1e-5, atol=1e-6)
    for mine, codes in zip(ours.bags["interests"][place], theirs.bags["interests"], strict=True):
        assert set(mine) | {0} == set(codes) | {0}
    with pytest.raises(LogError, match="name the same columns"):
        describe(few, text=["title"], like=theirs)


def test_other_modalities_than_the_source_has_are_refused() -> None:
    log, _ = simulated()
    source = imt.InterestMigrationModel.for_log(log, describe(log), units=8)
    with pytest.raises(ValueError, match="in the source's words"):
        carry_over(source, log.catalogue)
    with pytest.raises(ValueError, match="in the source's words"):
        carry_over(source, log.catalogue, modalities=pictured(log))


def test_words_of_another_language_are_refused_though_as_many() -> None:
    log, _ = simulated()
    source = imt.InterestMigrationModel.for_log(log, pictured(log), units=8)
    assert pictured(log).language == pictured(log).language
    log.item_features["title"] = log.item_features["title"].str.replace("the", "one")
    other = describe(log, text=["title"], numbers=["year"], vectors={"image": np.eye(60, 3)})
    assert other.widths == pictured(log).widths
    with pytest.raises(ValueError, match="of other words or scales"):
        carry_over(source, log.catalogue, modalities=other)


def test_what_is_kept_of_the_modalities_can_be_carried_over() -> None:
    log, _ = simulated()
    kept = pictured(log).keep("id", "numbers")
    assert set(kept.widths) == set(kept.scales) == {"numbers"}
    source = imt.InterestMigrationModel.for_log(log, kept, units=8)
    assert source.fused.widths == kept.widths
    moved = carry_over(source, log.catalogue, modalities=kept)
    assert not moved.matching.new("item").any()


def test_an_item_that_nobody_met_is_known_by_what_it_is() -> None:
    log, _ = simulated()
    described = pictured(log)
    source = stir(imt.InterestMigrationModel.for_log(log, described, units=8, heads=2))
    place = log.catalogue.items.index("i12")
    renamed = (*log.catalogue.items[:place], "21i", *log.catalogue.items[place + 1 :])
    target = replace(
        log.filter(log.item != place),
        catalogue=replace(log.catalogue, items=renamed),
        item_features=log.item_features.set_axis(list(renamed)),
    )
    moved = carry_over(source, target.catalogue, modalities=pictured(target, like=described))
    hidden = described.present.copy()
    hidden[place, 0] = False
    source.fused.show(hidden)
    table, theirs = (np.asarray(model.fused.embeddings) for model in (moved.model, source))
    np.testing.assert_allclose(table[place], theirs[place], rtol=1e-5, atol=1e-6)
    assert np.abs(table[place]).max() > 0.05


def there(seed: int = 0) -> tuple[Carried, Split]:
    """A source carried over to a log that has a new scenario and new items, its own."""
    log, _ = simulated()
    source = stirred(log, successors=True, sharing="gate")
    names = grown(log.catalogue)
    larger = replace(
        log,
        catalogue=names,
        item=np.where(np.arange(len(log)) % 9 == 0, len(names.items) - 1, log.item).astype(np.int32),
        scenario=np.where(np.arange(len(log)) % 5 == 0, 0, log.scenario + 1).astype(np.int32),
        item_features=log.item_features.reindex(list(names.items)),
    )
    keras.utils.set_random_seed(seed)
    return carry_over(source, names), imt.leave_one_out(larger)


@pytest.mark.parametrize("how", ADAPTATIONS)
def test_only_what_may_change_changes(how: str) -> None:
    moved, split = there()
    model = moved.model
    table = np.array(model.embedding.item.embeddings)
    counts = adapt(moved, how, rank=2)
    np.testing.assert_array_equal(np.asarray(model.embedding.item.embeddings), table)
    before = [np.array(variable) for variable in model.weights]
    imt.fit(model, split, epochs=1, batch=20, progress=False)
    new = {id(variable): where for variable, where in moved.new_rows()}
    changed_elsewhere = changed_new = 0
    for variable, was in zip(model.weights, before, strict=True):
        changed = np.asarray(variable) != was
        where = new.get(id(variable), np.zeros(was.shape, bool))
        if variable.constraint is not None or not variable.trainable:
            assert not changed[~where].any(), variable.path
        changed_elsewhere += int(changed[~where].sum())
        changed_new += int(changed[where].sum())
    assert 0.7 * counts.trained <= changed_elsewhere <= counts.trained
    assert 0.5 * counts.new <= changed_new <= counts.new


def test_a_direct_softmax_has_no_matrix_to_adapt() -> None:
    log, _ = simulated()
    moved = carry_over(stirred(log, through_interests=False), grown(log.catalogue))
    adapt(moved, "norms")
    unused = [
        v for layer in (moved.model.migration_matrix, moved.model.current_interest) for v in layer.weights
    ]
    assert not any(variable.trainable for variable in unused)
    assert moved.model.item_bias.trainable


def test_counts_by_hand() -> None:
    moved, _ = there()
    whole = sum(int(np.prod(variable.shape)) for variable in moved.model.weights)
    new = adapt(moved, "all").new
    # Two items, each with a row, a bias and a successors' row; a scenario with a row, a gate's row and a
    # matrix of 6 rows and 5 columns; a row and a column of the common matrix and of each known scenario's,
    # less what both share; a row and a column of the low rank; in two heads, a column and a bias.
    by_hand = 2 * (8 + 1 + 8) + (8 + 8 + 6 * 5) + (1 + 3) * (5 + 6 - 1) + (8 + 8) + (16 + 1) + (8 + 1)
    assert new == by_hand
    assert adapt(there()[0], "all") == Counts(whole, whole - new, new)
    assert adapt(there()[0], "all").share == 1.0
    lora, norms = adapt(there()[0], "lora", rank=1), adapt(there()[0], "norms")
    assert norms.trained < lora.trained < whole - new
    assert lora.all > whole


def test_adapters_are_folded_in_when_saved(tmp_path) -> None:
    moved, split = there()
    adapt(moved, "lora", rank=2)
    imt.fit(moved.model, split, epochs=1, progress=False)
    moved.model.save(tmp_path / "model.keras")
    back = imt.load_model(tmp_path / "model.keras")
    assert len(back.weights) < len(moved.model.weights)
    np.testing.assert_allclose(
        back.score(split.test.histories), moved.model.score(split.test.histories), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(ValueError, match="adapters of its own"):
        carry_over(moved.model, back.catalogue)
    assert not carry_over(back, back.catalogue).new_rows()


def test_an_interrupted_adaptation_ends_as_a_whole_one(tmp_path) -> None:
    whole, split = there()
    adapt(whole, "lora", rank=2)
    imt.fit(whole.model, split, epochs=2, progress=False, keep="last")

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            raise KeyboardInterrupt

    parts, _ = there()
    adapt(parts, "lora", rank=2)
    with pytest.raises(KeyboardInterrupt):
        imt.fit(
            parts.model, split, epochs=2, progress=False, keep="last", folder=tmp_path, callbacks=[Stop()]
        )
    again, _ = there()
    adapt(again, "lora", rank=2)
    imt.fit(again.model, split, epochs=2, progress=False, keep="last", folder=tmp_path)
    for one, other in zip(whole.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_a_folder_is_of_one_adaptation(tmp_path) -> None:
    one, split = there()
    adapt(one, "norms")
    fitting = {"epochs": 1, "batch": 20, "progress": False, "folder": tmp_path}
    imt.fit(one.model, split, **fitting)
    other, _ = there()
    adapt(other, "heads")
    with pytest.raises(ModelFileError, match="a run with other weights"):
        imt.fit(other.model, split, **fitting)


def test_a_transfer_says_what_it_did(tmp_path, monkeypatch) -> None:
    fitting = {"epochs": 1, "batch": 20, "progress": False}
    small = {"units": 8, "heads": 2, "attention": "state"}
    fresh = imt.simulate(40, 60, 4, ("shop", "video", "news"), events=12, seed=1)[0]
    monkeypatch.setitem(transfer.LOGS, "here", lambda: simulated()[0])
    monkeypatch.setitem(transfer.LOGS, "there", lambda: fresh)
    monkeypatch.setitem(transfer.PLANS, "here", transfer.Plan(small, fitting, fitting, fitting, fitting))
    found = {how: transfer.run("here", "there", how, 0.5, 0, tmp_path) for how in ("popularity", "norms")}
    assert found["popularity"]["fitting"] is None
    assert found["popularity"]["counts"] is None
    norms = found["norms"]
    assert norms["users"] == 20
    assert norms["matched items"] == norms["items"] == 60
    assert 0 < norms["counts"]["share"] < 0.5
    assert norms["hash"] == found["popularity"]["hash"]
    with pytest.raises(ValueError, match=r"share=0\.0 is not above 0"):
        transfer.run("here", "there", "popularity", 0.0, 0, tmp_path)


def market(path: Path, items: int, seed: int) -> str:
    """Write a market's file, in which each user rates one item a day."""
    log = imt.simulate(30, items, 4, ("shop",), events=8, seed=seed)[0]
    days = {user: iter(range(1, 29)) for user in range(30)}
    lines = ["userId itemId rate date"] + [
        f"{log.users[user]} {log.catalogue.items[item]} 5.0 2016-06-{next(days[user]):02d}"
        for user, item in zip(log.user, log.item, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_other_markets_load_by_path(tmp_path, monkeypatch, capsys) -> None:
    one, other = market(tmp_path / "us.txt", 40, 0), market(tmp_path / "jp.txt", 30, 1)
    fitting = {"epochs": 1, "batch": 20, "progress": False}
    small = {"units": 8, "attention": "state"}
    monkeypatch.setattr(
        transfer, "MARKET", replace(transfer.MARKET, settings=small, source=fitting, thin=fitting)
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["transfer", one, other, "--how", "lora-1", "popularity"])
    transfer.main()
    found = {
        path.name: json.loads(path.read_text())
        for path in Path("experiments/results/transfer/us--jp").glob("*.json")
    }
    assert set(found) == {"lora-1-share1-seed0.json", "popularity-share1-seed0.json"}
    adapted = found["lora-1-share1-seed0.json"]
    assert (adapted["source"], adapted["target"]) == ("us", "jp")
    sold = [set(read_markets({"here": path}).catalogue.items) for path in (one, other)]
    assert adapted["items"] == len(sold[1])
    assert 0 < adapted["matched items"] == len(sold[0] & sold[1])
    assert (tmp_path / "runs" / "transfer" / "us-seed0").is_dir()
    monkeypatch.setattr("sys.argv", ["transfer", one, "xmarket-jp"])
    with pytest.raises(SystemExit):
        transfer.main()
    assert "'xmarket-jp' is no file and none of movielens-1m," in capsys.readouterr().err


def test_a_source_may_be_the_model_of_the_book(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(transfer.LOGS, "simulated-small", lambda: imt.load_dataset("simulated-small"))
    plan = transfer.Plan({}, None, {}, {}, {})
    model, log = transfer.source_model("simulated-small", plan, 0, tmp_path)
    assert model.config == imt.load_pretrained("simulated-small").config
    assert model.catalogue.fingerprint == log.catalogue.fingerprint


def test_what_cannot_be_asked() -> None:
    with pytest.raises(ValueError, match="unknown how='some'"):
        adapt(there()[0], "some")
    with pytest.raises(ValueError, match="rank=0"):
        adapt(there()[0], "lora", rank=0)
    twice, _ = there()
    adapt(twice, "norms")
    with pytest.raises(ValueError, match="adapted before"):
        adapt(twice, "lora")

"""Carrying a model over to another catalogue."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from support.transfers import chosen, grown, mapped, pictured, simulated, stir, stirred

import imtlib as imt
from imtlib.data.histories import nobody
from imtlib.data.item_features import describe
from imtlib.errors import LogError, UnknownNameError
from imtlib.transfer.adapters import adapt
from imtlib.transfer.remapping import carry_over, match

pytestmark = pytest.mark.usefixtures("eagerly")

WAYS = [
    {"successors": True, "sharing": "star", "use_profile": True, "cell": "lstm", "matrix_from_state": True},
    {"sharing": "gate", "attention": "self", "use_request_time": True, "through_interests": False},
]


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

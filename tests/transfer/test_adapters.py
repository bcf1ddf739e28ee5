"""What may change in a model that was carried over, and that nothing else does."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.transfers import grown, simulated, stirred

import imtlib as imt
from imtlib.data.splits import Split
from imtlib.errors import ModelFileError
from imtlib.transfer.adapters import ADAPTATIONS, Counts, adapt
from imtlib.transfer.remapping import Carried, carry_over

pytestmark = pytest.mark.usefixtures("eagerly")


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


@dataclass
class Adapted:
    """A model that was adapted and fitted, and what was before."""

    carried: Carried
    split: Split
    counts: Counts
    before: list[np.ndarray]
    folder: Path


FITTING: dict[str, Any] = {"epochs": 2, "batch": 40, "keep": "last", "progress": False}


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Adapted]:
    """Of each way; what the folder held after the first epoch lies beside it, as `first`."""
    found = {}
    tf.config.run_functions_eagerly(True)
    for how in ADAPTATIONS:
        folder, (carried, split) = tmp_path_factory.mktemp(how), there()
        table = np.array(carried.model.embedding.item.embeddings)
        counts = adapt(carried, how, rank=2)
        np.testing.assert_array_equal(np.asarray(carried.model.embedding.item.embeddings), table)
        before = [np.array(variable) for variable in carried.model.weights]

        def keep_first(epoch: int, logs: object, folder: Path = folder) -> None:
            if epoch == 0:
                shutil.copytree(folder / "whole", folder / "first")

        watch = keras.callbacks.LambdaCallback(on_epoch_end=keep_first)
        imt.fit(carried.model, split, folder=folder / "whole", callbacks=[watch], **FITTING)
        found[how] = Adapted(carried, split, counts, before, folder)
    tf.config.run_functions_eagerly(False)
    return found


@pytest.mark.parametrize("how", ADAPTATIONS)
def test_only_what_may_change_changes(how: str, adapted: dict[str, Adapted]) -> None:
    found = adapted[how]
    new = {id(variable): where for variable, where in found.carried.new_rows()}
    changed_elsewhere = changed_new = 0
    for variable, was in zip(found.carried.model.weights, found.before, strict=True):
        changed = np.asarray(variable) != was
        where = new.get(id(variable), np.zeros(was.shape, bool))
        if variable.constraint is not None or not variable.trainable:
            assert not changed[~where].any(), variable.path
        changed_elsewhere += int(changed[~where].sum())
        changed_new += int(changed[where].sum())
    assert 0.7 * found.counts.trained <= changed_elsewhere <= found.counts.trained
    assert 0.5 * found.counts.new <= changed_new <= found.counts.new


def test_a_direct_softmax_has_no_matrix_to_adapt() -> None:
    log, _ = simulated()
    moved = carry_over(stirred(log, through_interests=False), grown(log.catalogue))
    adapt(moved, "norms")
    unused = [
        v for layer in (moved.model.migration_matrix, moved.model.current_interest) for v in layer.weights
    ]
    assert not any(variable.trainable for variable in unused)
    assert moved.model.item_bias.trainable


def test_counts_by_hand(adapted: dict[str, Adapted]) -> None:
    everything, lora, norms = (adapted[how].counts for how in ("all", "lora", "norms"))
    whole = sum(variable.size for variable in adapted["all"].before)
    # Two items, each with a row, a bias and a successors' row; a scenario with a row, a gate's row and a
    # matrix of 6 rows and 5 columns; a row and a column of the common matrix and of each known scenario's,
    # less what both share; a row and a column of the low rank; in two heads, a column and a bias.
    new = 2 * (8 + 1 + 8) + (8 + 8 + 6 * 5) + (1 + 3) * (5 + 6 - 1) + (8 + 8) + (16 + 1) + (8 + 1)
    assert everything == Counts(whole, whole - new, new)
    assert everything.share == 1.0
    assert norms.trained < lora.trained < whole - new
    assert lora.all > whole


def test_adapters_are_folded_in_when_saved(adapted: dict[str, Adapted], tmp_path: Path) -> None:
    model, histories = adapted["lora"].carried.model, adapted["lora"].split.test.histories
    model.save(tmp_path / "model.keras")
    back = imt.load_model(tmp_path / "model.keras")
    assert len(back.weights) < len(model.weights)
    np.testing.assert_allclose(back.score(histories), model.score(histories), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="adapters of its own"):
        carry_over(model, back.catalogue)
    assert not carry_over(back, back.catalogue).new_rows()


def test_an_interrupted_adaptation_ends_as_a_whole_one(adapted: dict[str, Adapted]) -> None:
    whole = adapted["lora"]
    again, split = there()
    adapt(again, "lora", rank=2)
    imt.fit(again.model, split, folder=whole.folder / "first", **FITTING)
    for one, other in zip(whole.carried.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_a_folder_is_of_one_adaptation(adapted: dict[str, Adapted]) -> None:
    other, split = there()
    adapt(other, "heads")
    with pytest.raises(ModelFileError, match="a run with other weights"):
        imt.fit(other.model, split, folder=adapted["norms"].folder / "whole", **FITTING)


def test_what_cannot_be_asked(adapted: dict[str, Adapted]) -> None:
    carried = adapted["norms"].carried
    with pytest.raises(ValueError, match="unknown how='some'"):
        adapt(carried, "some")
    with pytest.raises(ValueError, match="rank=0"):
        adapt(carried, "lora", rank=0)
    with pytest.raises(ValueError, match="adapted before"):
        adapt(carried, "lora")

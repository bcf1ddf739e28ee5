"""What must hold of the five steps, to 1e-5 on weights of every kind."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import properties
from support.worlds import random_histories, small_catalogue, small_model

from imtlib.attention import ConstantQueryAttention, SelfAttention, StateQueryAttention
from imtlib.checkpoints import load_model
from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.queries import Event
from imtlib.model import InterestMigrationModel
from imtlib.streaming import Session

ON_MODELS = [
    properties.future_never_reaches_past,
    properties.padding_changes_nothing,
    properties.weights_are_of_the_past,
    properties.at_positions_equals_whole,
    properties.sums_are_one,
    properties.rows_are_mixed_not_averaged,
]


@pytest.mark.parametrize("holds", ON_MODELS, ids=lambda check: check.__name__)
def test_property(model: InterestMigrationModel, holds) -> None:
    assert holds(model) is None


@pytest.mark.parametrize("kind", [ConstantQueryAttention, StateQueryAttention])
def test_attention_equals_its_definition(kind) -> None:
    assert properties.attention_equals_definition(properties.a_layer(kind)) is None


def test_a_later_score_larger_by_100_changes_nothing_before_it() -> None:
    assert properties.large_later_scores_change_nothing(properties.a_layer(ConstantQueryAttention)) is None


def test_lstm_keeps_the_future_out() -> None:
    assert properties.future_never_reaches_past(small_model("constant", cell="lstm")) is None


def test_batch_order_changes_nothing(model: InterestMigrationModel) -> None:
    histories = random_histories(model.catalogue, [5, 1, 0, 12, 3])
    order = np.array([3, 0, 4, 2, 1])
    properties.assert_close(model.score(histories)[order], model.score(histories.take(order)))


def test_score_is_what_call_says_at_the_last_position(model: InterestMigrationModel) -> None:
    batch = properties.a_batch(model)
    whole = properties.numbers(model(batch))
    ends = model.outputs(random_histories(model.catalogue, properties.LENGTHS), ("query", "next_interest"))
    for name, values in ends.items():
        properties.assert_close(values, whole[name][np.arange(4), batch["length"]])


@pytest.mark.parametrize(
    "settings",
    [{}, {"cell": "lstm"}, {"layers": 2, "matrix_from_state": True, "successors": True}],
)
def test_incremental_equals_whole(settings: dict) -> None:
    model = small_model("constant", **settings)
    names = model.catalogue
    history = random_histories(names, [11], seed=8)
    session = Session(model)
    state = session.start(history.profile[0])
    for length in range(12):
        asked, at = names.scenarios[length % 3], int(history.time[max(length - 1, 0)]) + 100
        so_far = Histories(  # type: ignore[call-arg]
            names,
            np.array([0, length]),
            *(
                values[:length]
                for values in (history.item, history.scenario, history.behaviour, history.time)
            ),
            np.array([length % 3], np.int32),
            np.array([at]),
            history.profile,
        )
        properties.assert_close(session.score(state, asked, at), model.score(so_far)[0])
        if length < 11:
            codes = (history.item[length], history.scenario[length], history.behaviour[length])
            event = Event(
                names.items[codes[0]],
                names.scenarios[codes[1]],
                names.behaviours[codes[2]],
                int(history.time[length]),
            )
            state = session.step(state, event)


def test_successors_are_those_of_the_last_item_alone() -> None:
    model = small_model("constant", layers=2, matrix_from_state=True, successors=True)
    histories = random_histories(model.catalogue, [6, 6, 0])
    before, table = model.score(histories), model.successors.embeddings.numpy()
    moved = table.copy()
    moved[histories.item[5] + 1] += 1.0
    model.successors.embeddings.assign(moved)
    try:
        apart = np.abs(model.score(histories) - before).max(axis=1)
    finally:
        model.successors.embeddings.assign(table)
    assert histories.item[11] != histories.item[5]
    assert apart[0] > 0.01
    assert apart[1:].max() == 0


def test_step_needs_a_constant_query() -> None:
    with pytest.raises(ValueError, match="no incremental form"):
        Session(small_model("state"))


def test_saved_and_loaded_scores_are_the_same(model: InterestMigrationModel, tmp_path: Path) -> None:
    model.save(tmp_path / "model.keras")
    histories = random_histories(model.catalogue, [5, 0, 12])
    again = load_model(tmp_path / "model.keras")
    properties.assert_close(properties.eager_scores(again, histories), model.score(histories))
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_self_attention_ignores_what_is_masked() -> None:
    layer = properties.a_layer(SelfAttention)
    states = np.random.default_rng(0).normal(size=(1, 6, 16)).astype(np.float32)
    short = layer(states[:, :4], np.ones((1, 3), bool))
    properties.assert_close(np.asarray(layer(states, np.ones((1, 5), bool)))[:, :4], np.asarray(short))


def test_a_fresh_process_loads_the_same_scores(
    constant_model: InterestMigrationModel, tmp_path: Path
) -> None:
    constant_model.save(tmp_path / "model.keras")
    program = (
        "import sys, numpy as np; from imtlib import load_model\n"
        "from support import properties, worlds\n"
        "model = load_model(sys.argv[1])\n"
        "histories = worlds.random_histories(model.catalogue, [5, 0, 12])\n"
        "np.save(sys.argv[2], properties.eager_scores(model, histories))"
    )
    scores = tmp_path / "scores.npy"
    here = str(Path(__file__).parent)
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model.keras"), str(scores)],
        check=True,
        env={**os.environ, "PYTHONPATH": here},
        capture_output=True,
    )
    own = constant_model.score(random_histories(constant_model.catalogue, [5, 0, 12]))
    properties.assert_close(np.load(scores), own)


def test_what_was_expected_stands_in_for_an_unknown_interest() -> None:
    names = small_catalogue()
    held = np.concatenate([names.item_interests, np.zeros((12, 1), bool)], axis=1)
    held[3] = [False, False, False, False, True]
    unknown = replace(names, interests=(*names.interests, "other"), item_interests=held)
    model = InterestMigrationModel(unknown, units=16)
    batch = properties.a_batch(model)
    batch["item"][0, 2] = 3
    found = properties.numbers(model(batch))
    expected = 1 / (1 + np.exp(-found["interest_logits"][0, 2].astype(np.float64)))
    properties.assert_close(found["belief"][0, 3, :-1], expected / expected.sum())
    known = names.item_interests[batch["item"][0, 0]]
    assert found["belief"][0, 1, :4][~known].max(initial=0) == 0
    properties.assert_close(found["belief"].sum(axis=-1), np.ones(found["belief"].shape[:2]))


def test_one_scenario_and_one_interest_are_enough() -> None:
    one = Catalogue(("a", "b", "c"), ("all",), ("event",), ("other",), np.ones((3, 1), bool))
    model = InterestMigrationModel(one, units=16)
    histories = replace(
        random_histories(small_catalogue(), [1, 0]),
        catalogue=one,
        item=np.array([2], np.int32),
        scenario=np.zeros(1, np.int32),
        behaviour=np.zeros(1, np.int32),
        request_scenario=np.zeros(2, np.int32),
        profile=np.zeros((2, 0), np.float32),
    )
    scores = properties.eager_scores(model, histories)
    properties.assert_close(np.exp(scores).sum(axis=1), np.ones(2))


def test_the_time_of_the_request_is_seen_where_it_is_asked_for_and_nowhere_else() -> None:
    histories = random_histories(small_catalogue(), [1, 5, 9, 14])
    later = replace(histories, request_time=histories.request_time * 1000)
    for settings in ({}, {"matrix_from_state": True}, {"through_interests": False}):
        without = small_model("state", use_request_time=False, **settings)
        scores = [properties.eager_scores(without, one) for one in (later, histories)]
        np.testing.assert_array_equal(*scores)
    model = small_model("state")
    apart = np.abs(model.score(later) - model.score(histories)).max(axis=1)
    assert (apart > 1e-3).all()

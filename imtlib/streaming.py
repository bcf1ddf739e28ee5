"""One event at a time: what is kept of a user, and how an event moves it, in constant time and memory.

The result equals running the whole history again, as long as this has at most `max_length` events. A longer
one is cut when it is run whole, while the state here has seen it all.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from keras import ops

from imtlib.attention import ConstantQueryAttention
from imtlib.data.inputs import gap_bucket
from imtlib.data.queries import Event
from imtlib.layers.backend import compiled
from imtlib.layers.ops import Parts
from imtlib.model import InterestMigrationModel
from imtlib.types import Float32Array, Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """All that a model keeps of one user: its size does not grow with the history.

    Attributes:
        states: $h_{t-1}$ and $h_t$, each `(1, d)`.
        contexts: $c_{t-1}$ and $c_t$, each `(1, d)`.
        blocks: the recurrent state of each block.
        sums: the attention's running sums.
        length: events so far.
        item, scenario, gap, time: codes and time of the last event.
    """

    states: tuple[Tensor, Tensor]
    contexts: tuple[Tensor, Tensor]
    blocks: list[list[Tensor]]
    sums: Parts
    length: int
    item: int
    scenario: int
    gap: int
    time: int


class Session:
    """A model that reads events one at a time.

    Args:
        model: with constant-query attention.

    Raises:
        ValueError: the attention is not `"constant"`: no other has a state of constant size.
    """

    def __init__(self, model: InterestMigrationModel) -> None:
        if not isinstance(model.attention, ConstantQueryAttention):
            raise ValueError(
                f"attention={model.config.attention!r} has no incremental form: its query changes with "
                "every event. Use attention='constant', or score() the whole history."
            )
        self.model, self._attention = model, model.attention
        self._advance, self._ends = compiled(self.advance), compiled(model.ends)

    def start(self, profile: Float32Array | None = None) -> State:
        """Make the state before the first event.

        Args:
            profile: one-hot of the given features, float32 `(P,)`; by default none is known.
        """
        model = self.model
        width = len(model.catalogue.profile_columns)
        known = np.zeros((1, width), np.float32) if profile is None else np.asarray(profile)[None]
        state, blocks = model.encoder.start(model.used_profile(ops.convert_to_tensor(known, "float32")))
        nothing, sums = ops.zeros_like(state), self._attention.start(state)
        return State((state, state), (nothing, nothing), blocks, sums, 0, 0, 0, 0, 0)

    def step(self, state: State, event: Event) -> State:
        """Go one event further.

        Args:
            state: what `start` or `step` returned; it is not changed.
            event: what happened.

        Returns:
            The state after it.

        Raises:
            UnknownNameError: the event names what the catalogue does not hold.
            ValueError: the event is older than the one before.
        """
        if state.length and event.time < state.time:
            raise ValueError(f"event at time {event.time} is older than the one before, at {state.time}")
        names = {"item": event.item, "scenario": event.scenario, "behaviour": event.behaviour}
        item, scenario, behaviour = (
            int(self.model.catalogue.codes(kind, [name])[0]) for kind, name in names.items()
        )
        gap = _bucket(event.time - state.time) if state.length else 0
        codes = [np.array([[code]], np.int32) for code in (item, scenario, behaviour, gap)]
        h, c, blocks, sums = self._advance(codes, state.states[1], state.blocks, state.sums)
        states, contexts = (state.states[1], h), (state.contexts[1], c)
        return State(states, contexts, blocks, sums, state.length + 1, item, scenario, gap, event.time)

    def advance(
        self, codes: list[Tensor], before: Tensor, blocks: list[list[Tensor]], sums: Parts
    ) -> tuple[Tensor, Tensor, list[list[Tensor]], Parts]:
        """Compute what `step` does, as one graph.

        Args:
            codes: item, scenario, behaviour and gap bucket of the event, int, each `(1, 1)`.
            before: $h_{t-1}$, float `(1, d)`.
            blocks: the recurrent state of each block.
            sums: the attention's running sums.

        Returns:
            $h_t$ and $c_t$, float `(1, d)`; the states of the blocks and the running sums after the event.
        """
        h, after = self.model.encoder.step(self.model.embedding(*codes)[:, 0], blocks)
        c, summed = self._attention.step(before, h, sums)
        return h, c, after, summed

    def score(self, state: State, scenario: str | None = None, at: int | None = None) -> Float32Array:
        """Score the next item after a state by log p.

        Args:
            state: what `start` or `step` returned.
            scenario: where it will be shown; by default where the last event was.
            at: when, in seconds since 1970; by default the time of the last event.

        Returns:
            float32 `(N,)`.

        Raises:
            UnknownNameError: the scenario is not in the catalogue.
        """
        names = self.model.catalogue
        asked = state.scenario if scenario is None else int(names.codes("scenario", [scenario])[0])
        since = 0 if at is None or not state.length else at - state.time
        ends = self._ends(
            ops.stack(state.states, axis=1),
            ops.stack(state.contexts, axis=1),
            np.array([[state.item]], np.int32),
            np.array([[state.scenario if state.length else asked, asked]], np.int32),
            np.array([[state.gap, _bucket(since)]], np.int32),
            np.array([state.length], np.int32),
        )
        return np.asarray(ends["log_p"], np.float32)[0]


def _bucket(seconds: int) -> int:
    return int(gap_bucket(np.array([seconds]))[0])

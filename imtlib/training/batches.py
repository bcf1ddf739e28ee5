"""From ragged histories to the padded integer arrays that Keras takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from imtlib.data.log import BehaviourLog, Histories, IntArray
from imtlib.encoding import GAP_BUCKETS
from imtlib.training.augmentation import Augmentation

Arrays = dict[str, NDArray[Any]]


def gap_bucket(seconds: NDArray[np.int64]) -> IntArray:
    """Bucket of a time gap: 0 for none, else one more than the whole part of its base-2 logarithm.

    Args:
        seconds: gaps, int64, any shape; a negative gap counts as none.

    Returns:
        int32 of the same shape, from 0 to 31: 0 s → 0, 1 s → 1, 2–3 s → 2, a day → 17.
    """
    bucket = np.ceil(np.log2(np.maximum(seconds, 0) + 1.0))
    return np.minimum(bucket, GAP_BUCKETS - 1).astype(np.int32)


def inputs(histories: Histories, max_length: int) -> Arrays:
    """Pad histories on the right, each cut to its last `max_length` events.

    Args:
        histories: n histories.
        max_length: events kept; older ones are left out.

    Returns:
        `item`, `scenario`, `behaviour`, `gap` (`gap_bucket` of the time since the event before; 0 at the
        first that is kept): int32 `(n, T)`, T the longest kept history and at least 2;
        `length`: int32 `(n,)`;
        `request_scenario`, `request_gap`: int32 `(n, T + 1)`, at position t the scenario of the event
        that follows and the time until it, at position `length` those of the request; `profile`:
        float32 `(n, P)`.
    """
    whole = np.diff(histories.starts)
    length = np.minimum(whole, max_length).astype(np.int32)
    width = max(int(length.max(initial=0)), 2)
    column = np.arange(width)
    real = column < length[:, None]
    event = np.where(real, (histories.starts[1:] - length)[:, None] + column, 0)

    def pad(values: NDArray[Any]) -> IntArray:
        if len(values) == 0:
            return np.zeros(real.shape, np.int32)
        return np.where(real, values[event], 0).astype(np.int32)

    scenario, gap = pad(histories.scenario), pad(gap_bucket(np.diff(histories.time, prepend=0)))
    gap[:, 0] = 0
    last = np.where(whole > 0, histories.starts[1:] - 1, 0)
    since = histories.request_time - histories.time[last] if len(histories.time) else np.zeros_like(whole)
    rows = np.arange(len(length))

    def ahead(values: IntArray, at_request: IntArray) -> IntArray:
        shifted = np.concatenate([values, np.zeros((len(length), 1), np.int32)], axis=1)
        shifted[rows, length] = at_request
        return shifted

    return {
        "item": pad(histories.item),
        "scenario": scenario,
        "behaviour": pad(histories.behaviour),
        "gap": gap,
        "length": length,
        "request_scenario": ahead(scenario, histories.request_scenario),
        "request_gap": ahead(gap, np.where(whole > 0, gap_bucket(since), 0)),
        "profile": histories.profile,
    }


def signature(example: Arrays) -> dict[str, tf.TensorSpec]:
    """What `inputs` gives, with the number of histories and their length left open: one graph serves all.

    Args:
        example: what `inputs` gave, for any histories of the catalogue.

    Returns:
        A specification of each array; the width of the profile alone is fixed.
    """
    return {
        name: tf.TensorSpec(
            (None, values.shape[1]) if name == "profile" else (None,) * values.ndim, values.dtype
        )
        for name, values in example.items()
    }


def real_events(batch: Mapping[str, Any]) -> Any:
    """Which of the T places of a batch hold an event and are not padding: bool tensor `(B, T)`."""
    return ops.arange(ops.shape(batch["item"])[1])[None] < batch["length"][:, None]


def by_length(histories: Histories, batch: int) -> Iterator[IntArray]:
    """Rows in batches of like length, so that little is padding.

    Yields:
        int row numbers, at most `batch` a time; each row once.
    """
    order = np.argsort(np.diff(histories.starts), kind="stable")
    for start in range(0, len(order), batch):
        yield order[start : start + batch].astype(np.int32)


class TrainingBatches:
    """Batches of one epoch: of each user one window of at most `max_length` events, at a random place.

    Windows and order depend on the seed and the epoch alone.

    Args:
        log: the training part.
        batch: users a batch.
        max_length: events whose prediction is learnt, a user and epoch.
        seed: of the windows and the order.
        negatives: m, how many items are drawn for each batch, half of them by popularity and half evenly; the
            batch then holds them as `negatives`, and as `log_expected` how often each is drawn on average,
            ln(m q). 0 draws none: the whole catalogue is scored.
        augmentation: how the windows are changed; by default not at all. With it the batch holds as `learnt`,
            bool `(B, T + 1)`, which positions do not see what they would be asked for.
        lessons: which events of the log are to be predicted, bool `(events,)`; by default all. The others are
            seen and never asked for; the batch then holds `learnt` too.
        like_lengths: whether users of like length share a batch, so that little is padding; or any users do.

    Raises:
        ValueError: `lessons` has another shape.
    """

    def __init__(
        self,
        log: BehaviourLog,
        batch: int,
        max_length: int,
        seed: int,
        negatives: int = 0,
        augmentation: Augmentation | None = None,
        lessons: NDArray[np.bool_] | None = None,
        like_lengths: bool = True,
    ) -> None:
        if lessons is not None and lessons.shape != (len(log),):
            raise ValueError(f"lessons has shape {lessons.shape}, expected ({len(log)},): one for each event")
        self.lessons = lessons
        self.log, self.batch, self.max_length, self.seed = log, batch, max_length, seed
        self.negatives, self.augmentation, self.like_lengths = negatives, augmentation, like_lengths
        self.epoch = 0
        items = len(log.catalogue.items)
        self._popularity = np.bincount(log.item, minlength=items) / max(len(log), 1)
        self._chance = 0.5 * self._popularity + 0.5 / items
        taught = np.concatenate([[0], np.cumsum(np.ones(len(log)) if lessons is None else lessons)])
        self._active = np.flatnonzero(np.diff(taught[log.starts]) > 0)

    def __len__(self) -> int:
        return -(-len(self._active) // self.batch)

    def __iter__(self) -> Iterator[tuple[Arrays, IntArray]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        users = rng.permutation(self._active)
        if self.like_lengths:
            size = np.minimum(np.diff(self.log.starts)[users], self.max_length)
            users = users[np.argsort(size, kind="stable")]
        offset = (rng.random(len(self.log.users)) * 2**62).astype(np.int64)
        for group in rng.permutation(len(self)):
            chosen = np.sort(users[group * self.batch : (group + 1) * self.batch])
            arrays, target = self._batch(chosen, offset[chosen], rng)
            if self.negatives:
                drawn = rng.choice(len(self._chance), self.negatives, p=self._chance)
                arrays["negatives"] = drawn.astype(np.int32)
                arrays["log_expected"] = np.log(self.negatives * self._chance[drawn]).astype(np.float32)
            yield arrays, target

    def _batch(
        self, users: NDArray[np.int64], offset: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Arrays, IntArray]:
        log, change = self.log, self.augmentation
        whole = np.diff(log.starts)[users]
        size = np.minimum(whole, self.max_length)
        skipped = offset % (whole - size + 1)
        starts = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        event = np.repeat(log.starts[users] + skipped - starts[:-1], size) + np.arange(starts[-1])
        if change is not None:
            stays = change.staying(starts, rng)
            event, starts = event[stays], np.concatenate([[0], np.cumsum(stays)])[starts]
        arrays, target = self._window(users, event, starts)
        # A window that begins within a history does not begin at START: its first event teaches nothing.
        target[skipped > 0, 0] = -1
        if self.lessons is not None:
            place = starts[:-1, None] + np.arange(target.shape[1])
            arrays["learnt"] = self.lessons[event[np.minimum(place, len(event) - 1)]]
        if change is not None:
            order, ahead = change.reordered(arrays["length"], arrays["item"].shape[1], rng)
            for name in ("item", "scenario", "behaviour"):
                arrays[name] = np.take_along_axis(arrays[name], order, axis=1)
            arrays["learnt"] = ahead & arrays.get("learnt", True)
            arrays["item"] = change.substituted(arrays["item"], arrays["length"], self._popularity, rng)
            # A stream of its own: whether masks are drawn changes no other draw.
            arrays["item"] = change.masked(arrays["item"], arrays["length"], rng.spawn(1)[0])
        return arrays, target

    def _window(
        self, users: NDArray[np.int64], event: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> tuple[Arrays, IntArray]:
        """All but the last event of each window as history; and after each position, the item that came."""
        log, rows = self.log, np.arange(len(users) + 1)
        last = starts[1:] - 1
        past, final = np.delete(event, last), event[last]
        window = Histories(
            log.catalogue,
            starts - rows,
            log.item[past],
            log.scenario[past],
            log.behaviour[past],
            log.time[past],
            log.scenario[final],
            log.time[final],
            log.profile_vectors(users),
        )
        arrays = inputs(window, self.max_length)
        place = starts[:-1, None] + np.arange(arrays["item"].shape[1] + 1)
        came = log.item[event[np.minimum(place, last[:, None])]]
        return arrays, np.where(place <= last[:, None], came, -1).astype(np.int32)

"""Training batches: of each user one window of events, at a place that is drawn anew every epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imtlib.config import Augmentation
from imtlib.data.events import windows
from imtlib.data.histories import Histories
from imtlib.data.inputs import Arrays, inputs
from imtlib.data.log import BehaviourLog
from imtlib.training.augmentation import kept_events, masked, reordered, substituted
from imtlib.types import IntArray


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
        target_mask: which events of the log are to be predicted, bool `(events,)`; by default all. The others
            are seen and never asked for; the batch then holds `learnt` too.
        bucket_by_length: whether users of like length share a batch, so that little is padding; or any users
            do.

    Raises:
        ValueError: `target_mask` has another shape.
    """

    def __init__(
        self,
        log: BehaviourLog,
        batch: int,
        max_length: int,
        seed: int,
        negatives: int = 0,
        augmentation: Augmentation | None = None,
        target_mask: NDArray[np.bool_] | None = None,
        bucket_by_length: bool = True,
    ) -> None:
        if target_mask is not None and target_mask.shape != (len(log),):
            raise ValueError(
                f"target_mask has shape {target_mask.shape}, expected ({len(log)},): one for each event"
            )
        self.target_mask = target_mask
        self.log, self.batch, self.max_length, self.seed = log, batch, max_length, seed
        self.negatives, self.augmentation, self.bucket_by_length = negatives, augmentation, bucket_by_length
        self.epoch = 0
        items = len(log.catalogue.items)
        self._popularity = np.bincount(log.item, minlength=items) / max(len(log), 1)
        self._chance = 0.5 * self._popularity + 0.5 / items
        taught = np.concatenate([[0], np.cumsum(np.ones(len(log)) if target_mask is None else target_mask)])
        self._active = np.flatnonzero(np.diff(taught[log.starts]) > 0)

    def __len__(self) -> int:
        return -(-len(self._active) // self.batch)

    def __iter__(self) -> Iterator[tuple[Arrays, IntArray]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        users = rng.permutation(self._active)
        if self.bucket_by_length:
            size = np.minimum(self.log.lengths[users], self.max_length)
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
        whole = log.lengths[users]
        size = np.minimum(whole, self.max_length)
        skipped = offset % (whole - size + 1)
        starts, event = windows(log.starts[users] + skipped, size)
        if change is not None:
            stays = kept_events(starts, change.leave_out, rng)
            event, starts = event[stays], np.concatenate([[0], np.cumsum(stays)])[starts]
        arrays, target = self._window(users, event, starts)
        # A window that begins within a history does not begin at START: its first event teaches nothing.
        target[skipped > 0, 0] = -1
        if self.target_mask is not None:
            place = starts[:-1, None] + np.arange(target.shape[1])
            arrays["learnt"] = self.target_mask[event[np.minimum(place, len(event) - 1)]]
        if change is not None:
            length = arrays["length"]
            order, ahead = reordered(length, arrays["item"].shape[1], change.reorder, rng)
            for name in ("item", "scenario", "behaviour"):
                arrays[name] = np.take_along_axis(arrays[name], order, axis=1)
            arrays["learnt"] = ahead & arrays.get("learnt", True)
            arrays["item"] = substituted(arrays["item"], length, self._popularity, change.substitute, rng)
            # A stream of its own: whether masks are drawn changes no other draw.
            arrays["item"] = masked(arrays["item"], length, change.mask, rng.spawn(1)[0])
        return arrays, target

    def _window(
        self, users: NDArray[np.int64], event: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> tuple[Arrays, IntArray]:
        """All but the last event of each window as history; and after each position, the item that came."""
        log, rows = self.log, np.arange(len(users) + 1)
        last = starts[1:] - 1
        past, final = np.delete(event, last), event[last]
        request = (log.scenario[final], log.time[final], log.profile_vectors(users))
        window = Histories.of(log.gather(starts - rows, past), *request)
        arrays = inputs(window, self.max_length)
        place = starts[:-1, None] + np.arange(arrays["item"].shape[1] + 1)
        came = log.item[event[np.minimum(place, last[:, None])]]
        return arrays, np.where(place <= last[:, None], came, -1).astype(np.int32)

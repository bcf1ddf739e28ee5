"""Vectors by name, of items and of users, as tables: what an index of nearest neighbours searches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.data.histories import Histories
from imtlib.data.log import BehaviourLog
from imtlib.data.queries import Unknown, in_catalogue
from imtlib.types import Tensor


class _Embeds(Protocol):
    catalogue: Catalogue
    embedding: Any

    def biases(self) -> Tensor: ...

    def outputs(self, histories: Histories, names: tuple[str, ...]) -> dict[str, NDArray[np.float32]]: ...


def item_vectors(model: _Embeds) -> pd.DataFrame:
    """List the vector of every item, by name: with a user's vector it makes the item's logit.

    Args:
        model: an `InterestMigrationModel`.

    Returns:
        A row an item, d + 1 columns: the embedding e, and the bias b. The inner product with a row of
        `user_vectors` is the logit.
    """
    table = np.asarray(model.embedding.item.embeddings)
    rows = np.concatenate([table, np.asarray(model.biases())[:, None]], axis=1)
    return pd.DataFrame(rows, pd.Index(model.catalogue.items, dtype="str", name="item"))


def user_vectors(
    model: _Embeds, log: BehaviourLog, users: Iterable[object] | None = None, unknown: Unknown = "refuse"
) -> pd.DataFrame:
    """List the vector of users of a log, by name, from all that they did.

    Args:
        model: an `InterestMigrationModel`.
        log: the events; its names are matched to the model's.
        users: their names; by default everybody.
        unknown: whether events with names that the model does not know are refused, or skipped.

    Returns:
        A row a user, d + 1 columns: the query g, and a one for the items' biases.

    Raises:
        UnknownNameError: a user, or an item, scenario, behaviour or feature, is not known.
    """
    names = log.users if users is None else [str(user) for user in users]
    histories = in_catalogue(log.histories(names), model.catalogue, unknown)
    query = model.outputs(histories, ("query",))["query"]
    rows = np.concatenate([query, np.ones((len(query), 1), np.float32)], axis=1)
    return pd.DataFrame(rows, pd.Index(names, dtype="str", name="user"))

"""What is known of items beside their ids (多模态): words, numbers, interests, and given vectors.

Two kinds of description are enough. A *bag* is a list of codes, such as the words of a title or the interests
of an item; each code has a vector that is learnt. A *vector* is a row of numbers, such as a year, or what an
image or audio encoder made of the item; a small network reads it. What is missing is marked, not guessed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imtlib.data.catalogue import Catalogue
from imtlib.data.log import BehaviourLog
from imtlib.errors import LogError
from imtlib.types import BoolArray, Float32Array, FloatArray, IntArray, ScoreArray

ID, TEXT, NUMBERS, INTERESTS = "id", "text", "numbers", "interests"
TAKEN = (ID, TEXT, NUMBERS, INTERESTS)
Scale = tuple[FloatArray, FloatArray]
YEAR_BEHIND = r"\s*\(\d{4}\)\s*$"
"""A film's year after its title is a number, not a word; `2001: A Space Odyssey` keeps its first word."""


@dataclass(frozen=True, eq=False)
class Modalities:
    """What is known of each of N items beside its id.

    Attributes:
        bags: by name, codes of what each item holds, int32 `(N, L)`; 0 is padding, wherever it stands.
        vocabularies: by the same names, what the codes mean: code c is `vocabulary[c - 1]`.
        vectors: by name, float32 `(N, D)`; a row is zero where it is missing.
        present: which item has which modality, bool `(N, M)`, columns as in `names`.
        known: which items have been met in the training log, bool `(N,)`. Only these are on offer while a
            model learns: of the others it would learn that nobody ever chooses them.
        scales: by name of a vector, the mean that was taken from each number, float64 `(P,)`, and what the
            rest was divided by, `(P,)` or one number.
    """

    bags: Mapping[str, IntArray]
    vocabularies: Mapping[str, tuple[str, ...]]
    vectors: Mapping[str, Float32Array]
    present: BoolArray
    known: BoolArray
    scales: Mapping[str, Scale] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The M modalities in order: the id, the bags, the vectors."""
        return (ID, *self.bags, *self.vectors)

    @property
    def shapes(self) -> dict[str, Any]:
        """As a model's configuration holds them: of each bag L and V, of each vector D, and the language."""
        return {
            "language": self.language,
            "bags": {name: [bag.shape[1], len(self.vocabularies[name])] for name, bag in self.bags.items()},
            "vectors": {name: rows.shape[1] for name, rows in self.vectors.items()},
        }

    @property
    def widths(self) -> dict[str, int]:
        """How many codes each bag has words for, and how many numbers each vector has, by name."""
        words = {name: len(vocabulary) for name, vocabulary in self.vocabularies.items()}
        return words | {name: rows.shape[1] for name, rows in self.vectors.items()}

    @property
    def language(self) -> str:
        """SHA-256, in hex, of what codes and numbers mean: of vocabularies and scales, whatever the items.

        A model that has learnt one language takes words of another for its own, and does not notice.
        """
        scales = {name: [np.asarray(part).tolist() for part in scale] for name, scale in self.scales.items()}
        return hashlib.sha256(json.dumps([dict(self.vocabularies), scales]).encode()).hexdigest()

    def keep(self, *names: str) -> Modalities:
        """Keep some modalities alone.

        Args:
            names: of those in `names`. Without `"id"` every item is known by its content alone.

        Raises:
            ValueError: there is no modality of a name.
        """
        for name in names:
            if name not in self.names:
                raise ValueError(f"no modality {name!r}: there are {', '.join(self.names)}")
        columns = [place for place, name in enumerate(self.names) if name in (ID, *names)]
        present = self.present[:, columns]
        present[:, 0] &= ID in names
        return replace(
            self,
            bags={name: bag for name, bag in self.bags.items() if name in names},
            vocabularies={name: words for name, words in self.vocabularies.items() if name in names},
            vectors={name: rows for name, rows in self.vectors.items() if name in names},
            scales={name: scale for name, scale in self.scales.items() if name in names},
            present=present,
        )


def describe(
    log: BehaviourLog,
    *,
    text: Sequence[str] = (),
    numbers: Sequence[str] = (),
    vectors: Mapping[str, ScoreArray] | None = None,
    least: int = 2,
    split: str = "whitespace",
    like: Modalities | None = None,
) -> Modalities:
    """Describe a log's items by what is known of them.

    Words come from `keras.layers.TextVectorization`: in small letters, without punctuation. Interests are
    those of the catalogue; "other" is none. Numbers are brought to mean zero and variance one, each with a
    flag that says whether it is known. Given vectors lose their mean and are divided by one number for all
    columns, so that an entry's variance is one.

    Args:
        log: the training part. Its items' features are read; an item without an event in it has no id
            modality and is not `known`.
        text: columns of `log.item_features` whose words are read, one after the other. A year in brackets at
            the end is left out.
        numbers: columns of `log.item_features`, P of them; what is missing is NaN or None.
        vectors: by name (`"image"`, `"audio"`), one row an item in the catalogue's order, float `(N, D)`; a
            missing one is a row of NaN.
        least: in how many known items a word must occur to be one of the vocabulary. One that occurs in a
            single item says what its id says.
        split: `"whitespace"`, or `"character"` for Chinese and its like.
        like: what another log's items were described by. Words, interests and numbers then mean what they
            mean there: its vocabularies and scales are used, and a word or interest that it lacks is none.
            So a model of that log can be carried over to this one (`imtlib.transfer.remapping.carry_over`).

    Returns:
        The modalities `"id"`; `"text"`, `"interests"`, `"numbers"`, if there are any; and those of `vectors`.
        A title none of whose words is in the vocabulary counts as missing.

    Raises:
        LogError: a column is not there or not of numbers, no word occurs often enough, a vector has another
            shape, or a value is not finite; the message names the item and the fix. Or `like` has other
            modalities.
    """
    names, features = log.catalogue, log.item_features
    known = np.bincount(log.item, minlength=len(names.items)) > 0
    bags: dict[str, IntArray] = {}
    vocabularies: dict[str, tuple[str, ...]] = {}
    rows: dict[str, Float32Array] = {}
    scales: dict[str, Scale] = {}
    spoken = {} if like is None else like.vocabularies
    measured = {} if like is None else like.scales
    if text:
        joined = _columns(features, text).astype(object).fillna("").astype(str)
        titles = joined.apply(lambda column: column.str.replace(YEAR_BEHIND, "", regex=True)).agg(
            " ".join, axis=1
        )
        bags[TEXT], vocabularies[TEXT] = _words(titles.tolist(), known, least, split, spoken.get(TEXT))
    if names.known_interests.any():
        bags[INTERESTS], vocabularies[INTERESTS] = _interests(names, spoken.get(INTERESTS))
    present = {name: (bag > 0).any(axis=1) for name, bag in bags.items()}
    if numbers:
        table = _columns(features, numbers)
        rows[NUMBERS], present[NUMBERS], scales[NUMBERS] = _numbers(table, names, measured.get(NUMBERS))
    for name, given in (vectors or {}).items():
        if name in TAKEN:
            raise LogError(f"a vector cannot be called {name!r}: that name is taken; call it 'image', say")
        rows[name], present[name], scales[name] = _vectors(name, np.asarray(given), names, measured.get(name))
    columns = [known, *present.values()]
    made = Modalities(bags, vocabularies, rows, np.stack(columns, axis=1), known, scales)
    if like is not None and made.widths != like.widths:
        raise LogError(
            f"described by {made.widths}, the other by {like.widths}: name the same columns and vectors"
        )
    return made


def _columns(features: pd.DataFrame, wanted: Sequence[str]) -> pd.DataFrame:
    for name in wanted:
        if name not in features:
            there = ", ".join(map(repr, features.columns)) or "none"
            raise LogError(
                f"the items have no feature {name!r}: there are {there}. Give the items' table to read_log "
                f"with this column, or leave it out."
            )
    return features[list(wanted)]


def _words(
    titles: list[str], known: BoolArray, least: int, split: str, words: tuple[str, ...] | None
) -> tuple[IntArray, tuple[str, ...]]:
    """Codes `(N, L)` of the words that occur in at least `least` titles of known items, and these words."""
    if words is None:
        words = _vocabulary(titles, known, least, split)
    # Codes 0 and 1 of the layer are padding and unknown words; neither says anything here.
    chosen = np.asarray(keras.layers.TextVectorization(split=split, vocabulary=list(words))(titles))
    return np.maximum(chosen - 1, 0).astype(np.int32), words


def _vocabulary(titles: list[str], known: BoolArray, least: int, split: str) -> tuple[str, ...]:
    # A word of new items alone would keep the vector that it was drawn with.
    learnt = [title for title, met in zip(titles, known, strict=True) if met and title.strip()]
    if not learnt:
        raise LogError("no item that the log knows has a text: leave the text out.")
    vectorise = keras.layers.TextVectorization(split=split)
    vectorise.adapt(learnt)
    every = vectorise.get_vocabulary(include_special_tokens=False)
    codes = np.asarray(vectorise(learnt))
    row, _ = np.nonzero(codes)
    pairs = np.unique(np.stack([row, codes[codes > 0]]), axis=1)
    often = np.bincount(pairs[1], minlength=len(every) + 2)[2:] >= least
    words = tuple(str(word) for word, stays in zip(every, often, strict=True) if stays)
    if not words:
        raise LogError(f"no word occurs in {least} items: ask for fewer with least=, or leave the text out.")
    return words


def _interests(names: Catalogue, words: tuple[str, ...] | None) -> tuple[IntArray, tuple[str, ...]]:
    words = words or names.interests
    held = np.zeros((len(names.items), len(words)), np.bool_)
    for place, interest in enumerate(names.interests):
        if interest in words:
            held[:, words.index(interest)] = names.known_interests[:, place]
    width = int(held.sum(axis=1).max())
    # The interests of an item come first, in order; then padding.
    order = np.argsort(~held, axis=1, kind="stable")[:, :width]
    codes = np.where(np.take_along_axis(held, order, axis=1), order + 1, 0)
    return codes.astype(np.int32), words


def _numbers(
    table: pd.DataFrame, names: Catalogue, scale: Scale | None
) -> tuple[Float32Array, BoolArray, Scale]:
    """Standardise numbers, followed by which are known: `(N, 2 P)`; which items have any; the scale."""
    parts = []
    for column in table:
        try:
            values = pd.to_numeric(table[column]).to_numpy(np.float64, na_value=np.nan)
        except (ValueError, TypeError) as error:
            raise LogError(
                f"the feature {column!r} is not of numbers: {error}. Name it under text=, or fix it."
            ) from None
        _refuse(np.isinf(values), f"the feature {column!r}", names)
        parts.append(values)
    values = np.stack(parts, axis=1)
    there = ~np.isnan(values)
    if not there.any(axis=0).all():
        raise LogError(f"a feature of {list(table)} is missing for every item: leave it out.")
    if scale is None:
        mean, spread = np.nanmean(values, 0), np.nanstd(values, 0)
        scale = mean, np.where(spread > 0, spread, 1.0)
    mean, spread = scale
    if len(mean) != len(table.columns):
        raise LogError(f"{len(table.columns)} numbers here, {len(mean)} in the other: name the same columns")
    standard = np.where(there, (values - mean) / spread, 0.0)
    both = np.concatenate([standard, there], axis=1).astype(np.float32)
    return both, there.any(axis=1), scale


def _vectors(
    name: str, given: NDArray[Any], names: Catalogue, scale: Scale | None
) -> tuple[Float32Array, BoolArray, Scale]:
    items = len(names.items)
    if given.ndim != 2 or len(given) != items or given.shape[1] == 0:
        raise LogError(
            f"the vectors {name!r} have shape {given.shape}, expected ({items}, D): one row for each item of "
            f"the catalogue, in its order; a row of NaN where an item has none."
        )
    rows = given.astype(np.float64)
    missing: BoolArray = np.asarray(np.isnan(rows).all(axis=1))
    _refuse((~np.isfinite(rows)).any(axis=1) & ~missing, f"the vectors {name!r}", names)
    if missing.all():
        raise LogError(f"the vectors {name!r} are missing for every item: leave them out.")
    if scale is None:
        mean = rows[~missing].mean(axis=0)
        spread = np.sqrt(np.mean((rows[~missing] - mean) ** 2, keepdims=True))[0]
        scale = mean, np.where(spread > 0, spread, 1.0)
    mean, spread = scale
    if len(mean) != given.shape[1]:
        raise LogError(f"the vectors {name!r} have {given.shape[1]} numbers here, {len(mean)} in the other")
    return np.where(missing[:, None], 0.0, (rows - mean) / spread).astype(np.float32), ~missing, scale


def _refuse(wrong: BoolArray, what: str, names: Catalogue) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise LogError(
            f"{what} of item {names.items[row]!r} (row {row}) is not finite, and so are "
            f"{int(wrong.sum()) - 1:,} more: fix it, or make it NaN (of a vector, the whole row), which "
            f"means missing."
        )

"""MovieLens as it comes: the canonical events in the canonical order, from either source."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.logs import assert_same

from imtlib.data.log import BehaviourLog
from imtlib.data.splits import Split
from imtlib.datasets.download import fetch
from imtlib.datasets.grouplens import official_1m, official_100k
from imtlib.datasets.movielens import ML_1M, ML_100K, _parse
from imtlib.datasets.registry import load_dataset
from imtlib.errors import DownloadError

CANONICAL = "9938b1b4eaecb2a808a94c21d85b67fc83e82d3032cb58c8fc407c88c41a6ab8"

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def log(movielens: BehaviourLog) -> BehaviourLog:
    return movielens


@pytest.fixture(scope="module")
def split(movielens_split: Split) -> Split:
    return movielens_split


@pytest.fixture(scope="module")
def small() -> BehaviourLog:
    try:
        return load_dataset("movielens-100k")
    except DownloadError as error:
        pytest.skip(f"MovieLens-100K is not in the cache and cannot be fetched: {error}")


def test_movielens_1m_has_the_canonical_counts(log: BehaviourLog) -> None:
    names = log.catalogue
    assert (len(log.users), len(names.items), len(log)) == (6040, 3416, 999_611)
    assert names.scenarios == ("movielens",)
    assert names.behaviours == ("rate",)
    assert len(names.interests) == 18
    assert names.item_interests.any(axis=1).all()
    assert "other" not in names.interests
    assert log.notes[-1].endswith("0 users, 467 items, 598 events.")
    toy_story = names.item_interests[names.items.index("Toy Story (1995)")]
    assert [names.interests[k] for k in np.flatnonzero(toy_story)] == ["Animation", "Children's", "Comedy"]


def test_features(log: BehaviourLog) -> None:
    assert log.item_features.loc["Toy Story (1995)"].tolist() == ["Toy Story", 1995]
    assert log.user_features.loc["1m_1"].to_dict() == {"age": "1", "gender": "F", "occupation": "10"}
    assert {name: len(known) for name, known in log.catalogue.user_features.items()} == {
        "age": 7,
        "gender": 2,
        "occupation": 21,
    }
    assert (log.profile_vectors(np.arange(len(log.users))).sum(axis=1) == 3).all()


def test_order_is_that_of_a_stable_sort_over_the_raw_file(log: BehaviourLog) -> None:
    path = fetch(ML_1M) / "ml-1m.inter"
    events: dict[str, list[tuple[int, str]]] = {}
    with path.open(encoding="utf-8") as file:
        next(file)
        for line in file:
            user, item, _, moment = line.rstrip("\n").split("\t")
            if len(events) > 300 and user not in events:
                break
            events.setdefault(user, []).append((int(moment), item))
    kept = set(log.catalogue.items)
    for user, rows in events.items():
        by_hand = [item for _, item in sorted(rows, key=lambda row: row[0]) if item in kept]
        assert log.events_of(user)["item"].tolist() == by_hand
    assert log.events_of("1m_1")["item"].tolist()[:3] == [
        "Girl, Interrupted (1999)",
        "Back to the Future (1985)",
        "Titanic (1997)",
    ]


def test_leave_one_out_is_the_canonical_split(log: BehaviourLog, split: Split) -> None:
    assert split.hash == CANONICAL
    assert (len(split.train), len(split.valid), len(split.test)) == (987_531, 6040, 6040)
    assert split.notes == ()
    assert not np.isin(split.test.target, -1).any()


def test_popularity_reaches_the_published_floor(split: Split) -> None:
    items = len(split.train.catalogue.items)
    score = np.tile(np.bincount(split.train.item, minlength=items).astype(float), (len(split.test), 1))
    histories = split.test.histories
    score[histories.owner, histories.item] = -1
    rank = (score >= score[np.arange(len(split.test)), split.test.target][:, None]).sum(axis=1)
    assert np.mean(rank <= 10) == pytest.approx(0.0369, abs=0.00005)
    assert np.mean((rank <= 10) / np.log2(1 + rank)) == pytest.approx(0.0180, abs=0.00005)


def test_half_of_all_steps_share_a_second(log: BehaviourLog) -> None:
    same = (np.diff(log.user) == 0) & (np.diff(log.time) == 0)
    assert same.sum() / (np.diff(log.user) == 0).sum() == pytest.approx(0.532, abs=0.001)


def test_movielens_100k_is_whole(small: BehaviourLog) -> None:
    assert (len(small.users), len(small.catalogue.items), len(small)) == (943, 1682, 100_000)
    assert small.notes[0] == "2 items of the items table have no interest; they get 'other'."
    assert small.notes[1].startswith("75,772 events share their time")
    assert small.catalogue.interests[-1] == "other"
    assert small.item_features.loc["2"].tolist() == ["GoldenEye", 1995]


def test_the_kept_copy_is_the_parsed_log(small: BehaviourLog) -> None:
    assert_same(load_dataset("movielens-100k"), _parse(fetch(ML_100K), "ml-100k"))


def archive(files: dict[str, str]) -> zipfile.ZipFile:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as written:
        for name, text in files.items():
            written.writestr(name, text.encode("iso-8859-1"))
    return zipfile.ZipFile(memory)


def table(folder: Path, name: str, size: int = -1) -> list[list[str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        text = file.read(size).replace("\r\n", "\n")
    return [line.split("\t") for line in text.split("\n")[1:-1]]


def joined(rows: list[list[str]], separator: str) -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


def test_the_form_of_the_official_1m_archive_gives_the_same_bytes(log: BehaviourLog) -> None:
    folder = fetch(ML_1M)
    items = table(folder, "ml-1m.item")
    number = {name: str(place + 1) for place, (name, *_) in enumerate(items)}
    files = {
        "ml-1m/movies.dat": [[number[name], name, genres.replace(" ", "|")] for name, _, _, genres in items],
        "ml-1m/ratings.dat": [
            [user.removeprefix("1m_"), number[item], rating, moment]
            for user, item, rating, moment in table(folder, "ml-1m.inter", size=3_000_000)[:-1]
        ],
        "ml-1m/users.dat": [
            [user.removeprefix("1m_"), gender, age, job, post]
            for user, age, gender, job, post in table(folder, "ml-1m.user")
        ],
    }
    made = dict(official_1m(archive({name: joined(rows, "::") for name, rows in files.items()})))
    start = made.pop("ml-1m.inter")
    assert start.count(b"\r\n") > 50_000
    assert (folder / "ml-1m.inter").read_bytes().startswith(start)
    assert {name: hashlib.sha256(content).hexdigest() for name, content in made.items()} == {
        name: digest for name, digest in ML_1M.files.items() if name in made
    }


def test_the_form_of_the_official_100k_archive_gives_the_same_bytes(small: BehaviourLog) -> None:
    folder = fetch(ML_100K)
    genres = ["unknown", *small.catalogue.interests[:-1]]
    items = [
        [number, f"{title} ({year})" if year != "unkonwn" else "unknown", "01-Jan-1995", "", "http://films"]
        + ["1" if genre in classes.split(" ") else "0" for genre in genres]
        for number, title, year, classes in table(folder, "ml-100k.item")
    ]
    files = {
        "ml-100k/u.genre": joined([[name, str(place)] for place, name in enumerate(genres)], "|") + "\n",
        "ml-100k/u.item": joined(items, "|"),
        "ml-100k/u.data": joined(table(folder, "ml-100k.inter"), "\t"),
        "ml-100k/u.user": joined(table(folder, "ml-100k.user"), "|"),
    }
    made = official_100k(archive(files))
    assert {name: hashlib.sha256(content).hexdigest() for name, content in made.items()} == dict(
        ML_100K.files
    )

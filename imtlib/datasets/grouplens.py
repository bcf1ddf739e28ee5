"""GroupLens' own MovieLens archives, brought to the byte into the form of the files in RecBole's wheels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from zipfile import ZipFile

LATIN = "iso-8859-1"
# "Toy Story (1995)": the title and what stands in the last brackets.
TITLE = re.compile(r"(.*)\((.*)\)\s*")


def official_1m(archive: ZipFile) -> Mapping[str, bytes]:
    """Convert `ml-1m.zip` into `ml-1m.inter`, `.item` and `.user`.

    Args:
        archive: holds `ml-1m/ratings.dat`, `movies.dat` and `users.dat`, fields separated by `::`.

    Returns:
        The text of each file, UTF-8, fields separated by tabs, lines by CR LF. An item's name is its title
        with the year, a user's its number after `1m_`.
    """
    movies = _rows(archive, "ml-1m/movies.dat", "::")
    title = {number: name for number, name, _ in movies}
    ratings = _rows(archive, "ml-1m/ratings.dat", "::")
    users = _rows(archive, "ml-1m/users.dat", "::")
    return {
        "ml-1m.inter": _table(
            ["user_id:token", "item_id:token", "rating:float", "timestamp:float"],
            ((f"1m_{user}", title[movie], rating, time) for user, movie, rating, time in ratings),
            "\r\n",
        ),
        "ml-1m.item": _table(
            ["item_id:token", "movie_title:token", "release_year:float", "genre:token"],
            ((name, *_title_and_year(name), genres.replace("|", " ")) for _, name, genres in movies),
            "\r\n",
        ),
        "ml-1m.user": _table(
            ["user_id:token", "age:float", "gender:token", "occupation:float", "zip_code:token"],
            ((f"1m_{user}", age, gender, job, post) for user, gender, age, job, post in users),
            "\r\n",
        ),
    }


def official_100k(archive: ZipFile) -> Mapping[str, bytes]:
    """Convert `ml-100k.zip` into `ml-100k.inter`, `.item` and `.user`.

    Args:
        archive: holds `ml-100k/u.data` (tabs), and `u.item`, `u.user` and `u.genre` (bars).

    Returns:
        The text of each file, UTF-8, fields separated by tabs, lines by LF.
    """
    genres = [name for name, *_ in _rows(archive, "ml-100k/u.genre", "|")]
    items = []
    for number, name, _, _, _, *flags in _rows(archive, "ml-100k/u.item", "|"):
        classes = " ".join(genre for genre, flag in zip(genres, flags, strict=True) if flag == "1")
        items.append((number, *_title_and_year(name), classes))
    return {
        "ml-100k.inter": _table(
            ["user_id:token", "item_id:token", "rating:float", "timestamp:float"],
            _rows(archive, "ml-100k/u.data", "\t"),
            "\n",
        ),
        "ml-100k.item": _table(
            ["item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq"], items, "\n"
        ),
        "ml-100k.user": _table(
            ["user_id:token", "age:token", "gender:token", "occupation:token", "zip_code:token"],
            _rows(archive, "ml-100k/u.user", "|"),
            "\n",
        ),
    }


def _title_and_year(name: str) -> tuple[str, str]:
    parts = TITLE.fullmatch(name)
    # The wheel's own spelling, for the one film whose title was never known.
    return (parts[1].strip(), parts[2]) if parts else ("unkonwn", "unkonwn")


def _rows(archive: ZipFile, member: str, separator: str) -> list[list[str]]:
    text = archive.read(member).decode(LATIN)
    # Not splitlines(): some letters of titles count as ends of lines there.
    return [line.rstrip("\r").split(separator) for line in text.split("\n") if line.strip()]


def _table(columns: list[str], rows: Iterable[Iterable[str]], end: str) -> bytes:
    lines = ["\t".join(columns), *("\t".join(row) for row in rows)]
    return "".join(line + end for line in lines).encode()

"""Reading: every form a log may have, and for every bad input the file, the row, the column and the mend."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imtlib.data.reader import read_log
from imtlib.errors import LogError

GOOD = "user,item,scenario,behaviour,time\n7,pen,shop,view,30\n007,ink,home,buy,20\n7,ink,shop,view,30\n"


@pytest.fixture
def write(tmp_path: Path):
    def written(text: str, name: str = "events.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return written


NOON = 1_767_225_600
"""Midnight of the first of January 2026, in seconds since 1970."""
NO_ITEMS = "There is no items table: of an item nothing is known but its name."


def events(**columns: object) -> pd.DataFrame:
    time = [NOON, NOON + 1]
    table = {"user": ["u", "v"], "item": ["a", "b"], "scenario": "s", "behaviour": "view", "time": time}
    return pd.DataFrame({**table, **columns})


def test_every_kind_of_file_gives_the_same_log(write, tmp_path: Path) -> None:
    path = write(GOOD)
    expected = read_log(path).to_frame()
    assert expected["user"].tolist() == ["7", "7", "007"]
    assert expected["item"].tolist() == ["pen", "ink", "ink"]
    with gzip.open(tmp_path / "events.csv.gz", "wt") as file:
        file.write(GOOD)
    table = pd.read_csv(path, dtype={"user": str})
    table.to_parquet(tmp_path / "events.parquet")
    sources = [
        str(path),
        tmp_path / "events.csv.gz",
        tmp_path / "events.parquet",
        write(GOOD.replace(",", "\t"), "events.tsv"),
        write("\ufeff" + GOOD.replace("\n", "\r\n") + "\r\n", "bom.csv"),
        table,
        table.astype({"user": "category", "item": "category"}),
    ]
    for source in sources:
        pd.testing.assert_frame_equal(read_log(source).to_frame(), expected)


def test_columns_can_have_other_names_and_may_be_missing(write) -> None:
    path = write(f"uid,sku,when\nx,p,{NOON}\n")
    log = read_log(path, user="uid", item="sku", time="when", scenario=None, behaviour=None)
    assert log.to_frame().values.tolist() == [["x", "p", "all", "event", NOON]]
    assert log.catalogue.interests == ("other",)
    assert log.notes == (NO_ITEMS,)


@pytest.mark.parametrize(
    "ids",
    [
        pd.Series([1, 2]),
        pd.Series([1.0, 2.0]),
        pd.Series([1, 2], dtype="Int64"),
        pd.Series([1, 2], dtype=object),
        pd.Series([1, 2.0], dtype=object),
        pd.Series(["1.0", "2.0"]),
        pd.Series([1, 2], dtype="category"),
    ],
)
def test_whole_numbers_lose_their_point(ids: pd.Series) -> None:
    log = read_log(events(user=ids), users=pd.DataFrame({"user": ["1", "2"]}))
    assert log.users == ("1", "2")
    assert log.notes == (NO_ITEMS,)


@pytest.mark.parametrize(
    "times",
    [
        [86_400, 86_401],
        [86_400.25, 86_401.5],
        ["86400", "86401.5"],
        ["1970-01-02", "1970-01-02T00:00:01Z"],
        ["1970-01-02 08:00:00.5+08:00", "1970-01-02 00:00:01"],
        pd.to_datetime(["1970-01-02 00:00:00", "1970-01-02 00:00:01"]),
        pd.to_datetime(["1970-01-02 00:00:00", "1970-01-02 00:00:01"])
        .tz_localize("UTC")
        .tz_convert("Asia/Shanghai"),
        pd.Series(pd.to_datetime(["1970-01-02 00:00:00", "1970-01-02 00:00:01"]), dtype=object),
    ],
)
def test_every_form_of_time(times: object) -> None:
    assert read_log(events(time=times)).time.tolist() == [86_400, 86_401]


def test_times_before_1970_round_down() -> None:
    assert read_log(events(time=[-1.5, -0.5])).time.tolist() == [-2, -1]
    assert read_log(events(time=["1969-12-31 23:59:58.5", "1969-12-31T23:59:59.5"])).time.tolist() == [-2, -1]


def test_order_follows_the_unrounded_time_and_then_the_table() -> None:
    table = events(user="u", item=["late", "early"], time=[NOON + 0.9, NOON + 0.1])
    log = read_log(table)
    assert log.events_of("u")["item"].tolist() == ["early", "late"]
    assert log.notes == (
        "Times were rounded down to whole seconds, after the events had been put in order.",
        NO_ITEMS,
    )
    tied = pd.DataFrame({"user": "u", "item": [f"{n:03}" for n in range(500)], "time": NOON})
    log = read_log(tied, scenario=None, behaviour=None)
    assert log.to_frame()["item"].tolist() == tied["item"].tolist()
    assert (
        "500 events share their time with another of the same user; they keep the order of the table."
        in log.notes
    )


def test_order_of_names() -> None:
    table = events(item=["b", "a"], scenario=["z", "y"])
    log = read_log(table)
    assert log.catalogue.items == ("b", "a")
    assert log.catalogue.scenarios == ("z", "y")
    items = pd.DataFrame({"item": ["a", "c", "b"], "interests": ["two|one", None, "other"]})
    log = read_log(table, items=items)
    assert log.catalogue.items == ("a", "c", "b")
    assert log.catalogue.interests == ("one", "two", "other")


def test_nothing_unusual_goes_untold() -> None:
    table = pd.concat([events(), events(), events(item="new")], ignore_index=True)
    items = pd.DataFrame({"item": ["a", "b"], "interests": [" x | y ", ""], "price": [3, 4]})
    users = pd.DataFrame({"user": ["u", "idle"], "age": [30.0, None]})
    log = read_log(table, items=items, users=users.assign(mail="x@y.z"), user_features=["age"])
    assert len(log) == 6
    assert log.notes == (
        "1 users of the users table have no event; they are kept, with an empty history.",
        "1 users are not in the users table; their features are unknown.",
        "1 items are not in the items table; their interest is 'other'.",
        "1 items of the items table have no interest; they get 'other'.",
        "Columns of the users table that nobody asked for were left out: mail. Those that a model may know "
        "are named in user_features.",
        "2 events repeat an earlier one (user, item, scenario, behaviour and time); they are kept.",
        "6 events share their time with another of the same user; they keep the order of the table.",
    )
    assert log.users == ("u", "idle", "v")
    assert log.catalogue.interests == ("x", "y", "other")
    assert log.catalogue.item_interests.tolist() == [
        [True, True, False],
        [False, False, True],
        [False, False, True],
    ]
    assert log.item_features["price"].tolist()[:2] == [3, 4]
    assert np.isnan(log.item_features["price"].iloc[2])
    assert log.profile_vectors(np.arange(3)).tolist() == [[1], [0], [0]]


def test_interests_may_be_lists_or_none(tmp_path: Path) -> None:
    items = pd.DataFrame({"item": ["a", "b"], "interests": [["x", "y"], []]})
    assert read_log(events(), items=items).catalogue.interests == ("x", "y", "other")
    items.to_parquet(tmp_path / "items.parquet")
    assert read_log(events(), items=tmp_path / "items.parquet").catalogue.interests == ("x", "y", "other")
    log = read_log(events(), items=pd.DataFrame({"item": ["a", "b"]}), interests=None)
    assert log.catalogue.interests == ("other",)


def assert_refused(source: object, *parts: str, **options: object) -> None:
    """The log is refused, and the message has all of the parts."""
    with pytest.raises(LogError) as error:
        read_log(source, **options)
    for part in parts:
        assert part in str(error.value)


def test_missing_column(write) -> None:
    path = write("user,item,time\nu,a,1\n")
    assert_refused(path, "events.csv", "no column 'scenario'", "['user', 'item', 'time']", "scenario=None")
    assert_refused(path, "no column 'behaviour'", "behaviour=None", scenario=None)
    assert_refused(path, "no column 'who'", "user='…'", user="who", scenario=None)
    assert_refused(path, "no column 'when'", "time='…'", time="when", scenario=None, behaviour=None)
    assert_refused(
        events(), "the items (a DataFrame)", "no column 'interests'", "interests=None", items=events()
    )
    assert_refused(
        events(), "the users (a DataFrame)", "no column 'user'", users=pd.DataFrame({"name": ["u"]})
    )


def test_empty_file(write) -> None:
    assert_refused(write(""), "events.csv is empty", "column names")
    assert_refused(write("user,item,scenario,behaviour,time\n"), "events.csv is empty: it holds no row")
    assert_refused(events().iloc[:0], "the events (a DataFrame) is empty")


def test_time_that_is_missing_or_cannot_be_read(write) -> None:
    bad = GOOD.replace("buy,20", "buy,noon")
    assert_refused(write(bad), "events.csv, row 2 (line 3), column 'time'", "'noon'", "time_format=")
    assert_refused(write(GOOD.replace("buy,20", "buy,")), "row 2 (line 3)", "the time is missing")
    assert_refused(write(bad.replace("\n007", "\n\n007"), "gap.csv"), "row 2 (line 4)")
    quoted = 'title,user,item,time\n"in\nthree\nlines",7,pen,30\nink,7,ink,noon\nx,7,ink,30\n'
    assert_refused(write(quoted, "quoted.csv"), "row 2 (line 5)", scenario=None, behaviour=None)
    assert_refused(events(time=["1970-01-01", "05/04/2001"]), "row 2, column 'time'", "'05/04/2001'")
    assert_refused(events(time=[1, np.nan]), "row 2, column 'time'", "the time is missing")
    assert_refused(events(time=[np.inf, 1.0]), "row 1, column 'time'", "cannot be read as a time")
    assert_refused(events(time=pd.to_datetime(["1970-01-01", None])), "row 2", "the time is missing")
    assert_refused(
        events(time=[1, 978_300_760_000]), "row 2, column 'time'", "milliseconds", "time_unit='ms'"
    )


def test_line_in_a_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "events.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write(GOOD.replace("buy,20", "buy,noon"))
    assert_refused(path, "events.csv.gz, row 2 (line 3)")


@pytest.mark.parametrize("column", ["user", "item", "scenario", "behaviour"])
def test_missing_ids(write, column: str) -> None:
    place = f"row 2, column '{column}'"
    assert_refused(events(**{column: ["a", None]}), place, "the id is missing or blank", "Fill it in")
    assert_refused(events(**{column: ["a", "  "]}), place, "the id is missing or blank")
    assert_refused(events(**{column: [1.0, np.nan]}), place, "the id is missing or blank")
    assert_refused(
        write(GOOD.replace("007,ink,home,buy", "NaN,NaN,NaN,NaN")), "row 2 (line 3)", "missing or blank"
    )


def test_mixed_ids() -> None:
    mend = "table[column].astype(str)"
    assert_refused(
        events(user=pd.Series([1, "1"], dtype=object)), "row 2, column 'user'", "'1' is of type str", mend
    )
    assert_refused(
        events(item=pd.Series(["1", 1], dtype=object)), "row 2, column 'item'", "1 is of type number", mend
    )
    assert_refused(events(user=[2.0**60, 1.0]), "row 1, column 'user'", "too large to be exact")


def test_rows_that_stand_twice_in_a_table() -> None:
    items = pd.DataFrame({"item": ["a", "b", "a"], "interests": "x"})
    assert_refused(
        events(), "the items (a DataFrame), row 3, column 'item'", "'a' stands in row 1 already", items=items
    )
    users = pd.DataFrame({"user": ["v", "v"]})
    assert_refused(events(), "the users (a DataFrame), row 2, column 'user'", "Keep one row", users=users)


def test_files_that_cannot_be_read(write, tmp_path: Path) -> None:
    assert_refused(write(GOOD, "events.sav"), "events.sav: this kind of file is not read", ".parquet")
    assert_refused(write(GOOD + "7,ink,shop,view,30,more\n"), "events.csv: a line has more fields", "line 5")
    wide = GOOD.replace(",30\n", ",30,more\n").replace(",20\n", ",20,more\n")
    assert_refused(write(wide), "events.csv: a line has more fields")
    assert (
        len(read_log(write(wide.replace("more", "")))) == 3
    )  # a separator at the end of each line is harmless
    assert_refused(write("no table", "events.parquet"), "events.parquet cannot be read", "again")
    assert_refused(write("no archive", "events.csv.gz"), "events.csv.gz cannot be read")
    whole = gzip.compress((GOOD * 999).encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-20])
    assert_refused(tmp_path / "cut.csv.gz", "cut.csv.gz cannot be read", "cut short")
    (tmp_path / "latin.csv").write_bytes(GOOD.replace("pen", "café").encode("latin-1"))
    assert_refused(tmp_path / "latin.csv", "latin.csv is not UTF-8", "save it as UTF-8")
    assert_refused(pd.concat([events(), events()[["item"]]], axis=1), "two columns named 'item'")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        read_log(tmp_path / "nowhere.csv")

"""Logs as shops and researchers write them: each wart is read as it is meant, or refused where it stands."""

from __future__ import annotations

import bz2
import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imtlib.data.log import BehaviourLog
from imtlib.data.reader import read_log
from imtlib.errors import LogError

START = 1_767_225_600
LINES = [
    ("mia", "A-1", START),
    ("mia", 'Best of "80s', START + 60),
    ("tom", "A-1", START + 5),
    ("tom", 'say "hi', START + 9),
    ("tom", "A-2", START + 99),
]
ONE = {"scenario": None, "behaviour": None}


def table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(LINES, columns=["user", "item", "time"]).assign(**columns)


def refused(source: object, *parts: str, **options: object) -> None:
    """The log is refused, and the message has all of the parts."""
    with pytest.raises(LogError) as error:
        read_log(source, **{**ONE, **options})
    for part in parts:
        assert part in str(error.value)


def read(source: object, **options: object) -> BehaviourLog:
    return read_log(source, **{**ONE, **options})


def lines(separator: str = "\t") -> str:
    return "\n".join(separator.join(map(str, line)) for line in [("user", "item", "time"), *LINES]) + "\n"


def test_a_tsv_takes_a_quotation_mark_as_a_character(tmp_path: Path) -> None:
    path = tmp_path / "plays.tsv"
    path.write_text(lines(), "utf8")
    log = read(path)
    assert len(log) == 5
    assert log.catalogue.items == ("A-1", 'Best of "80s', 'say "hi', "A-2")


def test_a_line_break_within_a_field_of_a_tsv_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "plays.tsv"
    path.write_text(lines().replace("A-1\t", '"A\n1"\t', 1), "utf8")
    refused(path, "plays.tsv, line 2", "2 of 3 fields", "line break")


def test_a_csv_with_an_open_quotation_mark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plays.csv"
    # Two open marks: what lies between them would be one field over several lines.
    path.write_text('user,item,time\nu,"a,1\nu,b,2\nu,"c,3\nv,d,4\nv,e",5\n'.replace('e"', "e"), "utf8")
    refused(path, "plays.csv")
    path.write_text('user,item,time\nu,"a,1\nu,b,2\nv,d,4\n', "utf8")
    refused(path, "plays.csv", "never closed")
    path.write_text('user,item,time\nu,"a\nb",1\nv,d,4\n', "utf8")
    refused(path, "row 1 (line 3), column 'item'", "spans lines")


def test_a_csv_with_short_lines_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"user,item,time,shop\nu,a,{START},x\nu,b,{START}\n", "utf8")
    refused(path, "events.csv, line 3", "3 of 4 fields")
    path.write_text(f"user,item,time,shop\nu,a,{START},x\nu,b,{START},\n", "utf8")
    assert len(read(path)) == 2


@pytest.mark.parametrize(
    "ending", [".csv", ".csv.gz", ".csv.bz2", ".csv.zip", ".jsonl", ".json.gz", ".json", ".xlsx"]
)
def test_every_kind_of_file(ending: str, tmp_path: Path) -> None:
    frame, path = table(user=["007", "007", "8", "8", "8"]), tmp_path / f"events{ending}"
    rows = frame.to_dict("records")
    texts = {
        ".csv": frame.to_csv(index=False),
        ".jsonl": "\n".join(json.dumps(row) for row in rows),
        ".json": json.dumps(rows),
    }
    text = (
        texts[".jsonl" if ending == ".json.gz" else f".{ending.split('.')[1]}"] if ending != ".xlsx" else ""
    )
    if ending.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif ending.endswith(".bz2"):
        path.write_bytes(bz2.compress(text.encode()))
    elif ending.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("events.csv", text)
    elif ending == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        path.write_text(text, "utf8")
    log = read(path)
    pd.testing.assert_frame_equal(log.to_frame(), read(frame).to_frame())
    assert log.users == ("007", "8")


def test_errors_in_json_and_archives_say_where(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    good = json.dumps({"user": "u", "item": "a", "time": START})
    path.write_text(f"{good}\n{good[:-3]}\n", "utf8")
    refused(path, "events.jsonl, line 2", "no JSON object")
    path.write_text(good + "\n" + good.replace(str(START), '"noon"'), "utf8")
    refused(path, "events.jsonl, row 2 (line 2), column 'time'", "'noon'")
    with zipfile.ZipFile(tmp_path / "two.csv.zip", "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "x")
    refused(tmp_path / "two.csv.zip", "holds 2 files, ['a.csv', 'b.csv']")


def test_separators_encodings_and_files_without_names(tmp_path: Path) -> None:
    path = tmp_path / "ratings.dat"
    path.write_bytes("\n".join("::".join(map(str, line)) for line in LINES).encode("gb18030"))
    log = read(path, sep="::", encoding="gb18030", header=["user", "item", "time"])
    pd.testing.assert_frame_equal(log.to_frame(), read(table()).to_frame())
    path.write_text("\n".join("::".join(map(str, line)) for line in [*LINES, ("u", "x", "noon")]))
    refused(path, "row 6 (line 6)", sep="::", header=["user", "item", "time"])
    latin = tmp_path / "latin.csv"
    latin.write_bytes(f"user;item;time\nu;café;{START}\n".encode("latin-1"))
    assert read(latin, sep=";", encoding="latin-1").catalogue.items == ("café",)
    refused(latin, "encoding='latin-1'", sep=";")


def test_a_wrong_separator_a_comment_and_missing_names_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(lines(";"), "utf8")
    refused(path, "';' stood between the fields", "sep=';'")
    path.write_text("# from the till\n" + lines(","), "utf8")
    refused(path, "events.csv", "comment")
    path.write_text(f"u,a,{START}\nu,b,{START}\nv,a,{START}\n", "utf8")
    refused(path, "header=['user', 'item', …]", str(START))
    # Named by what the first line holds, the log would lack its first event.
    refused(path, "would be lost as a row", user="u", item="a", time=str(START))
    assert len(read(path, header=["user", "item", "time"])) == 3
    refused(pd.read_csv(path), "pandas.read_csv(…, header=None", user="u", item="a", time=str(START))


def test_what_is_no_table_is_refused() -> None:
    refused(["a.csv", "b.csv"], "are a list", "pandas.concat")
    refused("https://example.org/log.csv", "is an address", "fetch")
    refused({}, "empty")


@pytest.mark.parametrize("cell", [["a", "b"], {"id": 1}, np.array([1, 2])])
def test_a_list_where_a_name_should_be_is_refused_by_row(cell: object) -> None:
    items = pd.Series(["A-1", "A-2", cell, "A-3", "A-4"], dtype=object)
    refused(table(item=items), "row 3, column 'item'", "stands where a name should")
    users = pd.DataFrame({"user": ["mia", "tom"], "likes": pd.Series(["x", cell], dtype=object)})
    refused(table(), "row 2, column 'likes'", users=users, user_features=["likes"])


@pytest.mark.parametrize(
    ("cells", "interests"),
    [
        (["['x', 'y']", "[]"], ("x", "y", "other")),
        (['["x", "y"]', '["z"]'], ("x", "y", "z")),
        (["(no genres listed)", "x|y"], ("(no genres listed)", "x", "y")),
        ([np.array(["x", "y"]), None], ("x", "y", "other")),
    ],
)
def test_lists_of_interests_are_read_as_lists(cells: list[object], interests: tuple[str, ...]) -> None:
    items = pd.DataFrame({"item": ["A-1", "A-2"], "interests": pd.Series(cells, dtype=object)})
    found = read(table(), items=items).catalogue.interests
    # The items that are in no table have "other".
    assert found == (*(name for name in interests if name != "other"), "other")


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ('{"x": 1}', "dictionary"),
        ({"x": 1}, "dictionary"),
        ([["x", "y"]], "list within a list"),
        ("[{'name': 'x'}]", "dict within a list"),
        ("[x, y", "begins like a list"),
    ],
)
def test_interests_that_are_no_names_are_refused_by_row(cell: object, problem: str) -> None:
    items = pd.DataFrame({"item": ["A-1", "A-2"], "interests": pd.Series(["x", cell], dtype=object)})
    refused(table(), "row 2, column 'interests'", problem, items=items)


def test_another_separator_of_interests_is_noted() -> None:
    items = pd.DataFrame({"item": ["A-1", "A-2"], "interests": ["x, y", "z, x"]})
    assert any("interest_separator=','" in note for note in read(table(), items=items).notes)
    assert not any("separator" in note for note in read(table(), items=items, interest_separator=",").notes)


def test_interests_may_stand_in_the_events() -> None:
    log = read(table(kind=["toys", "music", "toys", "music|talk", "books"]), interests="kind")
    held = {item: log.catalogue.interests_of(code) for code, item in enumerate(log.catalogue.items)}
    assert held == {
        "A-1": ["toys"],
        'Best of "80s': ["music"],
        'say "hi': ["music", "talk"],
        "A-2": ["books"],
    }
    changed = read(table(kind=["toys", "music", "games", "music", None]), interests="kind")
    assert changed.catalogue.interests_of(0) == ["games", "toys"]
    assert any(note.startswith("1 items have other interests in one event") for note in changed.notes)
    assert any(note.startswith("1 items of the events have no interest") for note in changed.notes)
    refused(table(), "no column 'kind'", "give an items table", interests="kind")


def test_numbers_that_are_dates_are_read_as_dates() -> None:
    days = [20220408, 20220409, 20220408, 20220501, 20221231]
    for times in (days, [str(day) for day in days], pd.Series(days, dtype=float)):
        log = read(table(time=times))
        assert pd.to_datetime(log.time, unit="s").strftime("%Y%m%d").astype(int).tolist() == sorted(
            days[:2]
        ) + sorted(days[2:])
        assert any("days written as 20220408" in note for note in log.notes)
    years = read(table(time=["2019", "2020", "2019", "2021", "2022"]))
    assert pd.to_datetime(years.time, unit="s").year.tolist() == [2019, 2020, 2019, 2021, 2022]
    assert any("years" in note for note in years.notes)
    assert read(table(time=days), time_unit="s").time.max() == 20221231
    stamps = read(table(time=[20220408133000 + n for n in range(5)]))
    assert pd.to_datetime(stamps.time, unit="s")[0] == pd.Timestamp("2022-04-08 13:30")


def test_times_in_1970_are_never_silent() -> None:
    assert any("1970" in note for note in read(table(time=range(5))).notes)
    assert not any("1970" in note for note in read(table()).notes)


@pytest.mark.parametrize(("unit", "over"), [("ms", 1000), ("us", 10**6), ("ns", 10**9)])
def test_units_of_time(unit: str, over: int) -> None:
    times = [over * (START + n) + over - 1 for n in range(5)]
    assert read(table(time=times), time_unit=unit).time.tolist() == [START + n for n in range(5)]
    assert read(table(time=range(5)), time_unit="D").time.tolist() == [86_400 * n for n in range(5)]
    refused(table(), "time_unit='weeks' is none of D, h", time_unit="weeks")


def test_other_forms_of_dates_are_told() -> None:
    times = [
        "08/04/2022 13:30",
        "09/04/2022 00:00",
        "08/04/2022 13:31",
        "31/12/2022 23:59",
        "31/12/2022 23:59",
    ]
    refused(table(time=times), "row 1, column 'time'", "time_format=")
    log = read(table(time=times), time_format="%d/%m/%Y %H:%M")
    assert str(pd.Timestamp(log.time[0], unit="s")) == "2022-04-08 13:30:00"
    refused(
        table(time=times), "row 4", "'31/12/2022 23:59'", "'08/04/2022 13:30'", time_format="%m/%d/%Y %H:%M"
    )


def test_the_odd_time_is_blamed_and_not_the_good_one() -> None:
    refused(table(time=[START, None, None, None, START]), "row 2", "missing; it is in 3 of 5 rows")
    refused(table(time=["2022-04-08", "2022-04-09", "5", "2022-04-08", "6"]), "row 3", "'5'", "'2022-04-08'")
    refused(table(time=[str(START), "noon", "7", str(START), "8"]), "row 2", "'noon'", str(START))
    refused(table(time=["2022-04-08", " ", "2022-04-08", "2022-04-08", "2022-04-08"]), "row 2", "missing")


def test_a_log_may_have_an_order_and_no_clock() -> None:
    log = read(table()[["user", "item"]], time=None)
    assert log.time.tolist() == [0, 1, 2, 3, 4]
    assert any("There is no time" in note for note in log.notes)
    assert not any("1970" in note for note in log.notes)


def test_a_file_for_each_scenario(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "kitchen.csv", index=False)
    sources = {"food": table(item=["1", "2", "1", "2", "3"]), "kitchen": tmp_path / "kitchen.csv"}
    log = read_log(sources, behaviour=None)
    assert log.catalogue.scenarios == ("food", "kitchen")
    assert len(log.catalogue.items) == 7
    assert log.users == ("mia", "tom")
    # Events of both, in order of time.
    assert log.events_of("mia")["scenario"].tolist() == ["food", "kitchen", "food", "kitchen"]
    bad = table(time=[START, START, "noon", START, START])
    with pytest.raises(LogError, match=r"the events of news \(a DataFrame\), row 3, column 'time'"):
        read_log({"food": table(), "news": bad}, behaviour=None, shared_items=True)


def test_names_that_stand_in_two_scenarios_are_joined_or_kept_apart_as_is_said() -> None:
    food, kitchen = table(item=["1", "2", "1", "2", "3"]), table(item=["3", "4", "5", "6", "7"])
    sources = {"food": food, "kitchen": kitchen}
    with pytest.raises(
        LogError, match=r"1 names of items .* such as '3' in 'food' and 'kitchen'.*shared_items"
    ):
        read_log(sources, behaviour=None)
    assert len(read_log(sources, behaviour=None, shared_items=True).catalogue.items) == 7
    items = {
        "food": pd.DataFrame({"item": ["1", "3"], "interests": ["fruit", "bread"]}),
        "kitchen": pd.DataFrame({"item": ["3"], "interests": ["knives"]}),
    }
    apart = read_log(sources, items=items, behaviour=None, shared_items=False)
    assert len(apart.catalogue.items) == 8
    assert apart.catalogue.interests_of(int(apart.catalogue.codes("item", ["food/3"])[0])) == ["bread"]
    assert apart.catalogue.interests_of(int(apart.catalogue.codes("item", ["kitchen/3"])[0])) == ["knives"]


def test_tables_that_share_no_name_with_the_events_are_refused() -> None:
    items = pd.DataFrame({"item": ["tt001", "tt002"], "interests": "x"})
    refused(table(), "none of the 4 names", "'A-1' there and 'tt001' here", items=items)
    users = pd.DataFrame({"user": ["MIA", "TOM"]})
    refused(table(), "none of the 2 names", "'mia' there and 'MIA' here", users=users)


def test_of_users_only_what_was_asked_for_is_known(tmp_path: Path) -> None:
    names = [f"u{n}" for n in range(8)]
    events = pd.DataFrame({"user": names, "item": "a", "time": START})
    users = pd.DataFrame(
        {"user": names, "mail": [f"{name}@example.org" for name in names], "plan": list("abababab")}
    )
    silent = read(events, users=users)
    assert silent.catalogue.user_features == {}
    assert any("mail, plan" in note for note in silent.notes)
    assert dict(read(events, users=users, user_features=["plan"]).catalogue.user_features) == {
        "plan": ("a", "b")
    }
    refused(events, "column 'mail'", "8 users have 8 values", users=users, user_features=["mail"])
    refused(events, "give a list of columns, ['plan']", users=users, user_features="plan")
    refused(events, "give users=…", user_features=["plan"])
    refused(events, "no column 'age'", "user_features", users=users, user_features=["age"])


def test_what_is_most_likely_a_wrong_column_is_noted() -> None:
    many = pd.DataFrame({"user": "u", "item": [f"i{n}" for n in range(50)], "time": START, "site": range(50)})
    log = read_log(many, scenario="site", behaviour=None)
    assert any(note.startswith("There are 50 scenarios for 50 events") for note in log.notes)
    kinds = read(many, interests="site")
    assert any(note.startswith("There are 50 interests for 50 events") for note in kinds.notes)


def test_a_phone_that_few_have_or_two_share_is_no_feature() -> None:
    names = [f"u{n}" for n in range(60)]
    events = pd.DataFrame({"user": names, "item": "a", "time": START})
    few = pd.DataFrame({"user": names, "phone": [f"+49-{n}" if n % 6 == 0 else None for n in range(60)]})
    refused(events, "10 users have 10 values", users=few, user_features=["phone"])
    shared = pd.DataFrame({"user": names, "phone": [f"+49-{n // 2}" for n in range(60)]})
    refused(events, "60 users have 30 values", users=shared, user_features=["phone"])
    tens = pd.DataFrame({"user": names, "age": [n % 9 for n in range(60)]})
    assert len(read(events, users=tens, user_features=["age"]).catalogue.user_features["age"]) == 9


def test_a_workbook_with_several_sheets_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "years.xlsx"
    with pd.ExcelWriter(path) as book:
        table().to_excel(book, sheet_name="2023", index=False)
        table().to_excel(book, sheet_name="2024", index=False)
    refused(path, "has the sheets ['2023', '2024'], and one is read")


def test_one_bad_day_among_days_is_named() -> None:
    days = ["20240131", "20240201", "20240230", "20240301", "20240302"]
    refused(table(time=days), "row 3, column 'time'", "'20240230'", "Most are days written as")
    refused(table(time=[*days[:2], "1706832000", *days[3:]]), "row 3", "'1706832000'")
    assert read(table(time=[202404081330 + n for n in range(5)])).time.max() == 1712583240


def test_a_moment_is_iso_and_never_guessed() -> None:
    log = read(table())
    for text in ("05/12/2023", "13/12/2023", "12 May 2023", "soon"):
        with pytest.raises(LogError, match="not a moment"):
            log.histories(at=text)
    assert log.histories(at="2027-01-01").request_time.max() == 1798761600


def test_a_line_of_names_among_the_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"user,item,time\na,x,{START}\nuser,item,time\nb,y,{START}\n", "utf8")
    refused(path, "row 2 (line 3), column 'user'", "repeats the names of the columns")
    refused(path, "row 2 (line 3)", time=None)
    assert len(read(table(user="user"))) == 5


def test_a_column_that_stands_twice_in_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"user,item,item,time\na,x,z,{START}\n", "utf8")
    refused(path, "two columns named 'item'")


def test_names_that_may_be_meant_as_one_or_as_none_are_noted() -> None:
    log = read(table(user=["mia", "Mia ", "tom", "caf\u00e9", "cafe\u0301"]))
    assert len(log.users) == 5
    assert any(note.startswith("2 names of users differ from another in case") for note in log.notes)
    nobody = read(table(user=["None", "None", "tom", "tom", "mia"]))
    assert any(note.startswith("One of the users is called 'None'") for note in nobody.notes)
    assert not any("names of" in note or "is called" in note for note in read(table()).notes)


def test_times_far_from_ours_are_noted_or_refused() -> None:
    refused(table(time=[1000 * START + n for n in range(5)]), "not a time near ours", time_unit="s")
    far = read(table(time=["2024-01-01", "1900-01-01", "9999-12-31", "2024-01-02", "2024-01-03"]))
    assert any(note.startswith("2 times lie before 1980 or after 2100") for note in far.notes)
    mixed = [
        "2024-01-01 10:00",
        "2024-01-01 09:30Z",
        "2024-01-01T09:30+01:00",
        "2024-01-01 08:00",
        "2024-01-02",
    ]
    assert any(note.startswith("2 of 5 times name a time zone") for note in read(table(time=mixed)).notes)


def test_what_is_no_file_says_so(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder")
    with pytest.raises(FileNotFoundError, match="A pattern names none"):
        read(tmp_path / "*.csv")
    path = tmp_path / "events.csv"
    path.write_text("\ufeff" + lines(","), "utf8")
    refused(path, "The file is UTF-8", encoding="latin-1")


def test_periods_are_read_as_their_first_moment_and_amounts_of_time_are_refused() -> None:
    months = pd.Series(pd.period_range("2024-01", periods=5, freq="M"))
    assert pd.to_datetime(read(table(time=months)).time, unit="s")[0] == pd.Timestamp("2024-01-01")
    refused(table(time=pd.to_timedelta(range(5), unit="D")), "row 1, column 'time'", "is an amount of time")

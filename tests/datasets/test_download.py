"""Fetching: whole and verified or not at all, whatever the network, the cache and other runs do."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest
from filelock import FileLock

from imtlib.datasets import download as module
from imtlib.datasets.download import Download, DownloadSource, WebFolder, cache_folder, fetch
from imtlib.errors import DownloadError

FILES = {"a.txt": b"one\n" * 1000, "b.txt": b"two\n"}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def packed(files: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(f"pack/{name}"), content)  # without the time of day
    return memory.getvalue()


ARCHIVE = packed(FILES)


def take(archive: zipfile.ZipFile) -> dict[str, bytes]:
    return {name: archive.read(f"pack/{name}") for name in FILES}


class Site:
    """A web site on this machine: what it serves, what it was asked for, and whether it answers yet."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {"/pack.zip": ARCHIVE}
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                site.may_answer.wait(60)
                page = site.pages.get(self.path)
                self.send_response(404 if page is None else 200)
                self.end_headers()
                self.wfile.write(page or b"")

            def log_message(self, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()
    yield served
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMTLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IMTLIB_MIRROR", raising=False)
    return tmp_path / "cache" / "pack"


def source(url: str, content: bytes = ARCHIVE, archive: str = "pack.zip") -> DownloadSource:
    return DownloadSource(archive, digest(content), url, take)


def download(*sources: DownloadSource | WebFolder) -> Download:
    return Download("Pack", "pack", {n: digest(c) for n, c in FILES.items()}, sources, "Terms: be kind.")


def whole(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} - {".lock"} == set(FILES) and all(
        (folder / name).read_bytes() == content for name, content in FILES.items()
    )


def nothing_left(folder: Path) -> bool:
    return [path.name for path in folder.iterdir() if path.name != ".lock"] == []


def test_fetches_once_and_says_the_terms_once(
    site: Site, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wanted = download(source(f"{site.url}/pack.zip"))
    assert fetch(wanted) == cache
    assert whole(cache)
    said = capfd.readouterr()
    assert said.out.count("Terms: be kind.") == 1
    assert said.err == ""
    fetch(wanted)
    assert site.asked == ["/pack.zip"]
    assert capfd.readouterr().out == ""


def test_a_cache_that_is_whole_needs_no_right_to_write(site: Site, cache: Path) -> None:
    wanted = download(source(f"{site.url}/pack.zip"))
    fetch(wanted)
    (cache / ".lock").unlink(missing_ok=True)
    (cache / ".lock").mkdir()  # so that no lock can be taken
    assert fetch(wanted) == cache
    (cache / "b.txt").unlink()
    with pytest.raises(DownloadError, match=r"the cache .*pack cannot be written.*IMTLIB_CACHE"):
        fetch(wanted)


@pytest.mark.parametrize(
    "sent", [ARCHIVE[:-40], b"\0" + ARCHIVE[1:], b""], ids=["truncated", "altered", "nothing"]
)
def test_a_truncated_or_altered_download_is_removed(site: Site, cache: Path, sent: bytes) -> None:
    site.pages["/pack.zip"] = sent
    with pytest.raises(DownloadError, match=r"pack\.zip: came truncated or altered .* was removed"):
        fetch(download(source(f"{site.url}/pack.zip")))
    assert nothing_left(cache)
    site.pages["/pack.zip"] = ARCHIVE
    assert whole(fetch(download(source(f"{site.url}/pack.zip"))))


def test_an_archive_with_another_file_inside_is_refused(site: Site, cache: Path) -> None:
    other = packed({"a.txt": b"three\n", "b.txt": b"two\n"})
    site.pages["/pack.zip"] = other
    with pytest.raises(DownloadError, match=r"pack\.zip: holds another a\.txt than the one expected"):
        fetch(download(source(f"{site.url}/pack.zip", other)))
    assert nothing_left(cache)


def test_the_second_source_stands_in(site: Site) -> None:
    wanted = download(source(f"{site.url}/gone.zip", archive="gone.zip"), source(f"{site.url}/pack.zip"))
    assert whole(fetch(wanted))
    assert site.asked == ["/gone.zip", "/pack.zip"]


def test_a_cached_file_that_was_altered_is_fetched_again(site: Site, cache: Path) -> None:
    wanted = download(source(f"{site.url}/pack.zip"))
    fetch(wanted)
    (cache / "a.txt").write_bytes(FILES["a.txt"][:-1])
    assert whole(fetch(wanted))
    assert len(site.asked) == 2


def test_offline_says_what_to_fetch_and_where_to_put_it(site: Site, cache: Path) -> None:
    site.server.shutdown()
    site.server.server_close()
    wanted = download(source(f"{site.url}/pack.zip"))
    with pytest.raises(DownloadError) as error:
        fetch(wanted)
    assert "Pack could not be fetched" in str(error.value)
    assert f"{site.url}/pack.zip could not be reached" in str(error.value)
    assert f"put it, as it is, into {cache}, and run this again" in str(error.value)
    assert nothing_left(cache)
    (cache / "pack.zip").write_bytes(ARCHIVE[:-1])
    with pytest.raises(DownloadError, match="came truncated or altered"):
        fetch(wanted)
    assert nothing_left(cache)
    (cache / "pack.zip").write_bytes(ARCHIVE)
    fetch(wanted)
    assert (cache / "a.txt").read_bytes() == FILES["a.txt"]


@pytest.mark.parametrize("inside", ["", "further"])
def test_a_cache_that_cannot_be_written(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("IMTLIB_CACHE", str(tmp_path / "file" / inside))
    with pytest.raises(DownloadError, match=r"the cache .*file.*pack cannot be written.*IMTLIB_CACHE"):
        fetch(download(source(f"{site.url}/pack.zip")))
    assert site.asked == []
    assert (tmp_path / "file").read_text() == "not a folder"


def test_what_a_killed_run_left_is_cleared(site: Site, cache: Path) -> None:
    (cache / "fetching-old").mkdir(parents=True)
    (cache / "fetching-old" / "pack.zip").write_bytes(b"half")
    assert whole(fetch(download(source(f"{site.url}/pack.zip"))))


def test_two_runs_at_once_fetch_once(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_the_lock = threading.Barrier(2, action=site.may_answer.set)

    class MeetingLock(FileLock):
        def __enter__(self) -> Self:
            at_the_lock.wait(60)
            return super().__enter__()

    monkeypatch.setattr(module, "FileLock", MeetingLock)
    site.may_answer.clear()
    wanted = download(source(f"{site.url}/pack.zip"))
    runs = [threading.Thread(target=fetch, args=(wanted,)) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert site.asked == ["/pack.zip"]
    assert capsys.readouterr().out.count("Terms: be kind.") == 1
    assert whole(cache)


def wheel(folder: Path) -> bytes:
    """A wheel that pip accepts, with the files inside; built here, so that no index is asked."""
    path = folder / "imtpack-1.0-py3-none-any.whl"
    about = "imtpack-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"pack/{name}", content)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: imtpack\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path.read_bytes()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package index that pip is set up to use: a folder."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def on_index(site: Site, content: bytes) -> Download:
    return download(
        DownloadSource(
            "imtpack-1.0-py3-none-any.whl", digest(content), f"{site.url}/gone.whl", take, "imtpack==1.0"
        )
    )


def test_takes_the_files_out_of_a_wheel_from_the_readers_index(
    site: Site, index: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert whole(fetch(on_index(site, wheel(index))))
    assert site.asked == []
    assert capfd.readouterr().err == ""


def test_an_index_without_the_wheel_is_told_and_the_address_tried(site: Site, index: Path) -> None:
    with pytest.raises(
        DownloadError, match=r"pip could not download imtpack==1\.0: .*No matching distribution"
    ):
        fetch(on_index(site, ARCHIVE))
    assert site.asked == ["/gone.whl"]


def test_an_altered_wheel_on_the_index_is_refused(site: Site, index: Path, cache: Path) -> None:
    wheel(index)
    with pytest.raises(DownloadError, match="came truncated or altered"):
        fetch(on_index(site, ARCHIVE))
    assert nothing_left(cache)


def test_the_cache_is_the_users_unless_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("IMTLIB_CACHE")
    assert cache_folder().name == "imtlib"
    assert cache_folder().is_absolute()


@pytest.fixture
def loose(site: Site) -> Download:
    """The files as they are on the web, without an archive."""
    site.pages = {f"/raw/{name}": content for name, content in FILES.items()}
    return download(WebFolder(f"{site.url}/raw"))


def test_files_are_fetched_as_they_are_and_once(site: Site, cache: Path, loose: Download) -> None:
    assert whole(fetch(loose))
    assert site.asked == ["/raw/a.txt", "/raw/b.txt"]
    fetch(loose)
    assert len(site.asked) == 2
    (cache / "b.txt").write_bytes(b"altered")
    assert whole(fetch(loose))
    assert site.asked[2:] == ["/raw/b.txt"]  # the other one was right


@pytest.mark.parametrize("sent", [FILES["a.txt"][:-1], b"", None], ids=["truncated", "nothing", "gone"])
def test_of_files_as_they_are_all_or_none_are_kept(
    site: Site, cache: Path, loose: Download, sent: bytes | None
) -> None:
    site.pages.pop("/raw/a.txt")
    if sent is not None:
        site.pages["/raw/a.txt"] = sent
    problem = "came truncated or altered .* was removed" if sent is not None else ".*could not be reached"
    with pytest.raises(DownloadError, match=rf"a\.txt: {problem}") as error:
        fetch(loose)
    assert f"{site.url}/raw/a.txt and {site.url}/raw/b.txt\nput it, as it is, into {cache}" in str(
        error.value
    )
    assert nothing_left(cache)


def test_files_put_there_by_hand_need_no_network(site: Site, cache: Path, loose: Download) -> None:
    cache.mkdir(parents=True)
    for name, content in FILES.items():
        (cache / name).write_bytes(content)
    assert fetch(loose) == cache
    assert site.asked == []


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the data set in the reader's mirror."""
    monkeypatch.setenv("IMTLIB_MIRROR", str(tmp_path / "mirror"))
    folder = tmp_path / "mirror" / "pack"
    folder.mkdir(parents=True)
    return folder


def test_a_mirror_is_asked_first_and_names_do_not_matter(site: Site, mirror: Path, loose: Download) -> None:
    (mirror / "first.dat").write_bytes(FILES["b.txt"])
    (mirror / "second").write_bytes(FILES["a.txt"])
    (mirror / "a.txt").write_bytes(b"something else")
    assert whole(fetch(loose))
    assert site.asked == []
    assert len(list(mirror.iterdir())) == 3


def test_a_mirror_may_hold_the_archive(site: Site, mirror: Path) -> None:
    (mirror / "pack.whatever").write_bytes(ARCHIVE)
    assert whole(fetch(download(source(f"{site.url}/pack.zip"))))
    assert site.asked == []


def test_another_file_in_the_mirror_is_told_with_both_hashes(
    site: Site, cache: Path, mirror: Path, loose: Download
) -> None:
    (mirror / "a.txt").write_bytes(FILES["a.txt"])
    (mirror / "b.txt").write_bytes(b"three\n")
    with pytest.raises(DownloadError) as error:
        fetch(loose)
    assert f"b.txt: expected SHA-256 {digest(FILES['b.txt'])}" in str(error.value)
    assert f"b.txt: found SHA-256 {digest(b'three' + bytes([10]))}" in str(error.value)
    assert "a.txt: expected" not in str(error.value)
    assert "Put the right files there, under any name" in str(error.value)
    assert site.asked == []
    assert nothing_left(cache)


def test_a_mirror_without_the_data_set_is_passed_by(site: Site, mirror: Path, loose: Download) -> None:
    mirror.rmdir()
    assert whole(fetch(loose))
    assert len(site.asked) == 2


def test_a_mirror_that_is_no_folder_is_told(mirror: Path, cache: Path, loose: Download) -> None:
    mirror.rmdir()
    mirror.parent.rmdir()
    with pytest.raises(DownloadError, match=r"IMTLIB_MIRROR names .* which is no folder\. Fix or unset"):
        fetch(loose)
    assert nothing_left(cache)

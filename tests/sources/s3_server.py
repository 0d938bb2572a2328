"""A bucket on loopback that anyone may read, as much of S3 as s5cmd asks for: lists, and objects in parts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Bucket:
    """`objects` by "/bucket/key"; after `cut` objects the line breaks for good; `asked` has all paths."""

    def __init__(self):
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.cut: int | None = None
        self.url = ""
        self.refused: set[str] = set()
        self.heads = 0

    def keys(self) -> list[str]:
        return [path for path in self.asked if "?" not in path and path.endswith(".dcm")]


@contextmanager
def serving() -> Iterator[Bucket]:
    bucket = Bucket()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            bucket.heads += 1
            self.answer(200, bucket.objects.get(unquote(urlsplit(self.path).path), b""))

        def do_GET(self):
            address = urlsplit(self.path)
            path, query = unquote(address.path), parse_qs(address.query)
            bucket.asked.append(self.path)
            if "list-type" in query:
                return self.listing(path.strip("/"), query.get("prefix", [""])[0])
            if bucket.cut is not None and len(bucket.keys()) > bucket.cut:
                self.close_connection = True
                return self.connection.close()
            if path in bucket.refused:
                return self.answer(403, error("AccessDenied"))
            if path not in bucket.objects:
                return self.answer(404, error("NoSuchKey"))
            body, span = bucket.objects[path], self.headers.get("Range", "")
            low, high = (int(n) if n else None for n in (span or "bytes=0-").removeprefix("bytes=").split("-"))
            part = body[low : high + 1 if high is not None else None]
            there = {"Content-Range": f"bytes {low}-{low + len(part) - 1}/{len(body)}"} if span else {}
            return self.answer(206 if span else 200, part, there)

        def listing(self, name: str, prefix: str):
            start = f"/{name}/"
            found = [(k, len(v)) for k, v in sorted(bucket.objects.items()) if k.startswith(start + prefix)]
            items = "".join(
                f"<Contents><Key>{escape(k.removeprefix(start))}</Key><Size>{n}</Size><ETag>&quot;0&quot;</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
                for k, n in found
            )
            head = f"<Name>{name}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount>"
            text = f"<ListBucketResult>{head}<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{items}"
            return self.answer(200, f"{text}</ListBucketResult>".encode(), {"Content-Type": "application/xml"})

        def answer(self, status: int, body: bytes = b"", more: dict[str, str] | None = None):
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), "ETag": '"0"', **(more or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    bucket.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()

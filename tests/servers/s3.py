"""An object store that speaks what clients of S3 ask for here: one bucket, in memory, whole objects only."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest

BUCKET = "lake"


@dataclass
class Bucket:
    """The objects by their keys, what has been asked (`PUT a/key`), and how clients find it."""

    port: int
    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of clients, by the AWS kit's names and by Sail's."""
        address = f"http://127.0.0.1:{self.port}"
        names = dict.fromkeys(("AWS_ENDPOINT_URL", "AWS_ENDPOINT"), address)
        names |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test")
        names |= dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), "us-east-1")
        return names | {"AWS_ALLOW_HTTP": "true", "AWS_EC2_METADATA_DISABLED": "true"}


class _Handler(BaseHTTPRequestHandler):
    """Requests of the form `/lake/key`."""

    protocol_version = "HTTP/1.1"
    bucket: ClassVar[Bucket]

    def log_message(self, *_: object) -> None: ...

    def _asked(self) -> tuple[str, dict[str, str], bytes]:
        split = urlsplit(self.path)
        key = unquote(split.path).removeprefix(f"/{BUCKET}").lstrip("/")
        query = {name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
        body = self._body()
        if "aws-chunked" in self.headers.get("Content-Encoding", "") or "STREAMING" in self.headers.get(
            "x-amz-content-sha256", ""
        ):
            body = _unchunked(body)
        self.bucket.asked.append(f"{self.command} {key}")
        return key, query, body

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        made = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            made += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return made

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        length = headers.pop("length", str(len(body)))
        for name, value in {**headers, "ETag": '"0"', "Content-Length": length}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self) -> None:
        key, query, body = self._asked()
        if "uploadId" in query:
            self.bucket.parts[query["uploadId"]][int(query["partNumber"])] = body
        else:
            self.bucket.objects[key] = body
        self._answer(200)

    def do_POST(self) -> None:
        key, query, body = self._asked()
        if "uploads" in query:
            self.bucket.parts[f"u{len(self.bucket.parts)}"] = {}
            upload = f"<UploadId>u{len(self.bucket.parts) - 1}</UploadId>"
            self._answer(200, _xml("InitiateMultipartUploadResult", f"<Key>{escape(key)}</Key>{upload}"))
        elif "uploadId" in query:
            parts = self.bucket.parts[query["uploadId"]]
            self.bucket.objects[key] = b"".join(parts[number] for number in sorted(parts))
            self._answer(200, _xml("CompleteMultipartUploadResult", f"<Key>{escape(key)}</Key><ETag>0</ETag>"))
        else:
            keys = [node.text or "" for node in ElementTree.fromstring(body).iter() if node.tag.endswith("Key")]
            for gone in keys:
                self.bucket.objects.pop(gone, None)
            self._answer(200, _xml("DeleteResult", ""))

    def do_GET(self) -> None:
        key, query, _ = self._asked()
        if not key:
            self._answer(200, self._listing(query.get("prefix", ""), query.get("delimiter", "")))
            return
        found = self.bucket.objects.get(key)
        if found is None:
            self._answer(404, _xml("Error", "<Code>NoSuchKey</Code>"))
            return
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            self._answer(200, found, length=str(len(found)))
            return
        first = int(wanted[1]) if wanted[1] else len(found) - int(wanted[2])
        last = int(wanted[2]) + 1 if wanted[1] and wanted[2] else len(found)
        told = f"bytes {first}-{min(last, len(found)) - 1}/{len(found)}"
        self._answer(206, found[first:last], Content_Range=told)

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        key, _, _ = self._asked()
        self.bucket.objects.pop(key, None)
        self._answer(204)

    def _listing(self, prefix: str, delimiter: str) -> bytes:
        found, folders = [], set()
        for key, content in sorted(self.bucket.objects.items()):
            if not key.startswith(prefix):
                continue
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end >= 0:
                folders.add(key[: end + 1])
                continue
            when = "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>0</ETag>"
            found.append(f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size>{when}</Contents>")
        above = [f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)]
        count = f"<KeyCount>{len(found) + len(above)}</KeyCount><IsTruncated>false</IsTruncated>"
        head = f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>1000</MaxKeys>{count}"
        return _xml("ListBucketResult", head + "".join(found) + "".join(above))


def _xml(name: str, inner: str) -> bytes:
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="{space}">{inner}</{name}>'.encode()


def _unchunked(body: bytes) -> bytes:
    """What came in pieces of its own, each with its length and a signature before it."""
    made = b""
    while body:
        head, _, rest = body.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if not size:
            break
        made, body = made + rest[:size], rest[size + 2 :]
    return made


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket `s3://lake`, which clients of this process find by the environment."""
    made = Bucket(0)
    handler = type("Handler", (_Handler,), {"bucket": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        made.port = server.server_port
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()

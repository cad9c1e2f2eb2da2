"""ClickHouse's HTTP interface over chDB: what stands in for a server, which no Python package brings.

Sessions (each a connection of its own, with its temporary tables), basic authentication, errors with their codes, Arrow
output, rows that are inserted, parameters and KILL QUERY are as a server has them. Settings in the address are taken
and not applied; answers are sent whole. `python -m tests.servers.clickhouse PORT` serves until it is stopped.
"""

from __future__ import annotations

import base64
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest

from kpiengine_plugins.engines._clickhouse_errors import parameter

from .processes import Server, free_port

USER, PASSWORD = "kpi", "s3cret-word"


class Handler(BaseHTTPRequestHandler):
    """Answers one request after the other."""

    protocol_version = "HTTP/1.1"
    sessions: ClassVar[dict[str, Any]] = {}
    running: ClassVar[dict[str, str]] = {}
    lock = threading.Lock()

    def log_message(self, *told: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = (
            self.rfile.read(int(self.headers.get("Content-Length", 0))) if self.headers.get("Content-Length") else b""
        )
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(self.chunks())
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            self.fail(
                "Code: 516. DB::Exception: kpi: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)"
            )
            return
        statement, rows = (asked["query"], body) if "query" in asked else (body.decode(), b"")
        identity = asked.get("query_id", "")
        self.running[identity] = statement
        try:
            self.answer(200, self.run(statement, rows, asked))
        except Exception as error:
            self.settle(asked.get("session_id", ""))
            self.fail(str(error))
        finally:
            self.running.pop(identity, None)

    def run(self, statement: str, rows: bytes, asked: dict[str, str]) -> bytes:
        if statement.startswith("KILL QUERY WHERE query_id = {id:String}"):
            text = parameter(self.running.get(asked["param_id"], ""))
            with_text = "KILL QUERY WHERE query = {text:String} ASYNC"
            return self.at("").query(with_text, "TabSeparated", params={"text": text}).bytes()
        connection = self.at(asked.get("session_id", ""))
        if rows:
            head, form = re.split(r"\s+FORMAT\s+", statement.strip())
            with tempfile.NamedTemporaryFile(suffix=".arrow") as file:
                file.write(rows)
                file.flush()
                connection.query(f"{head} SELECT * FROM file('{file.name}', '{form}')", "CSV")
            return b""
        given = {name.removeprefix("param_"): value for name, value in asked.items() if name.startswith("param_")}
        return bytes(connection.query(statement, asked.get("default_format", "TabSeparated"), params=given).bytes())

    def at(self, session: str) -> Any:
        import chdb

        with self.lock:
            if not session:
                return chdb.connect(":memory:")
            if session not in self.sessions:
                self.sessions[session] = chdb.connect(":memory:")
            return self.sessions[session]

    def settle(self, session: str) -> None:
        """Reads off what a failed statement left in chDB's connection: the next would be given it as its own answer."""
        for _ in range(2):
            with suppress(Exception):
                self.at(session).query("SELECT 1", "CSV")

    def chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().strip(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def fail(self, told: str) -> None:
        code = re.search(r"Code: (\d+)", told)
        self.answer(403 if "Code: 516" in told else 500, told.encode(), code[1] if code else "0")

    def answer(self, status: int, body: bytes, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`http://kpi:…@127.0.0.1:port` of chDB behind ClickHouse's HTTP interface."""
    port = free_port()
    server = Server(
        [sys.executable, "-m", "tests.servers.clickhouse", str(port)], tmp_path_factory.mktemp("clickhouse") / "log",
        {"PYTHONPATH": str(Path(__file__).parent.parent.parent)},
    )  # fmt: skip
    try:
        server.wait_for(port, 60)
        yield f"http://{USER}:{PASSWORD}@127.0.0.1:{port}"
    finally:
        server.stop()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

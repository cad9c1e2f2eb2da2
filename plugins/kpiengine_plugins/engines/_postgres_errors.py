"""What PostgreSQL and its driver say, in a user's words, without the password."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from kpiengine.errors import DataError, EngineError, KpiError

_LOST = (
    "server closed the connection",
    "connection has been closed",
    "could not receive data",
    "terminating connection",
)
_DATA = ("22", "21")
"""SQLSTATE classes of values that do not fit, and of keys that are not unique where they have to be."""


class Server:
    """The server of a URL, as messages name it."""

    def __init__(self, url: str) -> None:
        self.secret = _password(url)
        self.name = _named(url)

    def unreachable(self, error: BaseException) -> EngineError:
        """Why there is no connection."""
        text = self._safe(str(error))
        reason = re.split(r"FATAL:\s*|failed: |Failed to connect: ", text)[-1].strip().split("\n")[0]
        return EngineError(f"PostgreSQL{self.name} cannot be used: {reason}; its url stands in kpi.yaml")

    def failed(self, error: BaseException, what: str = "") -> KpiError:
        """Why a statement failed; `what` is told before."""
        text, state = self._safe(str(error)), getattr(error, "sqlstate", None) or ""
        found = re.search(r"ERROR:\s*(.*)", text)
        before = f"{what}: " if what else ""
        if any(sign in text for sign in _LOST) or (state.startswith("57P") or (not found and "IO" in text[:4])):
            reason = found[1] if found else _first_line(text)
            return EngineError(f"{before}the connection to PostgreSQL{self.name} was lost: {reason}")
        reason = found[1] if found else _first_line(text)
        if state.startswith(_DATA):
            return DataError(f"{before}PostgreSQL: {reason}")
        if "in a read-only transaction" in reason:
            reason += "; rows cannot be handed over to a server that takes no temporary tables"
        return EngineError(f"{before}PostgreSQL: {reason}")

    def _safe(self, text: str) -> str:
        return text.replace(self.secret, "***") if self.secret else text


def _first_line(text: str) -> str:
    words = re.sub(r"^[A-Z_]+: ", "", text.strip())
    words = re.sub(r"^(\[libpq\] )?(Failed to \w+ query:?|PQ\w+\(\) failed:)\s*", "", words)
    return words.strip().split("\n")[0] or "no reason was given"


def _password(url: str) -> str:
    if "://" in url:
        return unquote(urlsplit(url).password or "")
    found = re.search(r"password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", url)
    return found[1].strip("'") if found else ""


def _named(url: str) -> str:
    """` at host:port, database "shop"`, as far as the URL says it."""
    if "://" not in url:
        parts = dict(re.findall(r"(host|port|dbname)\s*=\s*(\S+)", url))
        host, port, database = parts.get("host", ""), parts.get("port", ""), parts.get("dbname", "")
    else:
        split = urlsplit(url)
        host, database = split.hostname or "", unquote(split.path.lstrip("/"))
        port = re.sub(r".*:(\d+)$|.*", r"\1", split.netloc.rpartition("@")[2])
    place = f" at {host}" + (f":{port}" if port else "") if host else ""
    return place + (f', database "{database}"' if database else "")

"""What Spark and its client say, in a user's words: one line, without a stack of Java's or the token."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

from kpiengine.errors import DataError, EngineError, KpiError

DEFAULT_PORT = 15002
_LOST = ("UNAVAILABLE", "failed to connect", "Connection reset", "Socket closed", "is not running", "INVALID_HANDLE")
_EXECUTOR = ("ExecutorLostFailure", "executor lost", "Lost task", "SparkContext was shut down", "stopped SparkContext")
_DATA_STATES = ("22", "21")
"""SQLSTATE classes of values that do not fit."""
_DATA_WORDS = ("Division by zero", "divide by zero", "overflow", "Cannot cast", "out of range")


class Server:
    """The server of a remote address, as messages name it."""

    def __init__(self, remote: str) -> None:
        found = re.search(r"token=([^;]+)", remote)
        self.secret = found[1] if found else ""
        split = urlsplit(remote)
        if split.scheme != "sc" or not split.hostname:
            told = remote.replace(self.secret, "***") if self.secret else remote
            raise EngineError(f'"{told}" is no address of a Spark Connect server; write it as sc://host:{DEFAULT_PORT}')
        self.host = split.hostname
        self.port = split.port or DEFAULT_PORT
        self.name = f"Spark at {self.host}:{self.port}"

    def require_reachable(self, seconds: float = 10) -> None:
        """Raises EngineError where nobody answers: the client itself would try again for minutes."""
        try:
            socket.create_connection((self.host, self.port), seconds).close()
        except OSError as error:
            reason = error.strerror or str(error) or "no answer"
            cure = "start its Connect server, or put its address right in kpi.yaml (remote: sc://host:15002)"
            raise EngineError(f"{self.name} cannot be reached: {reason}; {cure}") from None

    def failed(self, error: BaseException, what: str = "") -> KpiError:
        """Why a statement failed; `what` is told before."""
        text = str(error).replace(self.secret, "***") if self.secret else str(error)
        before = f"{what}: " if what else ""
        state = re.search(r"SQLSTATE: (\w{5})", text)
        reason = _reason(text)
        if any(sign in text for sign in _EXECUTOR):
            return EngineError(f"{before}{self.name} lost an executor or itself on the way: {reason}")
        if any(sign in text for sign in _LOST) or type(error).__name__ == "RetriesExceeded":
            return EngineError(f"{before}the connection to {self.name} was lost: {reason}")
        if (state and state[1].startswith(_DATA_STATES)) or any(word in reason for word in _DATA_WORDS):
            return DataError(f"{before}Spark: {reason}")
        return EngineError(f"{before}Spark: {reason}")


def _reason(text: str) -> str:
    """The first sentence or two, without the error's class, the place in our statement, and what Java adds."""
    details = re.search(r'details = "(.*?)"\s*\n', text, re.DOTALL)
    text = details[1] if details else text
    caused = re.search(r"Job aborted due to stage failure:.*?: (?:[\w.$]+(?:Exception|Error): )?(.*)", text, re.DOTALL)
    text = caused[1] if caused else text
    first = re.split(r"\n|;\n|\s*SQLSTATE: |\s*If necessary set ", text.strip(), maxsplit=1)[0]
    first = re.sub(r"^\(?[\w.$]+(?:Exception|Error)\)?:?\s*", "", first)
    first = re.sub(r"^\[[A-Z0-9_.]+\]\s*", "", first).strip().rstrip(".;")
    return first or "no reason was given"

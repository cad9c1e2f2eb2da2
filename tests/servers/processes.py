"""Server processes of the tests: started, waited for, and stopped with all that they started, whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


def free_port() -> int:
    """A port of this machine that nobody has at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Server:
    """A process of its own group, which is killed as a whole; `log` holds what it says."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        # Where the tests themselves are killed, nobody is left to stop it: then the kernel does.
        alone = shutil.which("setpriv")
        command = [alone, "--pdeathsig", "KILL", *command] if alone else list(command)
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    def wait_for(self, ready: str | int, seconds: float) -> None:
        """Waits until the port `ready` answers, or the text `ready` stands in the log."""
        deadline = time.monotonic() + seconds
        while not (_answers(ready) if isinstance(ready, int) else ready in self.told()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                state = "ended" if self.process.poll() is not None else f"not ready after {seconds} s"
                raise AssertionError(f"{self.process.args}: {state}\n{self.told()[-4000:]}")
            time.sleep(0.05)

    def told(self) -> str:
        """All that it has said so far."""
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """Ends the process and those that it started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.settimeout(1)
        return attempt.connect_ex(("127.0.0.1", port)) == 0

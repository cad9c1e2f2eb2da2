"""A line on standard error that says that work goes on: on a terminal only, gone when the work is done."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PLAIN_SPINNER = "|/-\\"
WAIT_SECONDS = 0.4
"""Work shorter than this shows nothing: a line that flickers helps nobody."""


def wants_progress() -> bool:
    """Whether standard error is a terminal that can rewrite a line."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class Progress:
    """`with Progress("running"):` shows a spinner and the seconds.

    `poll`, where given, is asked how much is done, 0 to 100; at 0 or below it does not know, and no share is shown.
    """

    def __init__(self, text: str, poll: Callable[[], float] | None = None, visible: bool | None = None) -> None:
        self.text = text
        self._poll = poll
        self._visible = wants_progress() if visible is None else visible
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._start = time.monotonic()
        encoding = (getattr(sys.stderr, "encoding", None) or "ascii").lower().replace("-", "")
        self._spinner = SPINNER if encoding == "utf8" else PLAIN_SPINNER

    def line(self, step: int, seconds: float) -> str:
        """The line as it reads at that step of the spinner."""
        sign = self._spinner[step % len(self._spinner)]
        done = 0.0
        with contextlib.suppress(Exception):  # the engine may be closing: a progress line must not end the work
            done = self._poll() if self._poll is not None else 0.0
        share = f" {min(done, 100):.0f}%" if done > 0 else ""
        return f"{sign} {self.text}{share} ({seconds:.0f} s)"

    def __enter__(self) -> Progress:
        self._start = time.monotonic()
        if self._visible:
            self._thread = threading.Thread(target=self._spin, name="kpi-progress", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Take the line away; further calls do nothing."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _spin(self) -> None:
        step = 0
        if self._done.wait(WAIT_SECONDS):
            return
        with contextlib.suppress(OSError, ValueError):
            while not self._done.wait(0.1):
                self._write("\r\x1b[2K" + self.line(step, time.monotonic() - self._start))
                step += 1
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

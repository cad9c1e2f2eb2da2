"""Ctrl-C, and being told to end (SIGTERM, SIGHUP), that work at once, even while the engine keeps the main thread.

Python runs signal handlers in the main thread, between two instructions: a query that runs in C for a minute would
not notice Ctrl-C for a minute. So a thread listens on the signal's wake-up socket, stops the engine, and where that
does not help within a moment (or Ctrl-C comes again) ends the process itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

ENDINGS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
if hasattr(signal, "SIGHUP"):
    ENDINGS[signal.SIGHUP] = "the terminal is gone"
"""Signals that end a run, and what is said. The exit code is 128 and the signal's number, as a shell tells it."""

GRACE_SECONDS = 2.0


class Interrupts:
    """`seen` is the first signal; `stoppers` are called at it; `unfinished` are files that a hard end removes."""

    def __init__(self) -> None:
        self.seen: signal.Signals | None = None
        self.stoppers: list[Callable[[], object]] = []
        self.unfinished: set[Path] = set()
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._listener: threading.Thread | None = None
        self._previous = -1
        self._handled: list[signal.Signals] = []

    def watch(self) -> None:
        """Begin to listen; nothing where SIGINT is ignored (a background job) or this is not the main thread."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if self._ends or not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return
        for number in ENDINGS:  # those that would end the process on the spot, and leave what it was making
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._raise)
                self._handled.append(number)
        ours, signals = socket.socketpair()
        signals.setblocking(False)
        self._previous = signal.set_wakeup_fd(signals.fileno(), warn_on_full_buffer=False)
        self._ends = ours, signals
        self._listener = threading.Thread(target=self._listen, args=(ours,), name="kpi-interrupts", daemon=True)
        self._listener.start()

    def release(self) -> None:
        """Stop listening and give the wake-up socket back."""
        self.stoppers.clear()  # they hold the engine's connection, which must not outlive its project
        if self._ends is None:
            return
        _, signals = self._ends
        signal.set_wakeup_fd(self._previous)
        for number in self._handled:
            signal.signal(number, signal.SIG_DFL)
        self._handled.clear()
        self._ends = None
        signals.close()  # ends the listener: it reads the end of the stream
        if self._listener is not None:
            self._listener.join(GRACE_SECONDS)

    def _raise(self, number: int, frame: object) -> None:
        """As Python does for Ctrl-C: the main thread unwinds, and removes what it has not finished."""
        self.seen = self.seen or signal.Signals(number)
        raise KeyboardInterrupt

    def _listen(self, ours: socket.socket) -> None:
        with contextlib.suppress(OSError), ours:
            while got := ours.recv(1):
                if got[0] in ENDINGS:
                    self.seen = signal.Signals(got[0])
                    for stop in tuple(self.stoppers):
                        with contextlib.suppress(Exception):
                            stop()
                    ours.settimeout(GRACE_SECONDS)
                    self._wait_for_the_end(ours)
                    return

    def _wait_for_the_end(self, ours: socket.socket) -> None:
        try:
            if not ours.recv(1):
                return  # released: the main thread came to its end by itself
        except TimeoutError:
            pass
        for path in self.unfinished:
            with contextlib.suppress(OSError):
                path.unlink()
        number = self.seen or signal.SIGINT
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{ENDINGS[number]}\n")
            sys.stderr.flush()
        os._exit(128 + number)

"""SIGINT and SIGTERM: the first ends the audit early, with all reports; the second ends the process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from quub_audit.model.status import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Within `with`, the first signal sets `stop`; until `defer` is called it also raises KeyboardInterrupt.

    Handlers belong to the main thread; in another one nothing is installed, and the caller sets `stop`. `at_once` is
    called before the second signal ends the process, in its handler.
    """

    def __init__(self, at_once: Callable[[], None] | None = None) -> None:
        self._at_once = at_once
        self.stop = threading.Event()
        self.name = ""
        """The signal that came first: `SIGTERM`."""
        self._is_deferred = False
        self._before: dict[signal.Signals, Any] = {}

    def defer(self) -> None:
        """From now on somebody watches `stop`."""
        self._is_deferred = True

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.stop.is_set():
            if self._at_once:
                self._at_once()
            os._exit(ExitCode.INTERRUPTED)
        self.name = signal.Signals(number).name
        self.stop.set()
        if not self._is_deferred:
            raise KeyboardInterrupt

"""What holds for all tests."""

from __future__ import annotations

import signal
import threading

from hypothesis import settings

# How long an example takes is no property of the code: machines are busy.
settings.register_profile("quub-audit", deadline=None)
settings.load_profile("quub-audit")

# What runs in a shell's background ignores Ctrl-C, and all that it starts would too.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

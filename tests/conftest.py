"""What holds for all tests."""

from __future__ import annotations

import signal
import threading

from hypothesis import HealthCheck, settings

# How long an example takes is no property of the code: machines are busy.
BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quub-audit", BUSY)
# The gate says the same of the same commit; new examples are looked for by everybody else.
settings.register_profile("gate", BUSY, derandomize=True)
settings.load_profile("quub-audit")

# What runs in a shell's background ignores Ctrl-C, and all that it starts would too.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

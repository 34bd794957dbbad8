"""Temporary folders that do not outlive the process that made them, however it ended.

Each is locked as long as its process lives. One that nobody holds was left by a process that was killed, and goes when
the next one is made.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from quub_audit.errors import Unsupported

STALE_AFTER_S = 3600
"""Seconds from which a folder without an owner is swept: one that is being made has none for a moment."""


class Scratch:
    """A folder `quub-audit-<purpose>-...` for this user alone. `close` removes it.

    Raises Unsupported when none can be made.
    """

    def __init__(self, purpose: str) -> None:
        prefix = f"quub-audit-{purpose}-"
        try:
            self.path = Path(tempfile.mkdtemp(prefix=prefix))
        except OSError as error:
            raise Unsupported(f"no temporary folder can be made: {error}", next_step="set TMPDIR") from error
        self._held: int | None = None
        with suppress(OSError):  # where folders cannot be locked none is swept either
            self._held = _lock(self.path)
        _sweep(self.path.parent, prefix)

    def close(self) -> None:
        """May be called again."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)
            self._held = None


def _lock(folder: Path) -> int | None:
    """A descriptor that holds `folder` until it is closed or the process ends; None when another one holds it.

    A file system without locks raises OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(parent: Path, prefix: str) -> None:
    """Remove what killed processes of this user left; what cannot be removed stays."""
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError):
            found = folder.lstat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < STALE_AFTER_S:
                continue
            held = _lock(folder)
            if held is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(held)

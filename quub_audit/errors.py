"""Everything that may go wrong, in one tree.

    QuubAuditError
    ├── Reportable              becomes an error finding; the audit goes on
    │   ├── Denied              the target refused our credentials; names the missing permission
    │   ├── Unreachable         no connection, or the name does not resolve
    │   ├── TimedOut            connected, but no answer before the deadline
    │   ├── Throttled           asked to slow down until the retries were used up
    │   ├── Unsupported         the target does not know the question
    │   ├── Malformed           an answer or a file that cannot be read
    │   ├── NotTls              connected, but no TLS was spoken
    │   ├── Absent              a declared thing does not exist
    │   ├── Refused             we will not ask: not a read-only question
    │   └── Stale               evidence of another commit or too old; folds to inconclusive
    ├── NotWritten              a report could not be written; the others were
    └── Mendable                the user's to mend; nothing is audited, exit code 2
        ├── ConfigurationError  mistakes in a file, each with its place
        ├── UsageError          mistakes in the command
        ├── WrongTarget         the caller's account or host is not the declared one
        └── MissingExtra        an optional part is not installed

Whatever else escapes a check is a bug of its plugin, and the report says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class QuubAuditError(Exception):
    """The root; never raised itself."""


class Reportable(QuubAuditError):
    """One sentence, subject first; `next_step` says what would mend it."""

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.about = ""
        """What the finding is about, where several subjects rest on one thing that cannot be read; else the subject."""


class Denied(Reportable):
    """The target refused our credentials. `permission` names what is missing, as its owner spells it."""

    def __init__(self, message: str, *, permission: str = "", next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.permission = permission


class Unreachable(Reportable):
    """No connection could be made."""


class TimedOut(Reportable):
    """Connected, but the answer did not come in time."""


class Throttled(Reportable):
    """Told to slow down until the retries were used up."""


class Unsupported(Reportable):
    """The target does not know the question."""


class Malformed(Reportable):
    """What came back cannot be read."""


class NotTls(Reportable):
    """Connected, but no TLS was spoken."""


class Absent(Reportable):
    """A thing that was declared does not exist."""


class Refused(Reportable):
    """Not a read-only question; it was not sent."""


class Stale(Reportable):
    """Evidence that is too old, or of another commit."""


class NotWritten(QuubAuditError):
    """Reports that could not be written, each as `path: what happened: why`; `written` are those that could."""

    def __init__(self, problems: Sequence[str], *, written: Sequence[Path] = ()) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
        self.written = tuple(written)


class Mendable(QuubAuditError):
    """The user's to mend; exit code 2."""


class ConfigurationError(Mendable):
    """All mistakes of a file at once, each as `file:line:column: dotted.path: what is wrong`."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class UsageError(Mendable):
    """A mistake in the command."""


class WrongTarget(Mendable):
    """The credentials or names lead somewhere else than environments.yaml says."""


class MissingExtra(Mendable):
    """An optional part of quub-audit is needed and not installed."""

"""The terminal: data to stdout, talk to stderr, and nothing on either that a server could have planted there."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Literal, TextIO, TypeAlias

import click

from quub_audit.errors import NotWritten
from quub_audit.reporters.text import clean, one_line

Style = Literal["", "good", "bad", "doubtful", "faint", "strong"]

_COLOURS: Mapping[Style, Mapping[str, Any]] = {
    "good": {"fg": "green"},
    "bad": {"fg": "red", "bold": True},
    "doubtful": {"fg": "yellow"},
    "faint": {"dim": True},
    "strong": {"bold": True},
}

_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "…": "...", "“": '"', "”": '"', "→": "->", "⟨": "<", "⟩": ">", "█": "#", "░": "."}
)

UNBOUNDED = 1 << 20
"""The width of what is no terminal: nothing is cut or folded there. Columns."""

NARROWEST = 20
"""Columns. A terminal that says it has fewer is taken to have these."""


@dataclass(frozen=True, slots=True)
class Styled:
    """A text with what it means for the eye."""

    text: str
    style: Style = ""


Piece: TypeAlias = str | Styled
Line: TypeAlias = Sequence[Piece]


def width_of(text: str) -> int:
    """Columns that `text` takes on a terminal: two for East Asian wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def cut_to(text: str, columns: int) -> str:
    """`text` in at most `columns` columns, an ellipsis for what is missing."""
    if width_of(text) <= columns:
        return text
    kept, used = [], 1
    for character in text:
        used += _columns(character)
        if used > columns:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def fold_to(text: str, columns: int) -> list[str]:
    """`text` in lines of at most `columns`, broken at blanks where there are any; never empty."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        for part in _parts(word, columns):
            joined = f"{line} {part}" if line else part
            if line and width_of(joined) > columns:
                lines.append(line)
                line = part
            else:
                line = joined
    return [*lines, line]


def pad_to(text: str, columns: int) -> str:
    """`text` with blanks up to `columns`."""
    return text + " " * max(0, columns - width_of(text))


def folded(indent: str, text: str, columns: int, *, lead: Styled | None = None) -> Iterator[Line]:
    """`text` folded, its later lines below its first."""
    lead_columns = width_of(lead.text) if lead else 0
    first, *rest = fold_to(one_line(text), max(12, columns - len(indent) - lead_columns))
    yield [indent, lead, first] if lead else [indent, first]
    for line in rest:
        yield [f"{indent}{' ' * lead_columns}{line}"]


def _parts(word: str, columns: int) -> Iterator[str]:
    """A word that fits no line is broken where it must be, so that all of it can be read."""
    part, used = "", 0
    for character in word:
        wide = _columns(character)
        if part and used + wide > columns:
            yield part
            part, used = "", 0
        part += character
        used += wide
    yield part


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


class Terminal:
    """Both streams of a command. Thread-safe.

    Every text is passed through `redact`, and loses its control characters, before it is shown. A reader that goes
    away is no error; a stream that cannot be written to for another reason raises NotWritten from `check`.
    """

    def __init__(
        self, out: TextIO | None, err: TextIO | None, environ: Mapping[str, str], *, verbosity: int = 0
    ) -> None:
        self.verbosity = verbosity
        """Below zero: less than usual. Above: more."""
        self.redact: Callable[[str], str] = str
        self._environ = environ
        self._out = _Stream(out, environ)
        self._err = _Stream(err, environ)
        self._drawn = ""
        self._drawn_widths: tuple[int, ...] = ()
        self._lock = threading.RLock()

    @classmethod
    def of_process(cls, *, verbosity: int = 0) -> Terminal:
        """The one that this process was started in."""
        return cls(sys.stdout, sys.stderr, os.environ, verbosity=verbosity)

    @property
    def is_live(self) -> bool:
        """Whether what was said can be taken back: a person watches, and no log is kept."""
        is_plain = self._environ.get("TERM") == "dumb" or bool(self._environ.get("CI")) or sys.platform == "win32"
        return self._err.is_terminal and not is_plain

    @property
    def width(self) -> int:
        """Columns of stdout."""
        return self._out.width

    def show(self, *pieces: Piece) -> None:
        """One line of data, to stdout."""
        with self._lock:
            self._erase()
            self._out.write(self._out.painted(pieces, self.redact) + "\n")

    def show_text(self, text: str) -> None:
        """A whole document to stdout, as it is but for secrets: it is for programs, or has been made safe already."""
        with self._lock:
            self._erase()
            self._out.write(self.redact(text))

    def show_bytes(self, document: bytes) -> None:
        """A whole document to stdout, byte for byte."""
        with self._lock:
            self._erase()
            self._out.write_bytes(document)

    def say(self, *pieces: Piece) -> None:
        """One line of talk, to stderr."""
        with self._lock:
            self._erase()
            self._out.flush()
            self._err.write(self._err.painted(pieces, self.redact) + "\n")
            self._err.flush()

    def draw(self, lines: Sequence[Line]) -> None:
        """Put `lines` in the place of the last ones drawn; nothing is written when they are the same.

        Each is cut to the width of the terminal. What is shown or said next takes their place.
        """
        with self._lock:
            columns = self._err.width - (1 if self._err.has_symbols else len("..."))
            cut = [_cut(line, columns, self.redact) for line in lines]
            drawn = "".join(f"{self._err.painted(line, str)}\x1b[K\n" for line in cut)
            if drawn == self._drawn:
                return
            self._out.flush()
            self._err.write(f"{self._back()}{drawn}\x1b[J")
            self._err.flush()
            self._drawn = drawn
            self._drawn_widths = tuple(sum(width_of(_text(piece)) for piece in line) for line in cut)

    def erase(self) -> None:
        """Take back what was drawn last."""
        with self._lock:
            self._erase()

    def check(self) -> None:
        """Send off what is buffered. Raises NotWritten when something that was shown could not be written."""
        with self._lock:
            self._out.flush()
            self._err.flush()
            if self._out.problem:
                raise NotWritten([f"standard output: cannot be written: {self._out.problem}"])

    def _erase(self) -> None:
        if self._drawn:
            self._err.write(f"{self._back()}\x1b[J")
            self._err.flush()
            self._drawn, self._drawn_widths = "", ()

    def _back(self) -> str:
        """To the first column of the first line drawn, also where a narrowed window has broken it in two."""
        if not self._drawn:
            return ""
        columns = self._err.width
        return f"\r\x1b[{sum(max(1, -(-width // columns)) for width in self._drawn_widths)}A"


class _Stream:
    """One of the two, with what it can show."""

    def __init__(self, stream: TextIO | None, environ: Mapping[str, str]) -> None:
        self._stream: TextIO | None = stream
        self.problem = ""
        self.is_terminal = _is_terminal(stream)
        self._encoding = (getattr(stream, "encoding", None) or "utf-8") if stream else "utf-8"
        self.has_symbols = _has_symbols(self._encoding)
        self._has_colours = _has_colours(environ, is_terminal=self.is_terminal)
        self._columns = environ.get("COLUMNS", "")

    @property
    def width(self) -> int:
        """Columns now; `UNBOUNDED` where it is no terminal, unless COLUMNS says otherwise."""
        if self._columns.isdecimal() and int(self._columns):
            return max(NARROWEST, int(self._columns))
        if not self.is_terminal or self._stream is None:
            return UNBOUNDED
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = shutil.get_terminal_size().columns
        return max(NARROWEST, columns or 80)

    def painted(self, pieces: Iterable[Piece], redact: Callable[[str], str]) -> str:
        """One line of what may be shown."""
        return "".join(self._paint(piece, redact) for piece in pieces)

    def _paint(self, piece: Piece, redact: Callable[[str], str]) -> str:
        text, style = _on_one_line(redact(_text(piece))), piece.style if isinstance(piece, Styled) else ""
        if not self.has_symbols:
            text = text.translate(_ASCII)
        return click.style(text, **_COLOURS[style]) if self._has_colours and style else text

    def write(self, text: str) -> None:
        """Raises nothing: what went wrong is in `problem`."""
        if self._stream is not None:
            with self._minded():
                self._stream.write(text.encode(self._encoding, "backslashreplace").decode(self._encoding))

    def write_bytes(self, document: bytes) -> None:
        """As `write`, past the text layer."""
        if self._stream is not None:
            with self._minded():
                self._stream.flush()
                binary: IO[bytes] = self._stream.buffer
                binary.write(document)

    def flush(self) -> None:
        """As `write`."""
        if self._stream is not None:
            with self._minded():
                self._stream.flush()

    @contextlib.contextmanager
    def _minded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            stream, self._stream = self._stream, None
            _silence(stream)
            if error.errno not in (errno.EPIPE, errno.EIO, errno.ESHUTDOWN):
                self.problem = error.strerror or str(error)


def _silence(stream: TextIO | None) -> None:
    """Lead the stream nowhere, so that the interpreter's last flush has nothing to complain of."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if stream is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _has_symbols(encoding: str) -> bool:
    try:
        "✓✗…“”█░".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _has_colours(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """NO_COLOR (https://no-color.org) beats FORCE_COLOR (https://force-color.org); else a terminal decides."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return environ["FORCE_COLOR"] not in ("0", "false")
    return is_terminal and environ.get("TERM") != "dumb"


def _text(piece: Piece) -> str:
    return piece.text if isinstance(piece, Styled) else piece


_ORDER = re.compile(r"^(?P<indent>\s*):(?=:)|##(?=\[|vso\[|teamcity\[)")
"""What CI systems take for an order in a log: GitHub at the start of a line, Azure Pipelines anywhere in it."""


def _on_one_line(text: str) -> str:
    """No control character is left, and no order to a CI system that reads the log."""
    return _ORDER.sub(lambda found: f"{found[0]} ", clean(text).replace("\n", " ").replace("\t", " "))


def _cut(line: Line, columns: int, redact: Callable[[str], str]) -> Line:
    """The pieces of `line` that fit, the last of them cut."""
    fitting: list[Piece] = []
    left = columns
    for piece in line:
        text = _on_one_line(redact(_text(piece)))
        kept = cut_to(text, left)
        fitting.append(Styled(kept, piece.style) if isinstance(piece, Styled) else kept)
        left -= width_of(kept)
        if kept != text or left <= 0:
            break
    return fitting

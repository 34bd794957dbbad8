"""One report at hand, and what every reader needs of it: its beginning, its JSON, its XML, its numbers and dates."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, Generic, TypeVar
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from quub_audit.errors import Malformed

T = TypeVar("T")

HEAD_BYTES = 64 * 1024
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
"""Of a document that is read as a whole; formats that grow without end are read as streams."""

MAX_DEPTH = 200
"""Elements of XML inside one another."""

_BLOCK_BYTES = 1 << 20
_ROOT = re.compile(
    r"(?>\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>)*+<(?:[\w.-]+:)?([\w.-]+)[\s/>]", re.DOTALL
)
_DIGITS = re.compile(r"[0-9]{9,16}(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One report, unpacked."""

    name: str
    """As messages name it."""
    open: Callable[[], BinaryIO]
    """A new stream from the beginning, each time."""
    head: bytes
    """The first `HEAD_BYTES`, for recognising it."""

    @property
    def beginning(self) -> str:
        """The head as text, without a byte order mark and white space in front."""
        return self.head.decode("utf-8-sig", "replace").lstrip()

    @property
    def xml_root(self) -> str:
        """The name of the root element without its namespace, by the head alone; empty for what is no XML."""
        found = _ROOT.match(self.beginning)
        return found[1] if found else ""

    def content(self, at_most: int = MAX_DOCUMENT_BYTES) -> bytes:
        """All of it. Raises Malformed when it is longer than `at_most` bytes."""
        with self.open() as stream:
            content = stream.read(at_most + 1)
        if len(content) > at_most:
            raise self.malformed(f"it is larger than {at_most // 2**20} MiB")
        return content

    def text(self) -> str:
        """All of it as UTF-8 (or UTF-16 with its mark). Raises Malformed for other bytes."""
        content = self.content()
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            raise self.malformed(f"it is not UTF-8 at byte {error.start}") from error

    def json(self) -> Any:
        """The JSON document. Raises Malformed for what is none, for NaN, and for nesting without end."""
        try:
            return json.loads(self.text(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else f"it is no JSON: {error}"
            raise self.malformed(reason) from error

    def json_lines(self) -> Iterator[Any]:
        """The values of a file of JSON documents, one a line, as a stream. Raises Malformed naming the line."""
        with self.open() as stream:
            for number, line in enumerate(lines_of(stream, self), start=1):
                if not line.strip():
                    continue
                try:
                    yield json.loads(line, parse_constant=_refuse_constant)
                except (ValueError, RecursionError) as error:
                    raise self.malformed(f"line {number} is no JSON: {error}") from error

    def xml(self) -> Element:
        """The root of the XML document.

        Raises Malformed for what is none, for entities (a document type without any may stand there, as coverage tools
        write one), for nesting without end, and for control characters.
        """
        with self._readable_xml():
            parser = _BoundedParser(target=None, forbid_dtd=False, forbid_entities=True, forbid_external=True)
            with self.open() as stream:
                left = MAX_DOCUMENT_BYTES
                while block := stream.read(_BLOCK_BYTES):
                    left -= len(block)
                    if left < 0:
                        raise self.malformed(f"it is larger than {MAX_DOCUMENT_BYTES // 2**20} MiB")
                    parser.feed(block)
            root: Element = parser.close()
            return root

    def malformed(self, why: str, next_step: str = "") -> Malformed:
        """The error that says why this report cannot be read."""
        return Malformed(f"{self.name}: {why}", next_step=next_step or "have the pipeline write it anew")

    @contextmanager
    def _readable_xml(self) -> Iterator[None]:
        try:
            yield
        except ParseError as error:
            line, column = error.position
            why = str(error).partition(":")[0]
            raise self.malformed(f"it is no XML at line {line}, column {column + 1}: {why}") from error
        except DefusedXmlException as error:
            raise self.malformed("it declares entities, which no report needs") from error
        except (ValueError, LookupError) as error:
            raise self.malformed(f"it is no XML: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Format(Generic[T]):
    """One format of a kind of report."""

    name: str
    """As its owner calls it: `Cobertura XML`."""
    recognises: Callable[[Source], bool]
    """By the head alone; a truncated or hostile one never raises."""
    read: Callable[[Source], T]
    """Raises Malformed."""


def read_as(source: Source, formats: Sequence[Format[T]], what: str) -> T:
    """What the first format that knows the report reads in it. Raises Malformed when none does, naming those tried."""
    for form in formats:
        if form.recognises(source):
            return form.read(source)
    if not source.head.strip():
        raise source.malformed("it is empty")
    names = ", ".join(form.name for form in formats)
    raise source.malformed(f"it is in no known format of {what}", next_step=f"write one of {names}")


class _BoundedParser(DefusedXMLParser):
    """Refuses elements inside one another without end, which would end the interpreter's stack later."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._depth = 0
        start: Any = self.parser.StartElementHandler
        end: Any = self.parser.EndElementHandler

        def started(*arguments: Any) -> None:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise ValueError(f"more than {MAX_DEPTH} elements inside one another")
            start(*arguments)

        def ended(*arguments: Any) -> None:
            self._depth -= 1
            end(*arguments)

        self.parser.StartElementHandler = started
        self.parser.EndElementHandler = ended


MAX_LINE_BYTES = 16 * 1024 * 1024


def lines_of(stream: BinaryIO, source: Source) -> Iterator[bytes]:
    """Lines without their ends, in bounded memory. Raises Malformed for one of more than `MAX_LINE_BYTES`."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise source.malformed(f"it has a line of more than {MAX_LINE_BYTES // 2**20} MiB")
        yield line.rstrip(b"\r\n")


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


def local_name(element: Element) -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def mapping(value: object, source: Source, what: str) -> Mapping[str, Any]:
    """A mapping of JSON. Raises Malformed naming `what` it should have been."""
    if not isinstance(value, Mapping):
        raise source.malformed(f"{what} is {type(value).__name__}, expected a mapping")
    return value


def list_in(holder: Mapping[str, Any], key: str, source: Source) -> list[Any]:
    """The list under a key of a mapping of JSON; an empty one where there is none. Raises Malformed."""
    found = holder.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise source.malformed(f"{key} is {type(found).__name__}, expected a list")
    return found


def text_of(value: object) -> str:
    """A text of JSON, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def number(value: object, source: Source, what: str) -> float:
    """A finite number, also out of a string. Raises Malformed naming `what` it should have been."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        found = float(value)
    except ValueError:
        raise source.malformed(f"{what} is {str(value)[:40]!r}, expected a number") from None
    if not math.isfinite(found):
        raise source.malformed(f"{what} is {found}, expected a number")
    return found


def count(value: object, source: Source, what: str) -> int:
    """A whole number from 0 on, also out of a string. Raises Malformed naming `what` it should have been."""
    found = number(value, source, what)
    if found < 0 or found != int(found):
        raise source.malformed(f"{what} is {found:g}, expected a count")
    return int(found)


def moment(value: object) -> datetime | None:
    """A date of any usual kind, in UTC: ISO 8601, RFC 5322, seconds or milliseconds since 1970; None for another.

    A date without a zone is taken as UTC, which is what build machines keep.
    """
    if isinstance(value, bool) or value is None:
        return None
    text = str(value).strip()
    if isinstance(value, int | float) or _DIGITS.fullmatch(text):
        seconds = float(text)
        try:
            return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC) if seconds > 1e8 else None
        except (ValueError, OverflowError, OSError):
            return None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = parse(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        try:
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            return None
    return None

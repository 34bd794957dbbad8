"""Reports in memory, as the readers get them."""

from __future__ import annotations

import io
from pathlib import Path

from quub_audit.parsers.source import HEAD_BYTES, Source

DATA = Path(__file__).parent / "data"
"""Small outputs of real tools; README.md beside them says which version wrote each, and how."""


def source(content: str | bytes, name: str = "report") -> Source:
    """A report with this content."""
    data = content.encode() if isinstance(content, str) else content
    return Source(name=name, open=lambda: io.BytesIO(data), head=data[:HEAD_BYTES])


def recorded(name: str) -> Source:
    """One of the kept outputs of real tools."""
    return source((DATA / name).read_bytes(), name)

"""How rows of PostgreSQL's catalogue are read by more than one item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quub_audit.sdk import Finding

Row = Mapping[str, Any]
"""One row of an answer of `Postgres.rows`, by column name."""


def rows_of(table: Row) -> int | None:
    """About how many rows: the larger of both estimates; None where nobody has counted and the table is not empty."""
    analysed, counted = table["analysed_rows"], table["counted_rows"]
    if analysed >= 0 or counted > 0:
        return int(max(analysed, counted))
    return 0 if table["bytes"] == 0 else None


def stats_age_h(statistics: Sequence[Row]) -> float | None:
    """Hours since the counters of the database began; None where it has none."""
    if not statistics or statistics[0]["since"] is None:
        return None
    return float((statistics[0]["now"] - statistics[0]["since"]).total_seconds() / 3600)


def left_out(database: str, exclude: Mapping[str, str]) -> Finding | None:
    """What is said of a database that `exclude` names, with its reason; None for one that is judged."""
    if database not in exclude:
        return None
    return Finding.warning(
        subject=database, observed=f"left out of the audit: {exclude[database] or 'no reason given'}"
    )

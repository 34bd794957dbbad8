"""Rows of a large JTL by PyArrow, counted where they are equal; needs the extra `load`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from quub_audit.parsers.load.jmeter import READ, TRANSACTION, URL_OF_HOST, Block, Table

BLOCK_BYTES = 8 << 20
KEY = ("slice", "elapsed", "success", "responseCode", "URL")


def blocks(stream: BinaryIO, table: Table) -> Iterator[Block]:
    """The rows of the file. Raises ValueError (as pyarrow.ArrowInvalid is) for rows that do not fit."""
    there = [name for name in READ if name in table.columns]
    numbers = ("timeStamp", "elapsed")
    reader = pa_csv.open_csv(
        stream,
        read_options=pa_csv.ReadOptions(
            block_size=BLOCK_BYTES,
            use_threads=False,
            column_names=list(table.columns),
            skip_rows=int(table.has_header),
        ),
        parse_options=pa_csv.ParseOptions(delimiter=table.delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            include_columns=there,
            column_types={name: pa.int64() if name in numbers else pa.string() for name in there},
            strings_can_be_null=False,
            null_values=[],
        ),
    )
    with reader:
        for batch in reader:
            rows = pa.Table.from_batches([batch])
            if "responseMessage" in there:
                rows = rows.filter(pc.invert(pc.starts_with(rows["responseMessage"], pattern=TRANSACTION)))
            if rows.num_rows:
                yield _block(rows, there)


def _block(rows: pa.Table, there: Sequence[str]) -> Block:
    times = rows["timeStamp"]
    seconds = pc.divide(times, 1000)
    rows = rows.append_column("slice", pc.multiply(pc.divide(times, 10_000), 10))
    if "URL" in there:
        hosts = pc.replace_substring_regex(rows["URL"], URL_OF_HOST.pattern, r"\1")
        rows = rows.set_column(rows.schema.get_field_index("URL"), "URL", hosts)
    key = [name for name in KEY if name in rows.column_names]
    counted = rows.group_by(key, use_threads=False).aggregate([([], "count_all")])
    empty = [""] * counted.num_rows
    columns = [counted[name].to_pylist() if name in key else empty for name in KEY]
    return Block(
        seconds=set(pc.unique(seconds).to_pylist()),
        first_ms=pc.min(times).as_py(),
        last_ms=pc.max(pc.add(times, rows["elapsed"])).as_py(),
        counts=dict(zip(zip(*columns, strict=True), counted["count_all"].to_pylist(), strict=True)),
    )

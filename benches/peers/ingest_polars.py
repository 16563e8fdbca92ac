"""Ingestion with polars' streaming engine: usage ingest_polars.py OUTPUT INPUT...; CSV, Parquet or JSON
Lines.

Trims cells, turns what is no number into a missing value, keeps the first of equal rows. It is
spared what ingestion does besides: quarantine, counts, digests, durability, a record.
"""

import sys

import polars as pl

NUMBERS = ["lastmonth_activity", "lastyear_activity", "number_of_employees", "exited"]
TEXTS = ["corporation"]


def main(output: str, inputs: list[str]) -> None:
    columns = {name: pl.String for name in TEXTS + NUMBERS}
    if inputs[0].endswith(".parquet"):
        rows = pl.scan_parquet(inputs)
    elif inputs[0].endswith(".jsonl"):
        rows = pl.scan_ndjson(inputs, schema=columns)
    else:
        rows = pl.scan_csv(inputs, schema=columns)
    rows = rows.with_columns(
        [pl.col(name).str.strip_chars() for name in TEXTS]
        + [pl.col(name).str.strip_chars().cast(pl.Int64, strict=False) for name in NUMBERS]
    )
    rows.unique(keep="first", maintain_order=True).sink_csv(output)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

"""Ingestion with DuckDB: usage ingest_duckdb.py OUTPUT INPUT...; CSV, Parquet or JSON Lines.

Trims ids, casts what is a number, keeps one of equal rows, in any order: keeping the first in file
order costs it more. It is spared what ingestion does besides: quarantine, counts, digests,
durability, a record.
"""

import sys

import duckdb

NUMBERS = ["lastmonth_activity", "lastyear_activity", "number_of_employees", "exited"]
TEXTS = ["corporation"]


def main(output: str, inputs: list[str]) -> None:
    types = {name: "VARCHAR" for name in TEXTS + NUMBERS}
    cells = [f"trim({name}) AS {name}" for name in TEXTS]
    cells += [f"try_cast({name} AS BIGINT) AS {name}" for name in NUMBERS]
    source = f"read_csv({inputs!r}, header=true, auto_detect=false, quote='\"', columns={types!r})"
    if inputs[0].endswith(".parquet"):
        source = f"read_parquet({inputs!r})"
    elif inputs[0].endswith(".jsonl"):
        source = f"read_json({inputs!r}, format='newline_delimited', columns={types!r})"
    query = f"SELECT DISTINCT {', '.join(cells)} FROM {source}"
    duckdb.connect().execute(f"COPY ({query}) TO '{output}' (HEADER)")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

"""Comparison of two files with DuckDB: usage compare_duckdb.py OUTPUT LEFT RIGHT.

An outer join on all columns, where missing equals missing, with a column that says where a row is. It
is spared what `diagnostics compare` does besides: spelling, order of the files, counts, examples.
"""

import sys

import duckdb

NUMBERS = ["lastmonth_activity", "lastyear_activity", "number_of_employees", "exited"]
COLUMNS = ["corporation", *NUMBERS]


def rows(path: str, mark: str) -> str:
    types = {"corporation": "VARCHAR", **dict.fromkeys(NUMBERS, "BIGINT")}
    return (
        f"(SELECT *, true AS {mark} FROM "
        f"read_csv('{path}', header=true, auto_detect=false, columns={types!r}))"
    )


def main(output: str, left: str, right: str) -> None:
    same = " AND ".join(f"l.{name} IS NOT DISTINCT FROM r.{name}" for name in COLUMNS)
    cells = ", ".join(f"coalesce(l.{name}, r.{name}) AS {name}" for name in COLUMNS)
    where = "CASE WHEN in_left IS NULL THEN 'right_only' WHEN in_right IS NULL THEN 'left_only' ELSE 'both' END"
    query = (
        f"SELECT {cells}, {where} AS _merge "
        f"FROM {rows(left, 'in_left')} l FULL JOIN {rows(right, 'in_right')} r ON {same}"
    )
    duckdb.connect().execute(f"COPY ({query}) TO '{output}' (HEADER)")


if __name__ == "__main__":
    main(*sys.argv[1:])

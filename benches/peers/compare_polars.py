"""Comparison of two files with polars: usage compare_polars.py OUTPUT LEFT RIGHT.

An outer join on all columns, where missing equals missing, with a column that says where a row is. It
is spared what `diagnostics compare` does besides: spelling, order of the files, counts, examples.
"""

import sys

import polars as pl

NUMBERS = ["lastmonth_activity", "lastyear_activity", "number_of_employees", "exited"]
COLUMNS = ["corporation", *NUMBERS]


def rows(path: str, mark: str) -> pl.LazyFrame:
    types = {"corporation": pl.String, **dict.fromkeys(NUMBERS, pl.Int64)}
    return pl.scan_csv(path, schema=types).with_columns(pl.lit(True).alias(mark))


def main(output: str, left: str, right: str) -> None:
    joined = rows(left, "in_left").join(
        rows(right, "in_right"), on=COLUMNS, how="full", coalesce=True, nulls_equal=True
    )
    where = (
        pl.when(pl.col("in_left").is_null())
        .then(pl.lit("right_only"))
        .when(pl.col("in_right").is_null())
        .then(pl.lit("left_only"))
        .otherwise(pl.lit("both"))
    )
    joined.with_columns(where.alias("_merge")).drop("in_left", "in_right").sink_csv(output)


if __name__ == "__main__":
    main(*sys.argv[1:])

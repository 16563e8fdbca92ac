"""Statistics of columns with polars: usage diagnose_polars.py auto|streaming DATA.

Mean, median, mode, standard deviation and share of missing cells of every numeric column. It is
spared the predictions, quartiles, extremes and distinct values that diagnostics has besides.
"""

import sys

import polars as pl

NUMBERS = ["lastmonth_activity", "lastyear_activity", "number_of_employees", "exited"]


def main(engine: str, path: str) -> None:
    schema = {"corporation": pl.String, **dict.fromkeys(NUMBERS, pl.Int64)}
    figures = []
    for name in NUMBERS:
        column = pl.col(name)
        figures += [
            column.mean().alias(f"{name} mean"),
            column.median().alias(f"{name} median"),
            column.drop_nulls().mode().min().alias(f"{name} mode"),
            column.std().alias(f"{name} std"),
            (column.is_null().mean() * 100).alias(f"{name} missing %"),
        ]
    print(pl.scan_csv(path, schema=schema).select(figures).collect(engine=engine).to_dicts())


if __name__ == "__main__":
    main(*sys.argv[1:])

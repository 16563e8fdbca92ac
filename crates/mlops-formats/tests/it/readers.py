"""Reads a data set as Parquet with the readers that are installed, and compares each cell with its text in CSV.

Arguments: the Parquet file, its rows as CSV, and the columns that must be of each type, as JSON.
Prints the names of the readers that are not installed; ends with an error where a cell is another one.
"""

import csv
import json
import sys

table, text, types = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with open(text, newline="", encoding="utf-8") as file:
    names, *rows = csv.reader(file)

KINDS = {"double": float, "integer": int, "text": str}
expected = {
    name: [KINDS[types[name]](row[at]) if row[at] else None for row in rows] for at, name in enumerate(names)
}


def same(reader, columns):
    assert list(columns) == names, (reader, list(columns))
    for name, found in columns.items():
        assert len(found) == len(rows), (reader, name, len(found))
        for at, (one, other) in enumerate(zip(found, expected[name])):
            if one is not None and one != one:
                one = None  # pandas has NaN for a missing number
            kind = type(other)
            assert (one is None) == (other is None) and (one is None or kind(one) == other), (
                reader, name, at, one, other)


def by_pandas():
    import pandas

    frame = pandas.read_parquet(table)
    kinds = {"double": "float64", "integer": "int64"}
    for name, kind in types.items():
        wanted = kinds.get(kind)
        # A missing integer makes doubles of all of them, as pandas always does.
        if wanted and not (kind == "integer" and frame[name].isna().any()):
            assert str(frame[name].dtype) == wanted, (name, frame[name].dtype)
    return {name: [None if pandas.isna(cell) else cell for cell in frame[name]] for name in frame.columns}


def by_pyarrow():
    import pyarrow.parquet

    found = pyarrow.parquet.read_table(table)
    kinds = {"double": "double", "integer": "int64", "text": "string"}
    for name, kind in types.items():
        assert str(found.schema.field(name).type) == kinds[kind], (name, found.schema.field(name))
    group = pyarrow.parquet.ParquetFile(table).metadata.row_group(0)
    assert all(group.column(at).is_stats_set for at in range(group.num_columns)), "statistics"
    assert any(group.column(at).has_dictionary_page for at in range(group.num_columns)), "dictionaries"
    return {name: found.column(name).to_pylist() for name in found.column_names}


def by_polars():
    import polars

    frame = polars.read_parquet(table)
    kinds = {"double": polars.Float64, "integer": polars.Int64, "text": polars.String}
    assert all(frame.schema[name] == kinds[kind] for name, kind in types.items()), frame.schema
    # Not only the values: the statistics let rows be skipped.
    some = next(name for name, kind in types.items() if kind == "text")
    value = next(cell for cell in expected[some] if cell is not None)
    rows_of = polars.scan_parquet(table).filter(polars.col(some) == value).collect().height
    assert rows_of == expected[some].count(value), (some, value, rows_of)
    return {name: frame[name].to_list() for name in frame.columns}


def by_duckdb():
    import duckdb

    found = duckdb.sql(f"SELECT * FROM read_parquet('{table}')")
    kinds = {"double": "DOUBLE", "integer": "BIGINT", "text": "VARCHAR"}
    for name, kind in zip(found.columns, found.types):
        assert str(kind) == kinds[types[name]], (name, kind)
    names_of, all_rows = found.columns, found.fetchall()
    return {name: [row[at] for row in all_rows] for at, name in enumerate(names_of)}


for reader in [by_pandas, by_pyarrow, by_polars, by_duckdb]:
    try:
        found = reader()
    except ImportError as error:
        print(f"{reader.__name__.removeprefix('by_')} ({str(error).splitlines()[0]})")
        continue
    same(reader.__name__, found)

"""Writes one table with pyarrow and polars as every kind of Arrow file that they make.

Run in this folder with pyarrow 26 and polars 2; the files beside it are what it wrote. What they must be
read as stands in `it/arrow.rs`.
"""

import datetime as dt
import decimal
import uuid

import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc

UTC = dt.timezone.utc
long_text = "a text of more than twelve bytes, with \"quotes\""
stamp = dt.datetime(2024, 3, 31, 0, 0, 0, 1)


def column(values, kind):
    return pa.array(values, type=kind)


def part(first):
    """Three rows; the second has nothing where it may."""
    pick = lambda one, three: [one, None, three] if first else [three, None, one]
    return {
        "client": column(["a", "b", "c"] if first else ["d", "e", "f"], pa.large_string()),
        "ignored": column([1, 2, 3], pa.int64()),
        "day": column(pick(dt.date(2024, 3, 31), dt.date(1969, 12, 31)), pa.date32()),
        "day64": column(pick(dt.date(2024, 3, 31), dt.date(1969, 12, 31)), pa.date64()),
        "large": column(pick(2**64 - 1, 0), pa.uint64()),
        "tiny": column(pick(-128, 127), pa.int8()),
        "exact": column(
            pick(decimal.Decimal("-12345678901.234"), decimal.Decimal("0.005")), pa.decimal128(20, 3)
        ),
        "exacter": column(
            pick(decimal.Decimal("-0.01"), decimal.Decimal(10**35)), pa.decimal256(50, 2)
        ),
        "half": column(pick(0.5, -2.0), pa.float16()),
        "single": column(pick(0.1, float("nan")), pa.float32()),
        "deep": pa.StructArray.from_arrays(
            [column([0.1 + 0.2, 7.0, 1e300], pa.float64()), column([[1], [], [2, 3]], pa.list_(pa.int8()))],
            ["rate", "list"],
            mask=pa.array([False, True, False]),
        ),
        "list": column([[1, 2], None, []], pa.list_(pa.int32())),
        "stamp": column(pick(stamp.replace(tzinfo=UTC), dt.datetime(1970, 1, 1, tzinfo=UTC)),
                        pa.timestamp("us", "UTC")),
        "local": column(pick(dt.datetime(2024, 3, 31, 1, 2, 3), dt.datetime(1970, 1, 1)),
                        pa.timestamp("s")),
        "clock": column(pick(dt.time(1, 2, 3), dt.time(0)), pa.time32("s")),
        "kind": pa.DictionaryArray.from_arrays(
            column([1, None, 0] if first else [2, 0, 1], pa.int8()),
            column(["x", long_text] if first else ["x", long_text, "third"], pa.string()),
        ),
        "view": column(pick(long_text, "short"), pa.string_view()),
        "bytes": column(pick(b"one,two", b""), pa.binary()),
        "nothing": pa.nulls(3),
        "key": pa.ExtensionArray.from_storage(
            pa.uuid(), column(pick(uuid.UUID(int=2**127 + 5).bytes, uuid.UUID(int=1).bytes), pa.binary(16))
        ),
        "left": column([True, False, True], pa.bool_()),
    }


batches = [pa.record_batch(part(first)) for first in (True, False)]
schema = batches[1].schema


def write(name, make, batches=batches, **options):
    with make(name, schema, options=ipc.IpcWriteOptions(**options)) as out:
        for batch in batches:
            out.write_batch(batch)


write("plain.arrows", ipc.new_stream, emit_dictionary_deltas=True)
write("replaced.arrows", ipc.new_stream)
write("lz4.arrows", ipc.new_stream, compression="lz4")
write("zstd.arrows", ipc.new_stream, compression="zstd")
# A file has one dictionary for a column.
whole = pa.Table.from_batches(batches).unify_dictionaries()
sliced = pa.concat_tables([whole.slice(0, 2), whole.slice(2, 4)])
for name, packing in (("plain", None), ("lz4", "lz4"), ("zstd", "zstd")):
    write(f"{name}.arrow", ipc.new_file, sliced.to_batches(), compression=packing)

# polars knows fewer types.
frame = pl.from_arrow(whole.drop_columns(["exacter", "half", "day64", "nothing", "key", "local", "clock"]))
frame = frame.with_columns(pl.col("kind").cast(pl.Categorical))
frame.write_ipc("polars.arrow", compression="uncompressed")
frame.write_ipc("polars-zstd.arrow", compression="zstd")

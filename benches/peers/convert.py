# convert.py IN.csv OUT.(parquet|jsonl): the same rows with the same texts, in another format.
import sys

import polars as pl

source, target = sys.argv[1:3]
# Every cell as it is spelt; a missing one is null.
frame = pl.scan_csv(source, infer_schema=False)
if target.endswith(".parquet"):
    frame.sink_parquet(target, compression="snappy")
else:
    frame.sink_ndjson(target)

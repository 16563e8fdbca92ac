#!/bin/sh
# Ingestion of the same messy rows in other formats than plain CSV, beside peers that do the same work:
# whole processes in turn, medians of wall and processor time in seconds and of memory in MiB.
#
#   benches/formats.sh [FORMAT...]   formats: csv gz zst parquet jsonl
#
# ROWS    rows of generated data (10000000)
# RUNS    rounds; in each, every contestant runs once, so that all meet the same noise (3)
# PYTHON  an interpreter with polars, duckdb and pyarrow, which also write the files
# WORKDIR where data and results go (target/bench)
#
# Packed files are measured beside their decompressor alone. Not for tests: see `mlops-formats/tests`.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
ROWS=${ROWS:-10000000}
RUNS=${RUNS:-3}
PYTHON=${PYTHON:-python3}
WORKDIR=${WORKDIR:-$root/target/bench}
bins=$root/target/release
place=$WORKDIR/formats
results=$place/results
time=$(command -v time || echo /usr/bin/time)
mkdir -p "$place"
: >"$results"

# One measured run of contestant $2 with format $1 and the command behind it.
contest() {
    format=$1 name=$2; shift 2
    rm -rf "$place/out" "$place/peer.csv"
    if ! "$time" -f '%e %U %S %M' -o "$place/time" "$@" >"$place/log" 2>&1; then
        echo "$format, $name failed:" >&2; cat "$place/log" >&2; exit 1
    fi
    awk -v format="$format" -v name="$name" 'END { print format, name, $1, $2 + $3, $4 / 1024 }' \
        "$place/time" >>"$results"
}

if [ ! -d "$WORKDIR/rows" ]; then
    "$root/target/release/examples/generate" large "$WORKDIR/rows.part" "$ROWS" --seed 42
    mv "$WORKDIR/rows.part" "$WORKDIR/rows"
fi

for format in ${*:-csv gz zst parquet jsonl}; do
    folder=$place/$format
    if [ ! -d "$folder" ]; then
        rm -rf "$folder.part"; mkdir -p "$folder.part"
        for file in "$WORKDIR"/rows/*.csv; do
            to=$folder.part/$(basename "$file" .csv)
            case $format in
                csv) ln "$file" "$to.csv" ;;
                gz) gzip -6 -c "$file" >"$to.csv.gz" ;;
                zst) zstd -q -3 -c "$file" >"$to.csv.zst" ;;
                *) "$PYTHON" "$root/benches/peers/convert.py" "$file" "$to.$format" ;;
            esac
        done
        mv "$folder.part" "$folder"
    fi
    cat >"$place/config.json" <<END
{"input_folder_path": "$format", "output_folder_path": "out", "test_data_path": "test",
 "output_model_path": "model", "prod_deployment_path": "live"}
END
    round=0
    while [ "$round" -lt "$RUNS" ]; do
        round=$((round + 1))
        contest "$format" ours "$bins/ingestion" --quiet --config "$place/config.json"
        case $format in
            gz) contest gz gzip sh -c "gzip -dc '$folder'/*.gz >/dev/null" ;;
            zst) contest zst zstd sh -c "zstd -qdc '$folder'/*.zst >/dev/null" ;;
            *)
                for peer in polars duckdb; do
                    contest "$format" $peer "$PYTHON" "$root/benches/peers/ingest_$peer.py" \
                        "$place/peer.csv" "$folder"/*."$format"
                done ;;
        esac
    done
done

sort "$results" | awk '
    function flush() {
        if (!n) return
        asort_(wall); asort_(cpu); asort_(mib); m = int((n + 1) / 2)
        printf "%-8s %-8s %8.2f s %8.2f s cpu %8.0f MiB\n", format, name, wall[m], cpu[m], mib[m]
    }
    function asort_(a,  i, j, t) {
        for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
            t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
        }
    }
    $1 != format || $2 != name { flush(); format = $1; name = $2; n = 0 }
    { n++; wall[n] = $3; cpu[n] = $4; mib[n] = $5 }
    END { flush() }'

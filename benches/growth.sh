#!/bin/sh
# Measures how time and memory grow with the number of rows; prints a table and draws a picture.
#
#   benches/growth.sh
#
# SIZES   numbers of rows ("100000 1000000 10000000 100000000")
# RUNS    runs of each work at each size, of which the median counts (3)
# FRESH   1: measures again what has been measured; else that is skipped, so that sizes may be
#         measured one by one
# WORKDIR where data and figures go (target/growth)
# PICTURE where the pictures go, without .svg and .png (docs/growth)
# BINS    a folder of binaries to measure; without it they are built
#
# Disk: 80 bytes for each row of the largest size (8 GB for a hundred million), in WORKDIR; about 24
# of them are the rows, which the page cache holds if it can. They are gone after each size;
# WORKDIR/growth.tsv stays, with the columns work, rows, wall_s, cpu_s, peak_mib.
# Not for comparing with others: see bench.sh.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
SIZES=${SIZES:-100000 1000000 10000000 100000000}
RUNS=${RUNS:-3}
FRESH=${FRESH:-0}
WORKDIR=${WORKDIR:-$root/target/growth}
PICTURE=${PICTURE:-$root/docs/growth}
bins=${BINS:-$root/target/release}
time=$(command -v time || echo /usr/bin/time)
figures=$WORKDIR/growth.tsv
# All that belongs to one size.
size=$WORKDIR/size
works="ingestion ingestion_64MiB training diagnostics"

# Whether there are figures of the work $1 at $rows.
measured() { grep -q "^$1	$rows	" "$figures"; }

# Whether there is nothing to do for the work $1 at $rows.
done_before() { [ "$FRESH" != 1 ] && measured "$1"; }

# Runs the command behind the name of the work, $RUNS times, `before` before each, and puts the
# medians into the figures in place of older ones.
measure() {
    work=$1; shift
    done_before "$work" && return
    : >"$size/times"
    round=1
    while [ "$round" -le "$RUNS" ]; do
        before
        if ! "$time" -f '%e %U %S %M' -o "$size/time" "$@" >"$size/log" 2>&1; then
            echo "$work of $rows rows failed:" >&2; cat "$size/log" >&2; exit 1
        fi
        tail -n 1 "$size/time" >>"$size/times"
        round=$((round + 1))
    done
    awk -v work="$work" -v rows="$rows" '
        function median(list,    i, j, t) {
            for (i = 2; i <= NR; i++) for (j = i; j > 1 && list[j-1] > list[j]; j--) {
                t = list[j]; list[j] = list[j-1]; list[j-1] = t }
            return NR % 2 ? list[(NR+1)/2] : (list[NR/2] + list[NR/2+1]) / 2
        }
        { wall[NR] = $1 + 0; cpu[NR] = $2 + $3; peak[NR] = $4 / 1024 }
        END { printf "%s\t%s\t%.3f\t%.3f\t%.1f\n", work, rows, median(wall), median(cpu), median(peak) }
        ' "$size/times" >"$size/medians"
    { grep -v "^$work	$rows	" "$figures"; cat "$size/medians"; } >"$figures.part"
    mv "$figures.part" "$figures"
}

# A workspace in $size/$1; $2 is more of the configuration.
workspace() {
    mkdir -p "$size/$1/test"
    head -n 1001 "$size/rows/dataset1.csv" >"$size/$1/test/rows.csv"
    cat >"$size/$1/config.json" <<END_OF_CONFIG
{"input_folder_path": "../rows", "output_folder_path": "out", "test_data_path": "test",
 "output_model_path": "model", "prod_deployment_path": "live"$2}
END_OF_CONFIG
}

# The binary $1 in the workspace $2, not measured.
run() { "$bins/$1" --quiet --config "$size/$2/config.json"; }

# All works at $rows, in an order that leaves little on disk.
works() {
    workspace spilling ', "limits": {"memory_mib": 64}'
    before() { rm -rf "$size/spilling/out"; sync; }
    measure ingestion_64MiB "$bins/ingestion" --quiet --config "$size/spilling/config.json"
    rm -rf "$size/spilling"

    workspace full ', "training": {"missing": "drop"}'
    before() { rm -rf "$size/full/out"; sync; }
    measure ingestion "$bins/ingestion" --quiet --config "$size/full/config.json"
    done_before training && done_before diagnostics && return
    [ -e "$size/full/out" ] || run ingestion full

    before() { :; }
    measure training "$bins/training" --quiet --config "$size/full/config.json"
    done_before diagnostics && return
    for step in training scoring deployment; do run $step full; done
    measure diagnostics "$bins/diagnostics" --quiet --config "$size/full/config.json"
}

mkdir -p "$WORKDIR"
[ -e "$figures" ] || printf 'work\trows\twall_s\tcpu_s\tpeak_mib\n' >"$figures"

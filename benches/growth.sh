#!/bin/sh
# Measures how time and memory grow with the number of rows; prints a table and draws a picture.
#
#   benches/growth.sh
#
# SIZES   numbers of rows ("100000 1000000 10000000 100000000")
# RUNS    runs of each work at each size; their medians count (3)
# FRESH   1: measure again what is in the figures; else it is skipped, so that a long size can be
#         measured by itself (0)
# WORKDIR where data and figures go (target/growth)
# PICTURE where the pictures go, without .svg and .png (docs/growth)
# BINS    a folder of binaries; without it, they are built
#
# Needs 100 bytes of disk in WORKDIR for each row of the largest size, 10 GB for a hundred million: the
# rows, which should fit into the page cache too, are a quarter of it. All is removed after each size but
# the figures, WORKDIR/growth.tsv, with the columns work, rows, wall_s, cpu_s, peak_mib.
# Not for comparing with others: see bench.sh, which has the same works.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
SIZES=${SIZES:-100000 1000000 10000000 100000000}
RUNS=${RUNS:-3}
FRESH=${FRESH:-0}
WORKDIR=${WORKDIR:-$root/target/growth}
PICTURE=${PICTURE:-$root/docs/growth}
bins=${BINS:-$root/target/release}
time=$(command -v time || echo /usr/bin/time)
tab=$(printf '\t')
figures=$WORKDIR/growth.tsv
# Everything of the size that is being measured.
size=$WORKDIR/size

# Whether the work $1 at $rows need not be measured.
known() { [ "$FRESH" != 1 ] && grep -q "^$1$tab$rows$tab" "$figures"; }

# Measures the command behind the name of its work, and calls `before` before each run. The medians
# replace older ones.
measure() {
    work=$1; shift
    known "$work" && return
    : >"$size/times"
    round=1
    while [ "$round" -le "$RUNS" ]; do
        before
        # `time` counts in hundredths of a second, which is too coarse for small sizes.
        start=$(date +%s%N)
        if ! "$time" -f '%U %S %M' -o "$size/time" "$@" >"$size/log" 2>&1; then
            echo "$work of $rows rows failed:" >&2; cat "$size/log" >&2; exit 1
        fi
        end=$(date +%s%N)
        echo "$((end - start)) $(tail -n 1 "$size/time")" >>"$size/times"
        round=$((round + 1))
    done
    awk -v work="$work" -v rows="$rows" '
        function median(list,    i, j, t) {
            for (i = 2; i <= NR; i++) for (j = i; j > 1 && list[j-1] > list[j]; j--) {
                t = list[j]; list[j] = list[j-1]; list[j-1] = t }
            return NR % 2 ? list[(NR+1)/2] : (list[NR/2] + list[NR/2+1]) / 2
        }
        { wall[NR] = $1 / 1e9; cpu[NR] = $2 + $3; peak[NR] = $4 / 1024 }
        END { printf "%s\t%s\t%.3f\t%.2f\t%.1f\n", work, rows, median(wall), median(cpu), median(peak) }
        ' "$size/times" >"$size/medians"
    { grep -v "^$work$tab$rows$tab" "$figures"; cat "$size/medians"; } >"$figures.part"
    mv "$figures.part" "$figures"
}

# A workspace in $size/$1; $2 is more of the configuration.
workspace() {
    mkdir -p "$size/$1/test"
    head -n 1001 "$size/rows/dataset1.csv" >"$size/$1/test/rows.csv"
    config=$size/$1/config.json
    cat >"$config" <<END
{"input_folder_path": "../rows", "output_folder_path": "out", "test_data_path": "test",
 "output_model_path": "model", "prod_deployment_path": "live"$2}
END
}

ingestion_64MiB() {
    workspace spilling ', "limits": {"memory_mib": 64}'
    before() { rm -rf "$size/spilling/out"; sync; }
    measure ingestion_64MiB "$bins/ingestion" --quiet --config "$config"
    rm -rf "$size/spilling"
}

# The others, each on what the one before has left.
ingestion_and_after() {
    workspace full ', "training": {"missing": "drop"}'
    before() { rm -rf "$size/full/out"; sync; }
    measure ingestion "$bins/ingestion" --quiet --config "$config"
    known training && known diagnostics && return
    [ -e "$size/full/out" ] || "$bins/ingestion" --quiet --config "$config"
    before() { :; }
    measure training "$bins/training" --quiet --config "$config"
    known diagnostics && return
    for step in training scoring deployment; do "$bins/$step" --quiet --config "$config"; done
    measure diagnostics "$bins/diagnostics" --quiet --config "$config"
}

# The figures as a table in Markdown.
table() {
    sort -t "$tab" -k2,2n "$figures" | awk -F '\t' '
        function digits(x) { return sprintf(x < 1 ? "%.3f" : x < 10 ? "%.2f" : x < 100 ? "%.1f" : "%.0f", x) }
        function commas(n) {
            while (match(n, /[0-9][0-9][0-9][0-9]($|,)/))
                n = substr(n, 1, RSTART) "," substr(n, RSTART + 1)
            return n
        }
        $2 + 0 {
            lines[$1] = lines[$1] sprintf("| %s | %s | %s | %.0f | %.0f |\n",
                $1, commas($2), digits($3), $3 / $2 * 1e9, $5)
        }
        END {
            print "| work | rows | wall s | ns per row | peak MiB |"
            print "|---|---:|---:|---:|---:|"
            printf "%s", lines["ingestion"] lines["ingestion_64MiB"] lines["training"] lines["diagnostics"]
        }'
}

if [ -z "${BINS:-}" ]; then
    (cd "$root" && cargo build --release --quiet $(for bin in ingestion training scoring deployment \
        diagnostics; do printf ' -p %s' $bin; done) &&
        cargo build --release --quiet -p mlops-core --example generate &&
        cargo build --release --quiet -p mlops-report --example growth)
fi
mkdir -p "$WORKDIR"
[ -e "$figures" ] || printf 'work\trows\twall_s\tcpu_s\tpeak_mib\n' >"$figures"
trap 'rm -rf "$size"' EXIT
trap 'exit 1' HUP INT TERM
for rows in $SIZES; do
    known ingestion && known ingestion_64MiB && known training && known diagnostics && continue
    rm -rf "$size"
    mkdir "$size"
    "$bins/examples/generate" large "$size/rows" "$rows" --seed 42
    ingestion_64MiB
    ingestion_and_after
done
table
"$bins/examples/growth" "$figures" "$PICTURE.svg" "$PICTURE.png"

#!/bin/sh
# Runs the binaries and their peers in turn, whole processes, and prints medians [min..max].
#
#   benches/bench.sh [WORK...]      works: ingestion ingestion_bounded ingestion_incremental
#                                          training training_wide training_bounded
#                                          scoring diagnostics compare compare_bounded first_run
#
# ROWS    rows of generated data (10000000)
# RUNS    rounds; in each, every contestant runs once, so that all meet the same noise (5)
# PYTHON  an interpreter with polars, duckdb, pandas, scikit-learn and matplotlib; without them only our own figures are printed
# WORKDIR where data and results go (target/bench)
#
# A work is a function below: it calls `contest NAME COMMAND` for each contestant, ours first. What
# must be done before a contestant runs, and is not measured, goes into a function `before`.
# Not for tests: what must hold is tested, how long it takes is measured here.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
ROWS=${ROWS:-10000000}
RUNS=${RUNS:-5}
PYTHON=${PYTHON:-python3}
WORKDIR=${WORKDIR:-$root/target/bench}
bins=$root/target/release
time=$(command -v time || echo /usr/bin/time)

has_module() { "$PYTHON" -c "import $1" 2>/dev/null; }

# One measured run of contestant $1 with the command behind it.
contest() {
    name=$1; shift
    before
    if ! "$time" -f '%e %U %S %M' -o "$WORKDIR/time" "$@" >"$WORKDIR/log" 2>&1; then
        echo "$work, $name failed:" >&2; cat "$WORKDIR/log" >&2; exit 1
    fi
    awk -v work="$work" -v name="$name" -v round="$round" \
        'END { print work, name, round, $1, $2 + $3, $4 / 1024 }' "$WORKDIR/time" >>"$results"
}

# A workspace in $WORKDIR/$1 whose input is the folder $2; $3 is more of the configuration.
workspace() {
    mkdir -p "$WORKDIR/$1"
    cat >"$WORKDIR/$1/config.json" <<END
{"input_folder_path": "$2", "output_folder_path": "out", "test_data_path": "test",
 "output_model_path": "model", "prod_deployment_path": "live"$3}
END
}

# Rows in $WORKDIR/$1: $2 of them, seed $3; $4 and on are more of the generator's options.
generated() {
    folder=$1; rows=$2; seed=$3; shift 3
    [ -d "$WORKDIR/$folder" ] ||
        "$bins/examples/generate" large "$WORKDIR/$folder.part" "$rows" --seed "$seed" "$@"
    set -- "$folder"
    [ -d "$WORKDIR/$1" ] || mv "$WORKDIR/$1.part" "$WORKDIR/$1"
}

ingest() { "$bins/ingestion" --quiet --config "$WORKDIR/$1/config.json"; }

# Messy rows in four files to one canonical file without duplicates.
ingestion() {
    generated rows "$ROWS" 42
    workspace full ../rows ''
    before() { rm -rf "$WORKDIR/full/out" "$WORKDIR/peer.csv"; sync; }
    contest ours "$bins/ingestion" --quiet --config "$WORKDIR/full/config.json"
    for peer in polars duckdb; do
        has_module $peer || continue
        contest $peer "$PYTHON" "$root/benches/peers/ingest_$peer.py" "$WORKDIR/peer.csv" \
            "$WORKDIR"/rows/*.csv
    done
}

# The same within two limits of memory; `ours` is without one.
ingestion_bounded() {
    generated rows "$ROWS" 42
    before() { rm -rf "$WORKDIR"/full*/out; sync; }
    for mib in "" 64 32; do
        name=${mib:+ours_${mib}MiB}
        limits=
        [ -z "$mib" ] || limits=", \"limits\": {\"memory_mib\": $mib}"
        workspace "full$mib" ../rows "$limits"
        contest "${name:-ours}" "$bins/ingestion" --quiet --config "$WORKDIR/full$mib/config.json"
    done
}

# A hundredth of new rows onto those that are there, beside the whole and a plain copy.
ingestion_incremental() {
    generated rows "$ROWS" 42
    # In four files, of which one is taken.
    generated more $((ROWS / 25)) 43
    workspace full ../rows ''
    workspace grown in ''
    before() { rm -rf "$WORKDIR/full/out"; sync; }
    contest full "$bins/ingestion" --quiet --config "$WORKDIR/full/config.json"
    before() {
        rm -rf "$WORKDIR/grown/in" "$WORKDIR/grown/out"
        # As old as they are: files that have just changed are hashed again.
        cp -rp "$WORKDIR/rows" "$WORKDIR/grown/in"
        "$bins/ingestion" --quiet --config "$WORKDIR/grown/config.json"
        cp "$WORKDIR/more/dataset1.csv" "$WORKDIR/grown/in/more.csv"
        sync
    }
    contest ours "$bins/ingestion" --quiet --config "$WORKDIR/grown/config.json"
    before() { rm -f "$WORKDIR/copy.csv"; sync; }
    contest copy cp --reflink=never "$WORKDIR/full/out/finaldata4.csv" "$WORKDIR/copy.csv"
}

# A workspace as above, with its data ingested.
ingested() {
    workspace "$@"
    ingest "$1"
    data=$WORKDIR/$1/out/finaldata4.csv
}

# Training in the workspace $1, beside scikit-learn on its data.
trained() {
    contest ours "$bins/training" --quiet --config "$WORKDIR/$1/config.json"
    has_module sklearn || return 0
    contest lbfgs+pandas "$PYTHON" "$root/benches/peers/train_sklearn.py" pandas lbfgs "$data"
    contest lbfgs+polars "$PYTHON" "$root/benches/peers/train_sklearn.py" polars lbfgs "$data"
    contest newton+polars "$PYTHON" "$root/benches/peers/train_sklearn.py" polars newton-cholesky "$data"
}

# The data set to a model. Of the generated rows a tenth repeats others.
training() {
    generated rows "$ROWS" 42
    ingested narrow ../rows ', "training": {"missing": "drop"}'
    before() { :; }
    trained narrow
}

# The configuration of thirty features.
wide() {
    names=$(seq -s, -f '"x%g"' 1 27)
    printf ', "training": {"missing": "drop"}, "schema": {"id": ["corporation"], "numeric": ["lastmonth_activity", "lastyear_activity", "number_of_employees", %s], "target": "exited", "positive_label": "1"}' "$names"
}

# The same of a tenth of the rows and thirty features.
training_wide() {
    generated columns $((ROWS / 10)) 43 --extra-columns 27
    ingested wide ../columns "$(wide)"
    before() { :; }
    trained wide
}

# The same within the least memory there may be.
training_bounded() {
    generated columns $((ROWS / 10)) 43 --extra-columns 27
    ingested wide ../columns "$(wide)"
    ingested wide32 ../columns "$(wide), \"limits\": {\"memory_mib\": 32}"
    before() { :; }
    contest ours "$bins/training" --quiet --config "$WORKDIR/wide/config.json"
    contest ours_32MiB "$bins/training" --quiet --config "$WORKDIR/wide32/config.json"
    cmp "$WORKDIR/wide/model/trainedmodel.bin" "$WORKDIR/wide32/model/trainedmodel.bin"
}

# A model, once, in the workspace `scored`, whose test data has as many rows as its data; it is
# trained on fewer, since only the scoring is measured.
scored_workspace() {
    generated few $((ROWS / 100)) 44
    generated tests "$ROWS" 45 --files 1 --messy 0
    mkdir -p "$WORKDIR/scored"
    [ -e "$WORKDIR/scored/test" ] || ln -s ../tests "$WORKDIR/scored/test"
    workspace scored ../few ''
    ingest scored
    [ -e "$WORKDIR/scored/model/trainedmodel.bin" ] ||
        "$bins/training" --quiet --config "$WORKDIR/scored/config.json"
}

# The model on the test data: all figures, with intervals.
scoring() {
    scored_workspace
    before() { :; }
    contest ours "$bins/scoring" --quiet --config "$WORKDIR/scored/config.json"
    has_module sklearn || return 0
    for reader in pandas polars; do
        contest sklearn+$reader "$PYTHON" "$root/benches/peers/score_sklearn.py" $reader \
            "$WORKDIR/scored/model/model.json" "$WORKDIR/tests/dataset1.csv"
    done
}

# Statistics of all columns, and predictions.
diagnostics() {
    generated rows "$ROWS" 42
    ingested looked ../rows ''
    config=$WORKDIR/looked/config.json
    if [ ! -e "$WORKDIR/looked/live" ]; then
        mkdir -p "$WORKDIR/looked/test"
        head -n 1001 "$WORKDIR/rows/dataset1.csv" >"$WORKDIR/looked/test/rows.csv"
        for step in training scoring deployment; do "$bins/$step" --quiet --config "$config"; done
    fi
    before() { :; }
    contest ours "$bins/diagnostics" --quiet --config "$config"
    has_module polars || return 0
    for engine in streaming auto; do
        contest polars_$engine "$PYTHON" "$root/benches/peers/diagnose_polars.py" $engine "$data"
    done
}

# Two files of a tenth of the rows: the right one lacks a twentieth of the left one's rows, and another
# twentieth is changed.
compared_workspace() {
    generated pair $((ROWS / 9)) 46 --messy 0
    workspace paired ../pair "$1"
    left=$WORKDIR/paired/out/finaldata4.csv; right=$WORKDIR/paired/right.csv
    [ -e "$right" ] || {
        ingest paired
        awk -F, 'NR == 1 || NR % 20 > 1; NR > 1 && NR % 20 == 1 { sub(/^/, "z"); print }' "$left" >"$right"
    }
    before() { rm -f "$WORKDIR/joined.csv"; sync; }
}

compare_ours() {
    contest "$1" "$bins/diagnostics" compare "$left" "$right" --quiet \
        --output "$WORKDIR/joined.csv" --config "$WORKDIR/paired/config.json"
}

# Outer join on all columns, written to a file.
compare() {
    compared_workspace ''
    compare_ours ours
    for peer in polars duckdb; do
        has_module $peer || continue
        contest $peer "$PYTHON" "$root/benches/peers/compare_$peer.py" "$WORKDIR/joined.csv" \
            "$left" "$right"
    done
}

# The same when the rows do not fit into memory.
compare_bounded() {
    compared_workspace ''
    compare_ours ours
    compared_workspace ', "limits": {"memory_mib": 32}'
    compare_ours ours_32MiB
}

# The shipped files, from CSV to a live model with its report. Both get copies without the rows that
# pandas cannot read as numbers.
first_run() {
    mkdir -p "$WORKDIR/first/practicedata" "$WORKDIR/first/testdata"
    for file in practicedata/dataset1.csv practicedata/dataset2.csv testdata/testdata.csv; do
        tr -d '\r' <"$root/data/$file" | iconv -c -f UTF-8 -t UTF-8 | awk -F, '
            NR == 1 || (NF == 5 && !/"/ && $2 "," $3 "," $4 "," $5 ~ /^[0-9]+,[0-9]+,[0-9]+,[01]$/)
            ' >"$WORKDIR/first/$file"
    done
    printf '{"input_folder_path": "practicedata", "output_folder_path": "out", "test_data_path": "testdata", "output_model_path": "model", "prod_deployment_path": "live"}' \
        >"$WORKDIR/first/config.json"
    before() { (cd "$WORKDIR/first" && rm -rf out model models live peer); sync; }
    contest ours "$bins/first_run" --quiet --config "$WORKDIR/first/config.json"
    has_module sklearn && has_module matplotlib || return 0
    contest python "$PYTHON" "$root/benches/peers/first_run_sklearn.py" \
        "$WORKDIR/first/practicedata" "$WORKDIR/first/testdata/testdata.csv" "$WORKDIR/first/peer"
}

report() {
    sort -k1,1 -k2,2 -k3,3n "$1" | awk '
        function median(list, n,    i, j, t) {
            for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j-1] > list[j]; j--) {
                t = list[j]; list[j] = list[j-1]; list[j-1] = t }
            low = list[1]; high = list[n]
            return n % 2 ? list[(n+1)/2] : (list[n/2] + list[n/2+1]) / 2
        }
        function cell(form, key, base, divide,    i, n, list, m) {
            for (i = 1; i <= rounds; i++) if ((key, i) in base)
                list[++n] = divide == "" ? base[key, i] : base[key, i] / base[divide, i]
            m = median(list, n)
            return sprintf(form " [" form ".." form "]", m, low, high)
        }
        { key = $1 " " $2; if (!(key in seen)) { seen[key] = 1; order[++keys] = key }
          wall[key, $3] = $4; cpu[key, $3] = $5; peak[key, $3] = $6; if ($3 > rounds) rounds = $3 }
        END {
            row = "%-22s %-12s %-22s %-22s %-20s %s\n"
            printf row, "work", "who", "wall s", "CPU s", "peak MiB", "wall / ours"
            for (k = 1; k <= keys; k++) {
                split(order[k], part, " "); ours = part[1] " ours"
                printf row, part[1], part[2], cell("%.2f", order[k], wall), cell("%.2f", order[k], cpu), cell("%.0f", order[k], peak), cell("%.2f", order[k], wall, ours)
            }
        }'
}

[ $# -gt 0 ] || set -- ingestion ingestion_bounded ingestion_incremental training training_wide \
    training_bounded scoring diagnostics compare compare_bounded first_run
mkdir -p "$WORKDIR"
results=$WORKDIR/results
: >"$results"
(cd "$root" && cargo build --release --quiet $(for bin in ingestion training scoring deployment diagnostics \
    first_run; do printf ' -p %s' $bin; done) && cargo build --release --quiet -p mlops-core --example generate)
for work in "$@"; do
    round=1
    while [ "$round" -le "$RUNS" ]; do
        "$work"
        round=$((round + 1))
    done
done
report "$results"

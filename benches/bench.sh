#!/bin/sh
# Runs the binaries and their peers in turn, whole processes, and prints medians [min..max].
#
#   benches/bench.sh [WORK...]      works: ingestion ingestion_bounded ingestion_incremental increment
#                                          increment_bounded training training_wide training_bounded
#                                          median auto scoring diagnostics compare compare_bounded
#                                          first_run many_columns
#   BEFORE=FOLDER benches/bench.sh  the same works without peers: the binaries in FOLDER and ours in
#                                   turn, each with workspaces of its own. The last columns say how
#                                   often theirs is ours. FOLDER is the target/release of a worktree of
#                                   an earlier commit.
#
# BEFORE  see above
# ROWS    rows of generated data (10000000)
# RUNS    rounds; in each, every contestant runs once, so that all meet the same noise (5)
# PYTHON  an interpreter with polars, duckdb, pandas, scikit-learn and matplotlib; without them only our own figures are printed
# WORKDIR where data and results go (target/bench)
#
# A work is a function below: it calls `contest NAME COMMAND` for each contestant, ours first. What
# must be done before a contestant runs, and is not measured, goes into a function `prepare`. What a
# work makes goes to $place; `increment_1e8`, of which nobody wants more than one or two RUNS, takes
# 15 GB of disk and is run only by its name.
# Not for tests: what must hold is tested, how long it takes is measured here.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
ROWS=${ROWS:-10000000}
RUNS=${RUNS:-5}
PYTHON=${PYTHON:-python3}
WORKDIR=${WORKDIR:-$root/target/bench}
BEFORE=${BEFORE:+$(cd "$BEFORE" && pwd)}
generate=$root/target/release/examples/generate
time=$(command -v time || echo /usr/bin/time)

has_module() { [ -z "$BEFORE" ] && "$PYTHON" -c "import $1" 2>/dev/null; }

# One measured run of contestant $1 with the command behind it.
contest() {
    name=$side$1; shift
    prepare
    if ! "$time" -f '%e %U %S %M' -o "$WORKDIR/time" "$@" >"$WORKDIR/log" 2>&1; then
        echo "$work, $name failed:" >&2; cat "$WORKDIR/log" >&2; exit 1
    fi
    awk -v work="$work" -v name="$name" -v round="$round" \
        'END { print work, name, round, $1, $2 + $3, $4 / 1024 }' "$WORKDIR/time" >>"$results"
}

# A workspace in $place/$1 whose input is the folder $2; $3 is more of the configuration.
workspace() {
    mkdir -p "$place/$1"
    cat >"$place/$1/config.json" <<END
{"input_folder_path": "$2", "output_folder_path": "out", "test_data_path": "test",
 "output_model_path": "model", "prod_deployment_path": "live"$3}
END
}

# Rows in $place/$1: $2 of them, seed $3; $4 and on are more of the generator's options.
generated() {
    folder=$1; rows=$2; seed=$3; shift 3
    if [ ! -d "$WORKDIR/$folder" ]; then
        "$generate" large "$WORKDIR/$folder.part" "$rows" --seed "$seed" "$@"
        mv "$WORKDIR/$folder.part" "$WORKDIR/$folder"
    fi
    [ -e "$place/$folder" ] || ln -s "$WORKDIR/$folder" "$place/$folder"
}

ingest() { "$bins/ingestion" --quiet --config "$place/$1/config.json"; }

# Messy rows in four files to one canonical file without duplicates.
ingestion() {
    generated rows "$ROWS" 42
    workspace full ../rows ''
    prepare() { rm -rf "$place/full/out" "$place/peer.csv"; sync; }
    contest ours "$bins/ingestion" --quiet --config "$place/full/config.json"
    for peer in polars duckdb; do
        has_module $peer || continue
        contest $peer "$PYTHON" "$root/benches/peers/ingest_$peer.py" "$place/peer.csv" \
            "$place"/rows/*.csv
    done
}

# The same within two limits of memory; `ours` is without one.
ingestion_bounded() {
    generated rows "$ROWS" 42
    prepare() { rm -rf "$place"/full*/out; sync; }
    for mib in "" 64 32; do
        name=${mib:+ours_${mib}MiB}
        limits=
        [ -z "$mib" ] || limits=", \"limits\": {\"memory_mib\": $mib}"
        workspace "full$mib" ../rows "$limits"
        contest "${name:-ours}" "$bins/ingestion" --quiet --config "$place/full$mib/config.json"
    done
}

# A hundredth of new rows onto those that are there, beside the whole and a plain copy.
ingestion_incremental() {
    generated rows "$ROWS" 42
    # In four files, of which one is taken.
    generated more $((ROWS / 25)) 43
    workspace full ../rows ''
    prepare() { rm -rf "$place/full/out"; sync; }
    contest full "$bins/ingestion" --quiet --config "$place/full/config.json"
    grown rows more ours ''
}

# A thousand rows onto those that are there, beside a plain copy.
increment() {
    generated rows "$ROWS" 42
    generated thousand 4000 44
    grown rows thousand ours ''
}

# The same within less memory.
increment_bounded() {
    generated rows "$ROWS" 42
    generated thousand 4000 44
    grown rows thousand ours ', "limits": {"memory_mib": 64}'
}

# The same onto a hundred million rows.
increment_1e8() {
    generated many 100000000 42
    generated thousand 4000 44
    grown many thousand ours ', "limits": {"memory_mib": 64}'
}

# The first file of $2 onto the rows of $1, as contestant $3 with the configuration $4, beside a plain
# copy of the data set. The workspace is made once; hard links to its files are what each run finds, for
# files that have just changed, or are others than those that were recorded, are hashed again.
grown() {
    rows=$1 more=$2 kept=$place/grown_$work
    if [ ! -e "$kept/out" ]; then
        workspace "grown_$work" in "$4"
        mkdir -p "$kept/in"
        cp -p "$place/$rows"/*.csv "$kept/in"
        touch -d '1 hour ago' "$kept"/in/*.csv
        "$bins/ingestion" --quiet --config "$kept/config.json"
        sleep 3
    fi
    prepare() {
        rm -rf "$kept.run"
        cp -rl "$kept" "$kept.run"
        # The ledger is the one file that is changed where it is.
        rm "$kept.run"/out/ledger.sqlite*
        cp -p "$kept"/out/ledger.sqlite* "$kept.run/out"
        cp "$place/$more/dataset1.csv" "$kept.run/in/more.csv"
        sync
    }
    contest "$3" "$bins/ingestion" --quiet --config "$kept.run/config.json"
    prepare() { rm -rf "$kept.run" "$place/copy.csv"; sync; }
    contest copy cp --reflink=never "$kept/out/finaldata4.csv" "$place/copy.csv"
    rm "$place/copy.csv"
}

# A workspace as above, with its data ingested.
ingested() {
    workspace "$@"
    ingest "$1"
    data=$place/$1/out/finaldata4.csv
}

# Training in the workspace $1, beside scikit-learn on its data.
trained() {
    contest ours "$bins/training" --quiet --config "$place/$1/config.json"
    has_module sklearn || return 0
    contest lbfgs+pandas "$PYTHON" "$root/benches/peers/train_sklearn.py" pandas lbfgs "$data"
    contest lbfgs+polars "$PYTHON" "$root/benches/peers/train_sklearn.py" polars lbfgs "$data"
    contest newton+polars "$PYTHON" "$root/benches/peers/train_sklearn.py" polars newton-cholesky "$data"
}

# The data set to a model. Of the generated rows a tenth repeats others.
training() {
    generated rows "$ROWS" 42
    ingested narrow ../rows ', "training": {"missing": "drop"}'
    prepare() { :; }
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
    prepare() { :; }
    trained wide
}

# The same within the least memory there may be.
training_bounded() {
    generated columns $((ROWS / 10)) 43 --extra-columns 27
    ingested wide ../columns "$(wide)"
    ingested wide32 ../columns "$(wide), \"limits\": {\"memory_mib\": 32}"
    prepare() { :; }
    contest ours "$bins/training" --quiet --config "$place/wide/config.json"
    contest ours_32MiB "$bins/training" --quiet --config "$place/wide32/config.json"
    cmp "$place/wide/model/trainedmodel.bin" "$place/wide32/model/trainedmodel.bin"
}

# Medians in place of missing values.
median() {
    generated fifth $((ROWS / 5)) 60
    ingested medians ../fifth ', "training": {"missing": "median"}'
    prepare() { :; }
    contest ours "$bins/training" --quiet --config "$place/medians/config.json"
}

# So few rows that the start of the process counts.
auto() {
    generated small $((ROWS / 500)) 61
    ingested auto ../small ''
    prepare() { :; }
    contest ours "$bins/training" --quiet --config "$place/auto/config.json"
}

# 2,500 columns of 10,000 rows, from the files to a live model with its reports; then within 64 MiB.
many_columns() {
    generated broad 10000 45 --extra-columns 2494
    names=$(seq -s, -f '"x%g"' 1 2494)
    for mib in "" 64; do
        workspace "broad$mib" ../broad ", \"schema\": {\"id\": [\"corporation\"], \"numeric\": [\"lastmonth_activity\", \"lastyear_activity\", \"number_of_employees\", $names], \"target\": \"exited\", \"positive_label\": \"1\"}, \"training\": {\"missing\": \"median\"}${mib:+, \"limits\": {\"memory_mib\": $mib\}}"
        prepare() { (cd "$place/broad$mib" && rm -rf out model models live); sync; }
        contest "ours${mib:+_${mib}MiB}" "$bins/first_run" --quiet --config "$place/broad$mib/config.json"
    done
}

# A model, once, in the workspace `scored`, whose test data has as many rows as its data; it is
# trained on fewer, since only the scoring is measured.
scored_workspace() {
    generated few $((ROWS / 100)) 44
    generated tests "$ROWS" 45 --files 1 --messy 0
    mkdir -p "$place/scored"
    [ -e "$place/scored/test" ] || ln -s ../tests "$place/scored/test"
    workspace scored ../few ''
    ingest scored
    [ -e "$place/scored/model/trainedmodel.bin" ] ||
        "$bins/training" --quiet --config "$place/scored/config.json"
}

# The model on the test data: all figures, with intervals.
scoring() {
    scored_workspace
    prepare() { :; }
    contest ours "$bins/scoring" --quiet --config "$place/scored/config.json"
    has_module sklearn || return 0
    for reader in pandas polars; do
        contest sklearn+$reader "$PYTHON" "$root/benches/peers/score_sklearn.py" $reader \
            "$place/scored/model/model.json" "$place/tests/dataset1.csv"
    done
}

# Statistics of all columns, and predictions.
diagnostics() {
    generated rows "$ROWS" 42
    ingested looked ../rows ''
    config=$place/looked/config.json
    if [ ! -e "$place/looked/live" ]; then
        mkdir -p "$place/looked/test"
        head -n 1001 "$place/rows/dataset1.csv" >"$place/looked/test/rows.csv"
        for step in training scoring deployment; do "$bins/$step" --quiet --config "$config"; done
    fi
    prepare() { :; }
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
    left=$place/paired/out/finaldata4.csv; right=$place/paired/right.csv
    [ -e "$right" ] || {
        ingest paired
        awk -F, 'NR == 1 || NR % 20 > 1; NR > 1 && NR % 20 == 1 { sub(/^/, "z"); print }' "$left" >"$right"
    }
    prepare() { rm -f "$place/joined.csv"; sync; }
}

compare_ours() {
    contest "$1" "$bins/diagnostics" compare "$left" "$right" --quiet \
        --output "$place/joined.csv" --config "$place/paired/config.json"
}

# Outer join on all columns, written to a file.
compare() {
    compared_workspace ''
    compare_ours ours
    for peer in polars duckdb; do
        has_module $peer || continue
        contest $peer "$PYTHON" "$root/benches/peers/compare_$peer.py" "$place/joined.csv" \
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
    mkdir -p "$place/first/practicedata" "$place/first/testdata"
    for file in practicedata/dataset1.csv practicedata/dataset2.csv testdata/testdata.csv; do
        tr -d '\r' <"$root/data/$file" | iconv -c -f UTF-8 -t UTF-8 | awk -F, '
            NR == 1 || (NF == 5 && !/"/ && $2 "," $3 "," $4 "," $5 ~ /^[0-9]+,[0-9]+,[0-9]+,[01]$/)
            ' >"$place/first/$file"
    done
    printf '{"input_folder_path": "practicedata", "output_folder_path": "out", "test_data_path": "testdata", "output_model_path": "model", "prod_deployment_path": "live"}' \
        >"$place/first/config.json"
    prepare() { (cd "$place/first" && rm -rf out model models live peer); sync; }
    contest ours "$bins/first_run" --quiet --config "$place/first/config.json"
    has_module sklearn && has_module matplotlib || return 0
    contest python "$PYTHON" "$root/benches/peers/first_run_sklearn.py" \
        "$place/first/practicedata" "$place/first/testdata/testdata.csv" "$place/first/peer"
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
                list[++n] = divide == "" ? base[key, i] : base[key, i] / (base[divide, i] > 0.005 ? base[divide, i] : 0.005)
            m = median(list, n)
            return sprintf(form " [" form ".." form "]", m, low, high)
        }
        { key = $1 " " $2; if (!(key in seen)) { seen[key] = 1; order[++keys] = key }
          wall[key, $3] = $4; cpu[key, $3] = $5; peak[key, $3] = $6; if ($3 > rounds) rounds = $3 }
        END {
            row = "%-22s %-18s %-22s %-22s %-20s %-20s %s\n"
            printf row, "work", "who", "wall s", "CPU s", "peak MiB", "wall / ours", "CPU / ours"
            for (k = 1; k <= keys; k++) {
                split(order[k], part, " "); ours = part[1] " ours"
                if (sub(/^before:/, "", part[2])) { ours = part[1] " " part[2]; part[2] = "before:" part[2] }
                printf row, part[1], part[2], cell("%.2f", order[k], wall), cell("%.2f", order[k], cpu), cell("%.0f", order[k], peak), cell("%.2f", order[k], wall, ours), cell("%.2f", order[k], cpu, ours)
            }
        }'
}

[ $# -gt 0 ] || set -- ingestion ingestion_bounded ingestion_incremental increment increment_bounded \
    training training_wide training_bounded median auto scoring diagnostics compare compare_bounded \
    first_run many_columns
mkdir -p "$WORKDIR"
WORKDIR=$(cd "$WORKDIR" && pwd)
results=$WORKDIR/results
: >"$results"
(cd "$root" && cargo build --release --quiet $(for bin in ingestion training scoring deployment diagnostics \
    first_run; do printf ' -p %s' $bin; done) && cargo build --release --quiet -p mlops-core --example generate)
for work in "$@"; do
    round=1
    while [ "$round" -le "$RUNS" ]; do
        if [ -n "$BEFORE" ]; then
            side=before: bins=$BEFORE place=$WORKDIR/before
            mkdir -p "$place"
            "$work"
        fi
        side= bins=$root/target/release place=$WORKDIR/now
        mkdir -p "$place"
        "$work"
        round=$((round + 1))
    done
done
report "$results"

#!/usr/bin/env bash
# Writes docs/transcript.md: what each program says on the shipped data, from the first run to a
# rollback. Run it from the repository's root after `make build`, when an output has changed.
set -euo pipefail
programs=$PWD/target/release
page=$PWD/docs/transcript.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/data"
cp config.json "$work"
cp -r data/practicedata data/sourcedata data/testdata "$work/data"
rm -f "$work"/data/testdata/testdata_new*.csv
cd "$work"

title() { printf '\n## %s\n\n%s\n' "$1" "$2" >> "$page"; }
run() {
    {
        printf '\n```text\n$ %s\n' "$1"
        PATH=$programs:$PATH bash -c "$1" 2>&1 || printf '(exit status %s)\n' "$?"
        printf '```\n'
    } | sed "s|$work/||g" >> "$page"
}

cat > "$page" <<'TEXT'
# A transcript

What each program says on the shipped data, from the first run to a rollback. Made by
`docs/transcript.sh`; run ids and times are those of that run.
TEXT

title "The first run" "From a folder of CSV files to a live model. \`make first-run\` calls it."
run first_run

title "New data, and the live model drifted" "The source folder holds two files that the model has \
never seen. It does badly on them, so another one is trained, does better on rows that neither \
knows, and goes live."
run fullprocess
title "Why" "The same, from the records, at any later time."
run "fullprocess --explain"

title "Nothing new" "What cron sees every ten minutes. Nothing is written but the record of the run."
run fullprocess

title "A worse model is refused" "A file whose labels are wrong: three rows in ten are marked as \
positive, at random. The live model drifts on it, a new one learns the nonsense, is worse on rows \
that neither knows, and does not go live."
awk 'BEGIN {
    srand(7)
    print "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited"
    for (i = 0; i < 3000; i++)
        printf "m%04d,%d,%d,%d,%d\n", i, rand() * 500, rand() * 3000, 1 + rand() * 150, rand() < 0.3
}' > data/sourcedata/mislabelled.csv
touch -d '1 minute ago' data/sourcedata/mislabelled.csv
run fullprocess
title "Why it was refused" "The verdict is sealed with the refused release as well, in \`NOT_BLESSED\`."
run "fullprocess --explain"

title "A rollback" "To the release before, whatever the state of the present one."
run 'deployment rollback --reason "sales asked for the old model"'
run "deployment history"
run "deployment verify"

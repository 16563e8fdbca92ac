#!/usr/bin/env bash
# Writes docs/transcript.md: what each program says on the shipped data, from the first run to a
# rollback. Run it when an output has changed; with --check it changes nothing, and fails with the
# difference if the page is not what the programs say.
# PROFILE=dev takes the binaries that the tests have built; the words are the same.
# The page must come out the same again: the draw of hold-outs gets a known secret, and run ids and
# times are replaced by made-up ones.
set -euo pipefail
cd "$(dirname "$0")/.."
kept=$PWD/docs/transcript.md
profile=${PROFILE:-release}
cargo build --profile "$profile" --quiet --bin first_run --bin fullprocess --bin deployment
cargo build --profile "$profile" --quiet -p mlops-core --example fix_holdouts
programs=$PWD/target/${profile/#dev/debug}
work=$(mktemp -d)
page=$work/transcript.md
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
`docs/transcript.sh`; run ids and times are made up, so that the page only changes when an output does.
TEXT

title "The first run" "From a folder of CSV files to a live model. \`make first-run\` calls it."
run first_run
"$programs/examples/fix_holdouts" config.json 42

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

# The n-th run gets the n-th made-up id; all times are the same.
n=0
for id in $(grep -oE '[0-9]{8}T[0-9]{9}Z-[0-9a-f]+' "$page" | awk '!seen[$0]++'); do
    n=$((n + 1))
    sed -i "s/$id/$(printf '20260704T12%02d00000Z-0000000000%02d' "$n" "$n")/g" "$page"
done
day='[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}'
sed -E "s/$day(\\.[0-9]{3})?Z/2026-07-04T12:00:00\\1Z/g; s/(12:00:00)\\.[0-9]{3}Z/\\1.000Z/g" "$page" |
    sed -E 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}/2026-07-04 12:00/g' > "$work/stable.md"
if [ "${1-}" = --check ]; then
    diff -u "$kept" "$work/stable.md" || {
        echo "docs/transcript.md is not what the programs say: run docs/transcript.sh" >&2
        exit 1
    }
else
    cp "$work/stable.md" "$kept"
fi

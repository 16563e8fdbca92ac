//! Every line of a file has exactly one fate: kept, duplicate or quarantined; whatever the bytes,
//! and however the file is cut into pieces. Well-formed files are held against a plain reader.

pub(crate) mod input;
mod plain;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use mlops_core::config::{Ingestion, NumberFormat};
use mlops_core::csv::clean::FormatChanges;
use mlops_core::csv::outcome::FileOutcome;
use mlops_core::dataset::builder::{Earlier, Ingest};
use mlops_core::dataset::counts::{Audit, FileCounts};
use mlops_core::dataset::dedup::RowOutcome;
use mlops_core::dataset::discover::SourceFile;
use mlops_core::dataset::resources::Resources;
use mlops_core::platform::digest::Digest;
use mlops_core::platform::disk::Disk;
use mlops_core::table::schema::Schema;
use mlops_testkit::{Random, folder, repetitions};
use tempfile::TempDir;

/// Where pieces end, in bytes, and how many threads parse them: nowhere in files as small as
/// these, then everywhere, on fewer threads than there are pieces and on more.
const CHUNKS: [(usize, usize); 7] = [(1, 1), (1, 7), (2, 3), (3, 2), (7, 1), (7, 3), (64, 2)];

/// A place to ingest single files in.
struct Bench<'a> {
    schema: &'a Schema,
    options: &'a Ingestion,
    dir: &'a TempDir,
}

/// All that came of a file.
#[derive(Debug, Clone, PartialEq)]
struct Result {
    outcome: String,
    counts: FileCounts,
    digest: Option<Digest>,
    output: Vec<u8>,
    quarantine: Vec<u8>,
    fates: Vec<(u64, u32, RowOutcome)>,
    negative: Option<String>,
}

#[derive(Default)]
struct Fates(Vec<(u64, u32, RowOutcome)>);

impl Audit for Fates {
    fn row(&mut self, line: u64, lines: u32, fate: RowOutcome) {
        self.0.push((line, lines, fate));
    }

    fn again(&mut self) {
        self.0.clear();
    }
}

impl Bench<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Ingests the file `input.csv` with `means`.
    fn ingest(&self, means: Resources) -> Result {
        let disk = Disk::default();
        let quarantine = self.path("quarantine.csv");
        let data = self.path("finaldata.csv");
        let mut ingest =
            Ingest::start(self.schema, self.options, &disk, &data, &quarantine, means).unwrap();
        let candidate = SourceFile { name: "input.csv".to_owned(), path: self.path("input.csv") };
        let mut fates = Fates::default();
        let mut read = ingest.file(&candidate, &mut fates, &mut |_, _| {}).unwrap();
        let built = ingest.finish().unwrap();
        built.settle(
            matches!(read.outcome, FileOutcome::Taken).then_some(&mut read.counts).into_iter(),
        );
        built.data.0.publish(true).unwrap();
        let quarantined = built.quarantine.map(|(file, ..)| file.publish(true).unwrap());
        fates.0.sort_by_key(|(line, ..)| *line);
        Result {
            outcome: format!("{:?}", read.outcome),
            counts: read.counts,
            digest: read.digest,
            output: fs::read(&data).unwrap(),
            quarantine: quarantined.map_or_else(Vec::new, |()| fs::read(&quarantine).unwrap()),
            fates: fates.0,
            negative: built.negative_label,
        }
    }

    /// Makes `result` the previous data set of a new one, which must be the same.
    fn carries_over(&self, result: &Result) {
        let (disk, quarantine) = (Disk::default(), self.path("quarantine.csv"));
        let (old, new) = (self.path("old.csv"), self.path("finaldata.csv"));
        fs::write(&old, &result.output).unwrap();
        let known = self.settled(result);
        let means = Resources::default();
        let mut ingest =
            Ingest::start(&known, self.options, &disk, &new, &quarantine, means).unwrap();
        ingest.carry_over(Earlier::text(&old, Digest::of(&result.output))).unwrap();
        let (file, length, digest) = ingest.finish().unwrap().data;
        assert_eq!((length, digest), (result.output.len() as u64, Digest::of(&result.output)));
        drop(file);
    }

    /// The schema with the label that `result` taught.
    fn settled(&self, result: &Result) -> Schema {
        match &result.negative {
            Some(label) => self.schema.clone().with_negative_label(label),
            None => self.schema.clone(),
        }
    }
}

/// Everything that must hold for any bytes; returns what came of them.
fn holds(schema: &Schema, options: &Ingestion, dir: &TempDir, input: &[u8]) -> Result {
    let bench = Bench { schema, options, dir };
    fs::write(bench.path("input.csv"), input).unwrap();
    let whole = bench.ingest(Resources::default());
    for (chunk_bytes, threads) in CHUNKS {
        let means = Resources { chunk_bytes, threads, ..Resources::default() };
        assert_eq!(bench.ingest(means), whole, "{means:?}");
        // Through temporary files, where fates are known too late to be told.
        let means = Resources { memory: 0, ..means };
        let late = Result { fates: whole.fates.clone(), ..bench.ingest(means) };
        if !whole.outcome.starts_with("Failed") {
            assert_eq!(late, whole, "{means:?}");
        }
    }
    if whole.outcome.starts_with("Failed") {
        assert_eq!(whole.output, schema.header(), "nothing of a failed file stays");
        assert!(whole.quarantine.is_empty());
        return whole;
    }
    assert_eq!(whole.digest, Some(Digest::of(input)));
    partitions(&whole, input);
    byte_exact(&whole, input);
    // What we wrote is its own canonical spelling.
    let settled = bench.settled(&whole);
    let numbers = NumberFormat::default();
    // Which numbers stand for missing values is told in the spelling of the files that arrive.
    let same = options.numbers == numbers;
    let missing_values = if same { options.missing_values.clone() } else { Vec::new() };
    let wide = Ingestion { numbers, missing_values, ..options.without_line_limit() };
    let again = Bench { schema: &settled, options: &wide, dir };
    fs::write(bench.path("input.csv"), &whole.output).unwrap();
    let twice = again.ingest(Resources { chunk_bytes: 7, threads: 2, ..Resources::default() });
    assert_eq!(twice.output, whole.output);
    assert_eq!(twice.counts.rows_kept, twice.counts.rows_read);
    assert_eq!(twice.counts.changes, FormatChanges::default());
    bench.carries_over(&whole);
    whole
}

/// Kept, duplicate and quarantined lines make up all lines of rows; what is left is blank.
fn partitions(result: &Result, input: &[u8]) {
    let counts = &result.counts;
    assert_eq!(counts.rows_read, counts.rows_kept + counts.duplicates() + counts.quarantined);
    assert_eq!(counts.rejections.values().sum::<u64>(), counts.quarantined);
    let mut found: HashMap<&str, u64> = HashMap::new();
    let lines = lines(input);
    let mut next = 0;
    let mut blank = 0;
    for (line, length, fate) in &result.fates {
        let kind = match fate {
            RowOutcome::Kept => "kept",
            RowOutcome::DuplicateWithin => "within",
            RowOutcome::DuplicateAcross => "across",
            RowOutcome::Quarantined => "quarantined",
        };
        *found.entry(kind).or_default() += 1;
        let (first, length) = (usize::try_from(line - 1).unwrap(), *length as usize);
        // Before the first row stands the header, which may have any number of lines.
        if next > 0 {
            assert!(first >= next, "line {line} has two fates");
            blank += blanks(&lines[next..first]);
        }
        assert!(length > 0 && first + length <= lines.len(), "line {line} is in the file");
        next = first + length;
    }
    if next > 0 {
        blanks(&lines[next..]);
        let first = usize::try_from(result.fates[0].0 - 1).unwrap();
        let blank_all = blank + (lines.len() - next) as u64;
        let before = counts.blank_lines.checked_sub(blank_all).expect("blank lines are lines");
        assert!(usize::try_from(before).unwrap() < first, "the header has a line at least");
        blanks(&lines[first - usize::try_from(before).unwrap()..first]);
    }
    let count = |kind| found.get(kind).copied().unwrap_or(0);
    assert_eq!(count("kept"), counts.rows_kept);
    assert_eq!(count("within"), counts.duplicates_within);
    assert_eq!(count("across"), counts.duplicates_across);
    assert_eq!(count("quarantined"), counts.quarantined);
}

/// The lines of a file, which end with LF, CR LF or CR.
fn lines(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|b| b"\r\n".contains(b)).unwrap_or(bytes.len());
        let both = bytes[end..].starts_with(b"\r\n");
        let (line, rest) = bytes.split_at((end + 1 + usize::from(both)).min(bytes.len()));
        lines.push(line);
        bytes = rest;
    }
    lines
}

/// How many lines these are, all of which must be blank.
fn blanks(lines: &[&[u8]]) -> u64 {
    for line in lines {
        let blank = line.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
        assert!(blank, "{:?} has no fate", String::from_utf8_lossy(line));
    }
    lines.len() as u64
}

/// Every quarantined record is the bytes that stand at its place, and the lines say the same.
fn byte_exact(result: &Result, input: &[u8]) {
    let mut reader = csv::Reader::from_reader(result.quarantine.as_slice());
    let mut lines = Vec::new();
    for record in reader.byte_records() {
        let record = record.unwrap();
        let number = |i: usize| std::str::from_utf8(&record[i]).unwrap().parse::<u64>().unwrap();
        let (line, at) = (number(1), usize::try_from(number(2) - 1).unwrap());
        let bytes = &record[6];
        let after = &input[at + bytes.len()..];
        assert_eq!(&input[at..at + bytes.len()], bytes);
        let ends = after.is_empty() || after.starts_with(b"\n") || after.starts_with(b"\r");
        assert!(ends, "the record ends where its line does");
        let before = &input[..at];
        assert!(at == 0 || before.ends_with(b"\n") || before.ends_with(b"\r"));
        assert!(!input[at..].starts_with(b"\n") || !before.ends_with(b"\r"));
        assert_eq!(self::lines(before).len() as u64 + 1, line);
        let own = self::lines(bytes).len() as u64;
        lines.push((
            line,
            if bytes.ends_with(b"\n") || bytes.ends_with(b"\r") { own + 1 } else { own.max(1) },
        ));
    }
    let expected: Vec<_> = result
        .fates
        .iter()
        .filter(|(.., fate)| *fate == RowOutcome::Quarantined)
        .map(|(line, lines, _)| (*line, u64::from(*lines)))
        .collect();
    assert_eq!(lines, expected);
}

/// Runs `check` with `count` seeds from `first`; says which seed failed on what input.
fn over_seeds(first: u64, count: u64, mut check: impl FnMut(&mut Random) -> Vec<u8>) {
    for seed in first..first + count {
        let mut input = Vec::new();
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            input = check(&mut Random(seed));
        }));
        assert!(tried.is_ok(), "seed {seed} fails, see above");
    }
}

#[test]
fn well_formed_files_come_out_as_a_plain_reader_reads_them() {
    let dir = folder();
    let (mut taken, mut refused) = (0, 0);
    over_seeds(1, repetitions(1_000, 100_000), |random| {
        let (schema, options) = input::setting(random);
        let bytes = input::well_formed(random, &schema, &options);
        let result = holds(&schema, &options, &dir, &bytes);
        let plain = plain::ingest(&schema, &options, &bytes);
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        assert_eq!(text(&result.output), text(&plain.output), "of {:?}", text(&bytes));
        let counts = &result.counts;
        let found = [counts.rows_kept, counts.duplicates(), counts.quarantined];
        assert_eq!(result.outcome.starts_with("Failed"), plain.refused, "of {:?}", text(&bytes));
        if !plain.refused {
            assert_eq!(found, plain.counts, "of {:?}", text(&bytes));
        }
        refused += u64::from(plain.refused);
        taken += u64::from(result.outcome == format!("{:?}", FileOutcome::Taken));
        bytes
    });
    assert!(taken > repetitions(750, 75_000), "most files have rows: {taken}");
    assert!(refused > repetitions(50, 5_000), "some are refused: {refused}");
}

#[test]
fn mutated_files_keep_every_promise() {
    let dir = folder();
    let (mut taken, mut quarantined) = (0, 0);
    over_seeds(1_000_000, repetitions(1_000, 100_000), |random| {
        let (schema, options) = input::setting(random);
        let mut bytes = input::well_formed(random, &schema, &options);
        input::mutate(random, &mut bytes);
        let result = holds(&schema, &options, &dir, &bytes);
        taken += u64::from(result.outcome == format!("{:?}", FileOutcome::Taken));
        quarantined += result.counts.quarantined;
        bytes
    });
    assert!(taken > repetitions(700, 70_000) && quarantined > taken, "{taken}, {quarantined}");
}

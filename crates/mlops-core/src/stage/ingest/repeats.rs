//! Warns, with examples, of each new file of which many rows were dropped as duplicates: it was
//! sent twice, or its ids do not identify its rows.
//!
//! The beginning of the file is read again to find examples, since storing the positions of all
//! rows would slow down every ingestion. The amount read is limited for the whole run, so that the
//! warning never takes a noticeable share of the time of a large ingestion. Not for dropping rows:
//! see `crate::dataset::sink`.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use crate::config::Config;
use crate::config::sources::Mode;
use crate::csv::formats;
use crate::csv::reader::{RowReader, RowSet};
use crate::evaluation::entity::Place;
use crate::ids::FindingKind;
use crate::ledger::{FileRecord, FileStatus, Ledger, Segment};
use crate::platform::files;
use crate::run::attention::Remark;
use crate::run::context::{Context, Workspace};
use crate::table::Table;
use crate::table::schema::{Role, Schema};
use crate::{Error, Result, text};

use crate::stage::ingest::identity::schema;
use crate::stage::ingest::report::Ingested;
use crate::stage::ingest::waiting::named;

/// The share of dropped rows in a file that is worth a warning.
const MANY: f64 = 0.05;
/// The number of example rows.
const EXAMPLES: usize = 3;
/// Bytes that a run reads to find examples: of the files, and of the data set.
const LOOK: Look = Look { files: 1 << 20, data: 2 << 20 };
/// About so many bytes is a row of a file that cannot be read in part.
const ROW_BYTES: u64 = 64;
/// Bytes read at a time.
const PIECE: usize = 1 << 16;

/// Bytes that may still be read.
#[derive(Clone, Copy)]
struct Look {
    files: u64,
    data: u64,
}

/// A dropped row.
struct Example {
    line: u64,
    ids: String,
    /// The line of the same file that it repeats; `None` if it repeats a row of another file.
    within: Option<u64>,
    /// The file whose row it repeats, if that was found.
    of: Option<String>,
}

/// Adds a warning for each file in `report` that was taken with many rows dropped, and stores it
/// with the record of the file.
pub(super) fn warn(
    context: &Context,
    workspace: &mut Workspace,
    report: &mut Ingested,
) -> Result<()> {
    let schema = schema(context, workspace)?;
    let (Some(dataset), true) = (report.version, schema.count(Role::Id) > 0) else {
        return Ok(());
    };
    let of_many = |file: &&mut FileRecord| {
        file.status == FileStatus::Ingested && is_much(file) && !overlaps(&context.config, file)
    };
    let segments = workspace.ledger.segments(dataset)?;
    let Some(data) = workspace.ledger.dataset(dataset)?.map(|record| record.location) else {
        return Ok(());
    };
    let mut notes = Vec::new();
    let mut look = LOOK;
    for file in report.files.iter_mut().filter(of_many) {
        // The warning is valid without examples too: the file could be read before.
        let found =
            examples(context, &workspace.ledger, &schema, file, (&segments, &data), &mut look)
                .unwrap_or_default();
        let warning = words(file, &found);
        notes.extend(file.sha256.map(|digest| (digest, warning.clone())));
        file.reason = Some(warning.clone());
        report.warnings.push(Remark::on(FindingKind::RepeatedRows, &file.name, warning));
    }
    let notes: Vec<_> = notes.iter().map(|(digest, note)| (*digest, note.as_str())).collect();
    if notes.is_empty() { Ok(()) } else { workspace.ledger.note_files(dataset, &notes) }
}

/// What [`warn`] said of `file`, for a run that follows one which was cut off before anybody heard it;
/// without examples where it was cut off before they were found.
pub(in crate::stage) fn told(config: &Config, file: &FileRecord, has_ids: bool) -> Option<Remark> {
    if file.status != FileStatus::Ingested || !has_ids || overlaps(config, file) {
        return None;
    }
    let words = file.reason.clone().or_else(|| is_much(file).then(|| words(file, &[])))?;
    Some(Remark::on(FindingKind::RepeatedRows, &file.name, words))
}

/// Whether the file repeats rows by its nature: extracts of a cursor overlap by the lag, and a user who asks for the
/// newest rows gets the state of everything again and again.
fn overlaps(config: &Config, file: &FileRecord) -> bool {
    if config.latest().is_some() {
        return true;
    }
    let source = config.source_at(&file.location.path(&config.base));
    source.is_some_and(|(source, _)| matches!(source.mode, Mode::Cursor(_)))
}

/// Whether more of `file` was dropped than should go without a word.
fn is_much(file: &FileRecord) -> bool {
    file.counts.duplicates() as f64 > MANY * file.counts.rows_read as f64
}

/// The text of the warning.
fn words(file: &FileRecord, examples: &[Example]) -> String {
    let counts = &file.counts;
    let shown = examples.iter().map(|Example { line, ids, within, of }| {
        let what = match (within, of) {
            (Some(first), _) => format!("line {first}"),
            (None, Some(name)) => format!("a row of {name}"),
            (None, None) => "a row of an earlier file".to_owned(),
        };
        format!("line {line} ({ids}) repeats {what}")
    });
    let shown: Vec<String> = shown.collect();
    let shown = if shown.is_empty() { String::new() } else { format!(": {}", shown.join("; ")) };
    let share = 100.0 * counts.duplicates() as f64 / counts.rows_read.max(1) as f64;
    named(
        &file.name,
        &format!(
            "has {} of which {} ({share:.1} %) {} dropped as duplicates{shown}. Nothing is lost if it \
             was sent twice. If equal rows are different cases, set \"ingestion.duplicates\" to \
             \"keep\" and run `ingestion --rebuild`",
            text::plural(counts.rows_read, "row"),
            text::count(counts.duplicates()),
            text::were(counts.duplicates()),
        ),
    )
}

/// The first dropped rows of `file`, as far as a short search finds them.
fn examples(
    context: &Context,
    ledger: &Ledger,
    schema: &Schema,
    file: &FileRecord,
    (segments, data): (&[Segment], &Path),
    look: &mut Look,
) -> Result<Vec<Example>> {
    let options = context.config.ingestion.without_line_limit();
    let reader = RowReader::labelled(schema, &options).with_ids();
    let path = file.location.path(&context.config.base);
    let forgotten = ledger.forgotten(schema)?;
    let is_forgotten = |table: &Table, i: usize| {
        let columns = schema.columns();
        let text = |at: usize| Place::of(schema, &columns.get(at)?.name)?.text(table, i);
        forgotten.as_ref().is_some_and(|forgotten| forgotten.has_values(text))
    };
    let opened = |path: &Path| files::open(path).map_err(|e| Error::io("read", path, e));
    // The line and the ids of each row, by its hash.
    let mut rows: HashMap<u128, (u64, String)> = HashMap::new();
    let mut found = Vec::new();
    let seen = Cell::new(0_u64);
    let mut note = |table: &Table, lines: &[u64]| {
        seen.set(seen.get() + table.len() as u64);
        for (i, (hash, line)) in table.hashes.iter().zip(lines).enumerate() {
            if is_forgotten(table, i) {
                continue;
            }
            match rows.get(hash) {
                Some((first, _)) if found.len() < EXAMPLES => found.push(Example {
                    line: *line,
                    ids: ids(schema, table, i),
                    within: Some(*first),
                    of: None,
                }),
                Some(_) => {}
                None => drop(rows.insert(*hash, (*line, ids(schema, table, i)))),
            }
        }
        enough(found.len())
    };
    let mut input = opened(&path)?.0.take(look.files);
    let looked = reader.lines(&mut input, &path, PIECE, |table, _, _, lines| note(table, lines));
    let plain = looked.is_ok() || seen.get() > 0;
    look.files = input.limit();
    if !plain {
        // A file of another format cannot be cut off after so many bytes; what is counted is rows.
        let most = look.files / ROW_BYTES;
        let reader = reader.of_sources(&context.config).with_chunk_bytes(PIECE);
        let looked = reader.lines_at(&path, |table, _, _, lines| {
            note(table, lines)?;
            enough(if seen.get() < most { 0 } else { EXAMPLES })
        });
        look.files = look.files.saturating_sub(seen.get() * ROW_BYTES);
        drop(looked);
    }
    // If the search stopped early (the limit may cut a record in two), what it found is still true.
    let own = segments.iter().find(|s| Some(s.sha256) == file.sha256);
    if file.counts.duplicates_across == 0 || own.is_none_or(|own| own.first_row == 0) {
        return Ok(found);
    }
    let end = own.map_or(0, |own| own.first_row);
    found.truncate(EXAMPLES - 1);
    let wanted: RowSet = rows.keys().copied().collect();
    let mut number = 0;
    let mut input = formats::text_of_our_own(data, schema)?.take(look.data);
    let verbatim = context.config.ingestion.verbatim();
    let reader = reader.reading(&verbatim);
    let looked = reader.lines(&mut input, data, PIECE, |table, _, _, _| {
        for hash in &table.hashes {
            enough(if number < end { found.len() } else { EXAMPLES })?;
            if let (true, Some((line, ids))) = (wanted.contains(hash), rows.remove(hash)) {
                let from = segments.iter().rfind(|s| s.first_row <= number && s.rows > 0);
                let of = from.map(|s| text::name(file_name(s.location.as_str())).into_owned());
                found.push(Example { line, ids, within: None, of });
            }
            number += 1;
        }
        Ok(())
    });
    look.data = input.limit();
    drop(looked);
    found.sort_by_key(|example| example.line);
    Ok(found)
}

/// Stops the search once there are as many examples as are shown.
fn enough(found: usize) -> Result<()> {
    if found < EXAMPLES { Ok(()) } else { Err(Error::missing("enough was seen")) }
}

/// The part of a location that users see as the file's name.
fn file_name(location: &str) -> &str {
    location.rsplit('/').next().unwrap_or(location)
}

/// The ids of row `i`: `id = a17, day = 2`.
fn ids(schema: &Schema, table: &Table, i: usize) -> String {
    let names = schema.names(Role::Id).zip(&table.ids);
    let ids = names.map(|(name, ids)| {
        let value = ids.get(i);
        format!("{} = {}", text::name(name), text::name(value))
    });
    ids.take(EXAMPLES).collect::<Vec<_>>().join(", ")
}

//! `ingestion.on_change: latest`: only the newest row of each key stays in the data set.
//!
//! All rows are first written to the new version, including equal ones; then those that are not the newest of
//! their key are removed. If rows of the previous version are among these, the new version is built from
//! scratch; otherwise it starts with the previous one. Rows of hold-outs belong to no version: a hold-out keeps
//! them as they were drawn, and newer rows of the same entity stay on the same side, since an entity never
//! changes sides. The rule itself is in [`crate::dataset::latest`].

use crate::config::Latest;
use crate::csv::chunk::CHUNK_BYTES;
use crate::csv::reader::RowReader;
use crate::csv::row_hash::RowHasher;
use crate::dataset::builder::Built;
use crate::dataset::counts::FileCounts;
use crate::dataset::latest::{Dated, Fate, Fates, Race};
use crate::dataset::rows::RowFile;
use crate::evaluation::entity::Identity;
use crate::evaluation::moment::{MomentColumn, Untimed};
use crate::ledger::{DatasetRecord, Ledger, Segment};
use crate::run::context::{Context, Workspace};
use crate::table::schema::Schema;
use crate::{Error, Result};

use crate::stage::ingest::part::{From, Part, Recount};
use crate::stage::ingest::report::Ingested;

/// Takes the rows that are not the newest of their key out of the data set `built`, and counts them.
pub(super) fn apply(
    context: &Context,
    workspace: &Workspace,
    built: Built,
    (base, parts): (&mut Option<&DatasetRecord>, &mut Vec<Part>),
    report: &mut Ingested,
) -> Result<Built> {
    let Some(rule) = context.config.latest() else { return Ok(built) };
    let ledger = &workspace.ledger;
    let held = match base {
        Some(base) => ledger.segments(base.version)?,
        None => Vec::new(),
    };
    let earlier = held.iter().map(|segment| segment.rows);
    let sizes: Vec<u64> = earlier.chain(parts.iter().map(|part| part.counts.rows_kept)).collect();
    let schema = schema_of(context, &built);
    let Some(Sifted { built, lost }) = sift(context, &schema, &rule, built, &sizes)? else {
        return Err(Error::data("\"ingestion.key\" names a column that \"schema\" does not have"));
    };
    let (of_held, of_new) = lost.split_at(held.len());
    for (part, lost) in parts.iter_mut().zip(of_new) {
        lost.take_from(&mut part.counts);
        follow(ledger, part)?;
    }
    if of_held.iter().any(|lost| lost.rows() > 0) {
        let earlier = held.iter().zip(of_held);
        let mut all: Vec<Part> = earlier
            .map(|(segment, lost)| earlier_part(ledger, segment, lost.rows()))
            .collect::<Result<_>>()?;
        all.append(parts);
        *parts = all;
        *base = None;
    }
    report.replaced = lost.iter().map(|lost| lost.superseded).sum();
    Ok(built)
}

/// The data set without the rows that are not the newest of their key, of a data set that is made again from
/// files with `sizes` rows.
pub(in crate::stage) fn again(context: &Context, built: Built, sizes: &[u64]) -> Result<Built> {
    let Some(rule) = context.config.latest() else { return Ok(built) };
    let schema = schema_of(context, &built);
    match sift(context, &schema, &rule, built, sizes)? {
        Some(sifted) => Ok(sifted.built),
        None => Err(Error::data("\"ingestion.key\" names a column that \"schema\" does not have")),
    }
}

fn schema_of(context: &Context, built: &Built) -> Schema {
    let schema = context.config.schema.clone();
    match &built.negative_label {
        Some(label) => schema.with_negative_label(label),
        None => schema,
    }
}

/// What the rows of a file lost.
#[derive(Debug, Clone, Copy, Default)]
struct Lost {
    superseded: u64,
    within: u64,
    across: u64,
}

impl Lost {
    fn rows(self) -> u64 {
        self.superseded + self.within + self.across
    }

    fn take_from(self, counts: &mut FileCounts) {
        counts.rows_kept -= self.rows();
        counts.superseded += self.superseded;
        counts.duplicates_within += self.within;
        counts.duplicates_across += self.across;
    }
}

/// A data set, and what its files lost.
struct Sifted {
    built: Built,
    lost: Vec<Lost>,
}

/// `None` if the schema lacks a column of the key.
fn sift(
    context: &Context,
    schema: &Schema,
    rule: &Latest,
    built: Built,
    sizes: &[u64],
) -> Result<Option<Sifted>> {
    let config = &context.config;
    let place = config.output_folder.join("finaldata.csv");
    let options = config.ingestion.without_line_limit();
    let reader = RowReader::labelled(schema, &options).on_threads(config.limits.threads);
    let Some(keys) = Identity::Columns(rule.key.clone()).hasher(schema, RowHasher::random().0)
    else {
        return Ok(None);
    };
    let moments = rule.order_by.as_ref().and_then(|name| MomentColumn::of(schema, name));
    let all = sizes.iter().sum();
    let mut rows = Race::of_rows(all, config.limits.memory, &context.disk, &config.output_folder)?;
    let (mut hashes, mut untimed) = (Vec::new(), Untimed::default());
    let file = built.data.0.reopen()?;
    reader.with_ids().stream(file, &place, CHUNK_BYTES, |table, _, _| {
        keys.of(table, &mut hashes);
        for (i, (key, row)) in hashes.iter().zip(&table.hashes).enumerate() {
            let moment = moments.and_then(|moments| untimed.at(moments, table, i));
            rows.push(&Dated { key: *key, row: *row, moment })?;
        }
        Ok(())
    })?;
    if let Some(words) = untimed.not_in_order(rule.order_by.as_deref().unwrap_or_default()) {
        tracing::warn!("{words}");
    }
    let mut ends = Vec::with_capacity(sizes.len());
    let mut end = 0;
    for size in sizes {
        end += size;
        ends.push(end);
    }
    let fates = rows.settle(&ends)?;
    let mut lost = vec![Lost::default(); sizes.len()];
    let mut start = 0;
    for (lost, end) in lost.iter_mut().zip(&ends) {
        for row in start..*end {
            match fates.of(row) {
                Fate::Stays => {}
                Fate::Superseded => lost.superseded += 1,
                Fate::DuplicateWithin => lost.within += 1,
                Fate::DuplicateAcross => lost.across += 1,
            }
        }
        start = *end;
    }
    if fates.gone == 0 {
        return Ok(Some(Sifted { built, lost }));
    }
    let built = without(context, schema, &reader, built, &fates)?;
    Ok(Some(Sifted { built, lost }))
}

/// The data set without the rows that do not stay.
fn without(
    context: &Context,
    schema: &Schema,
    reader: &RowReader,
    built: Built,
    fates: &Fates,
) -> Result<Built> {
    let place = context.config.output_folder.join("finaldata.csv");
    let mut file = RowFile::create(&context.disk, &place, &schema.header())?;
    let mut number = 0;
    reader.rows_in(built.data.0.reopen()?, &place, |row| {
        let stays = fates.of(number) == Fate::Stays;
        number += 1;
        if stays { file.append(row) } else { Ok(()) }
    })?;
    built.with_rows(file)
}

/// Lets the recorded counts of a content that was taken before follow those of its part.
fn follow(ledger: &Ledger, part: &mut Part) -> Result<()> {
    if part.record.is_some() || !matches!(part.recount, Recount::No) {
        return Ok(());
    }
    let Some(record) = ledger.taken(part.sha256)? else { return Ok(()) };
    let now = match part.from {
        From::File(..) => FileCounts {
            rows_kept: part.counts.rows_kept,
            duplicates_within: part.counts.duplicates_within,
            duplicates_across: part.counts.duplicates_across,
            superseded: part.counts.superseded,
            ..record.counts
        },
        From::LastDataSet(..) => FileCounts {
            rows_kept: part.counts.rows_kept,
            superseded: record.counts.superseded + part.counts.superseded,
            ..record.counts
        },
    };
    part.recount = Recount::To(Box::new(now));
    Ok(())
}

/// A content of the version before, of whose rows some were replaced.
fn earlier_part(ledger: &Ledger, segment: &Segment, replaced: u64) -> Result<Part> {
    let mut part = Part {
        sha256: segment.sha256,
        location: segment.location.clone(),
        replaces: segment.replaces,
        counts: FileCounts::of_kept(segment.rows - replaced),
        record: None,
        recount: Recount::No,
        from: From::LastDataSet(segment.first_row, segment.rows),
    };
    part.counts.superseded = replaced;
    if replaced > 0 {
        follow(ledger, &mut part)?;
    }
    Ok(part)
}

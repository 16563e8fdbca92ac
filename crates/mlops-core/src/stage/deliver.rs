//! Writes the newest data set to the database table that `output.table` names.
//!
//! The database records which versions it has, in the transaction that writes the rows; which versions it
//! should have follows from the ledger. After a kill in between, the next run therefore repeats or finishes
//! the delivery, and a database that cannot be reached delays only its table: the next run delivers what is
//! missing. The ledger also remembers the last delivery, so that a run without news need not ask the database.
//! The contract for databases is [`crate::destination`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{OutputMode, OutputTable};
use crate::csv::canonical_cells::CanonicalCells;
use crate::csv::reader::RowReader;
use crate::destination::{Destination, Version};
use crate::ids::{DatasetVersion, FindingKind};
use crate::ledger::DatasetRecord;
use crate::platform::digest::Digest;
use crate::platform::disk::DiskStep;
use crate::run::attention::Remark;
use crate::run::context::{Context, Workspace};
use crate::source::Around;
use crate::stage::ingest::identity;
use crate::table::schema::Schema;
use crate::{Error, Result, text};

/// The key under which the ledger remembers the last delivery.
const DELIVERED_KEY: &str = "delivered";

/// What a run brought into the table.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// The versions that it brought.
    pub(super) versions: Vec<DatasetVersion>,
    /// Why the table does not have the newest version, if it does not.
    pub(super) behind: Option<String>,
    /// What somebody should know.
    pub(super) warnings: Vec<Remark>,
}

/// A delivery, as the ledger remembers it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    /// A digest of where the table is and what it has.
    to: Digest,
    version: DatasetVersion,
    content: Digest,
}

impl Remembered {
    fn of(table: &OutputTable, newest: &DatasetRecord) -> Self {
        let OutputTable { table: name, mode, version_column, .. } = table;
        let to = serde_json::json!([table.address(), name, mode, version_column]).to_string();
        Self { to: Digest::of(to.as_bytes()), version: newest.version, content: newest.content }
    }
}

/// Brings into the table what it lacks. Errors of the ledger only; others are in the result.
pub(super) fn run(context: &Context, workspace: &mut Workspace) -> Result<Delivered> {
    let mut delivered = Delivered::default();
    let Some(table) = &context.config.output.table else { return Ok(delivered) };
    let Some(newest) = workspace.ledger.latest_dataset()? else { return Ok(delivered) };
    let now = Remembered::of(table, &newest);
    if workspace.ledger.kept(DELIVERED_KEY)?.as_ref() == Some(&now) {
        return Ok(delivered);
    }
    match bring(context, workspace, table, &mut delivered) {
        Ok(()) => workspace.ledger.keep(DELIVERED_KEY, Some(&now))?,
        Err(error) => {
            delivered.behind = Some(text::bounded(format!(
                "the table \"{}\" does not have {} yet: {error}. The data set is complete, and the next \
                 run tries again",
                text::name(&table.table),
                newest.name(),
            )));
        }
    }
    Ok(delivered)
}

fn bring(
    context: &Context,
    workspace: &Workspace,
    table: &OutputTable,
    delivered: &mut Delivered,
) -> Result<()> {
    let ledger = &workspace.ledger;
    let schema = identity::schema(context, workspace)?;
    let mark = ledger.known_mark()?.unwrap_or_default();
    let around = Around { base: &context.config.base, clock: &context.clock };
    let mut destination = context.places.destination(table, &around)?;
    let there = destination.delivered(&mark)?;
    let datasets = ledger.datasets()?;
    let mut left_out = Vec::new();
    for dataset in owed(&datasets, &there, table.mode) {
        let last = datasets.last().is_some_and(|last| last.version == dataset.version);
        let columns = schema.columns().iter().map(|column| &column.name);
        let readable = dataset.location.is_file() && columns.eq(&dataset.columns);
        if !last && !readable {
            left_out.push(dataset.name());
            continue;
        }
        one(context, &schema, &mut *destination, dataset, &mark)?;
        delivered.versions.push(dataset.version);
    }
    if !left_out.is_empty() {
        delivered.warnings.push(Remark::on(FindingKind::TableBehind, &table.table, format!(
            "the table \"{}\" was behind and will never have {}: their files are gone, or have other \
             columns than \"schema\"",
            text::name(&table.table),
            text::names(&left_out)
        )));
    }
    Ok(())
}

/// The versions that the table lacks, in order. It begins with the newest one; a version that is there
/// with other contents comes from a ledger that was replaced by an older copy, and is brought again.
fn owed<'a>(
    datasets: &'a [DatasetRecord],
    there: &BTreeMap<DatasetVersion, Digest>,
    mode: OutputMode,
) -> &'a [DatasetRecord] {
    let is_there = |dataset: &DatasetRecord| there.get(&dataset.version) == Some(&dataset.content);
    let newest = datasets.len().saturating_sub(1);
    match datasets.iter().rposition(is_there) {
        Some(at) if at == newest => {
            // Later versions are of no ledger that is known.
            let later = there.keys().any(|version| *version > datasets[at].version);
            &datasets[if later { at } else { at + 1 }..]
        }
        Some(at) if mode == OutputMode::Append => &datasets[at + 1..],
        _ => &datasets[newest..],
    }
}

/// Brings one version, in one transaction.
fn one(
    context: &Context,
    schema: &Schema,
    destination: &mut dyn Destination,
    dataset: &DatasetRecord,
    workspace: &str,
) -> Result<()> {
    let now = context.now();
    let DatasetRecord { rows, location, .. } = dataset;
    let mut delivery = destination.begin(&Version {
        workspace,
        version: dataset.version,
        content: dataset.content,
        rows: *rows,
        schema,
        now: &now,
    })?;
    let config = &context.config;
    let reader = RowReader::labelled(schema, &config.ingestion).on_threads(config.limits.threads);
    let mut cells = CanonicalCells::default();
    let reading = reader.without_hashes().rows(location, |row| {
        cells.look_at(row);
        let values: Vec<Cow<'_, str>> =
            (0..schema.width()).map(|at| in_utf8(cells.value(row, at))).collect();
        delivery.row(&values)
    })?;
    if reading.digest != dataset.sha256 || reading.rejected > 0 || reading.rows_read != *rows {
        return Err(Error::conflict(format!(
            "{} is not as it was recorded: restore it from a backup",
            location.display()
        )));
    }
    context.disk.announce(DiskStep::Commit, Path::new("the table of the data set"))?;
    delivery.commit()
}

/// A cell of a canonical row, which is UTF-8 throughout.
fn in_utf8(cell: Cow<'_, [u8]>) -> Cow<'_, str> {
    match cell {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RunId;

    fn dataset(version: u32) -> DatasetRecord {
        DatasetRecord {
            version: DatasetVersion(version),
            run_id: RunId::named("run"),
            location: "x".into(),
            sha256: digest(version),
            content: digest(version),
            bytes: 0,
            rows: 0,
            new_rows: 0,
            quarantined: 0,
            columns: Vec::new(),
            recorded: String::new(),
            base: None,
            stamp: None,
        }
    }

    fn digest(n: u32) -> Digest {
        Digest::of(&n.to_le_bytes())
    }

    #[test]
    fn what_is_owed_follows_from_both_records() {
        let all: Vec<DatasetRecord> = [1, 2, 5].map(dataset).into();
        let versions = |there: &[(u32, u32)], mode| -> Vec<u32> {
            let there = there.iter().map(|(v, of)| (DatasetVersion(*v), digest(*of))).collect();
            owed(&all, &there, mode).iter().map(|dataset| dataset.version.0).collect()
        };
        let append = |there: &[(u32, u32)]| versions(there, OutputMode::Append);
        let replace = |there: &[(u32, u32)]| versions(there, OutputMode::Replace);
        assert_eq!(append(&[]), [5], "a table begins with the newest version");
        assert_eq!(append(&[(1, 1)]), [2, 5]);
        assert_eq!(append(&[(1, 1), (2, 2)]), [5]);
        assert!(append(&[(2, 2), (5, 5)]).is_empty() && replace(&[(5, 5)]).is_empty());
        assert_eq!(append(&[(1, 1), (2, 7), (5, 8)]), [2, 5], "of a ledger that is gone");
        assert_eq!(append(&[(5, 5), (6, 6)]), [5], "as well");
        assert_eq!(append(&[(3, 3)]), [5]);
        assert_eq!((replace(&[]), replace(&[(1, 1)])), (vec![5], vec![5]));
        assert!(owed(&[], &BTreeMap::new(), OutputMode::Append).is_empty());
    }
}

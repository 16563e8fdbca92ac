//! The statistics of the newest data set's columns, and findings about them.
//!
//! Not for computing the statistics: see `mlops_core::profile`.

use mlops_core::csv::reader::RowReader;
use mlops_core::ids::FindingKind;
use mlops_core::profile::{ColumnProfile, ColumnSummary, profile_file};
use mlops_core::run::context::{Context, Workspace};
use mlops_core::stage::diagnose::Diagnostics;
use mlops_core::table::date::spell;
use mlops_core::table::schema::Role;
use mlops_core::{Error, Result, stage, text};

use super::subject::Subject;
use crate::report::warning;
use crate::report::{ColumnRow, Finding};

/// The percentage of missing values above which a column gets a warning.
const MANY_MISSING: f64 = 20.0;

/// One row per column; none if the data set is gone or cannot be read.
pub(super) fn of(
    context: &Context,
    workspace: &Workspace,
    subject: &Subject,
    diagnostics: Option<&Diagnostics>,
    warnings: &mut Vec<Finding>,
) -> Result<Vec<ColumnRow>> {
    let Some(dataset) = workspace.ledger.latest_dataset()? else {
        warnings.push(warning("Nothing was ingested yet: there are no column statistics.".into()));
        return Ok(Vec::new());
    };
    let schema = stage::ingest::identity::schema(context, workspace)?;
    // These are the same statistics of the same rows.
    let known =
        diagnostics.filter(|d| d.content == Some(dataset.sha256) && subject.model.schema == schema);
    let profiled = if let Some(known) = known {
        Ok((known.columns.clone(), dataset.sha256))
    } else {
        let reader = RowReader::labelled(&schema, &context.config.ingestion)
            .on_threads(context.config.limits.threads);
        let room = context.config.limits.profile_room();
        profile_file(&reader, &schema, &dataset.location, room)
            .map(|(columns, reading)| (columns, reading.digest))
    };
    let columns = match profiled {
        Ok((columns, digest)) if digest == dataset.sha256 => columns,
        other => {
            let why = other.err().unwrap_or_else(|| {
                Error::conflict(format!(
                    "{} is not what the ledger recorded",
                    dataset.location.display()
                ))
            });
            warnings.push(warning(format!(
                "The newest data set cannot be described: {why}. There are no column statistics."
            )));
            return Ok(Vec::new());
        }
    };
    let rows: Vec<_> = columns.iter().map(row).collect();
    let features = || {
        let rows = columns.iter().zip(&rows);
        let role = |role| !matches!(role, Role::Id | Role::Target);
        rows.filter(move |(column, _)| role(column.role)).map(|(_, row)| row)
    };
    let mut missing = features()
        .filter(|row| row.missing_percent > MANY_MISSING)
        .map(|row| {
            let words = format!(
                "{:.0} % of the values of \"{}\" are missing and were imputed.",
                row.missing_percent,
                text::name(&row.name)
            );
            warning(words).of(FindingKind::EmptyColumn).about([&row.name])
        })
        .collect();
    text::few(&mut missing, |more| {
        let columns = text::plural(more, "more column");
        let words = format!("Over {MANY_MISSING} % of the values of {columns} are missing.");
        warning(words).of(FindingKind::EmptyColumn)
    });
    warnings.append(&mut missing);
    let constant: Vec<String> = features()
        .filter(|row| row.distinct.is_some_and(|n| n < 2))
        .map(|row| format!("\"{}\"", text::name(&row.name)))
        .collect();
    match constant.len() {
        0 => {}
        1 => warnings.push(warning(format!(
            "{} has the same value in every row and is therefore of no use.",
            constant[0]
        ))),
        _ => warnings.push(warning(format!(
            "{} each have the same value in every row and are therefore of no use.",
            text::names(&constant)
        ))),
    }
    Ok(rows)
}

fn row(column: &ColumnProfile) -> ColumnRow {
    let (count, _, missing_percent) = column.summary.presence();
    let kind = match column.role {
        Role::Id => "id",
        Role::Numeric => "number",
        Role::Date => "date",
        Role::Categorical => "category",
        Role::Target => "label",
    };
    let bare = ColumnRow {
        name: column.name.clone(),
        kind: kind.to_owned(),
        count,
        missing_percent,
        ..ColumnRow::default()
    };
    match &column.summary {
        ColumnSummary::Numeric(s) if column.role == Role::Date => ColumnRow {
            kind: match (s.min, s.max) {
                (Some(first), Some(last)) => format!("date, {} to {}", spell(first), spell(last)),
                _ => kind.to_owned(),
            },
            distinct: Some(s.distinct),
            histogram: s.histogram.clone(),
            ..bare
        },
        ColumnSummary::Numeric(s) => ColumnRow {
            histogram: s.histogram.clone(),
            mean: s.mean,
            median: s.median,
            std: s.std_ddof1,
            min: s.min,
            max: s.max,
            distinct: Some(s.distinct),
            ..bare
        },
        ColumnSummary::Categorical(s) => ColumnRow {
            distinct: Some(s.distinct),
            top: s.top.clone(),
            histogram: s.top.iter().map(|(_, count)| *count).collect(),
            ..bare
        },
        ColumnSummary::Id { .. } => bare,
    }
}

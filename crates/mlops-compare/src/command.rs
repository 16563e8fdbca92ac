//! `diagnostics compare`: compares two CSV files, or two versions of the data set.
//!
//! Takes no lock, records nothing, and changes neither file; it writes only the file that
//! `--output` names. Not for joining rows: see [`crate::compare()`].

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::there::There;
use crate::{Comparison, MERGE, Request, Resources, Side, Tolerance};
use mlops_core::ids::DatasetVersion;
use mlops_core::ids::FindingKind;
use mlops_core::ledger::{DatasetRecord, Ledger};
use mlops_core::platform::disk::parent_of;
use mlops_core::platform::files::same_file;
use mlops_core::run::attention::{self, Attention, Finding};
use mlops_core::run::context::{Context, Report};
use mlops_core::{Error, Result};

use mlops_core::stage::output::Output;

/// Memory of a process besides the rows: program, blocks being written, pieces of files.
const FIXED_BYTES: usize = 12 << 20;
/// Memory of a reading thread, including the pieces in its queues.
const THREAD_BYTES: usize = 3 << 20;
/// The least memory given to the rows.
const LEAST_MEMORY: usize = 1 << 20;

/// The user's options.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A file, or a version of the data set by its number or name.
    pub left: String,
    /// The other file or version.
    pub right: String,
    /// The columns that together identify a row; if empty, all that both have.
    pub on: Vec<String>,
    /// The tolerance for numbers in the other columns.
    pub tolerance: Tolerance,
    /// How often a key may occur.
    pub validate: Option<Rule>,
    /// The file for the joined rows.
    pub output: Option<PathBuf>,
    /// Treat a difference as a failure.
    pub exit_code: bool,
}

/// How often a key may occur, in pandas' terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Rule {
    /// Once in each file.
    #[serde(rename = "1:1")]
    OneToOne,
    /// Once in the left file.
    #[serde(rename = "1:m")]
    OneToMany,
    /// Once in the right file.
    #[serde(rename = "m:1")]
    ManyToOne,
}

impl Rule {
    /// All rules by their names.
    pub const ALL: [(&'static str, Self); 3] =
        [("1:1", Self::OneToOne), ("1:m", Self::OneToMany), ("m:1", Self::ManyToOne)];

    fn holds(self, repeated: [u64; 2]) -> bool {
        match self {
            Self::OneToOne => repeated == [0, 0],
            Self::OneToMany => repeated[0] == 0,
            Self::ManyToOne => repeated[1] == 0,
        }
    }
}

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = Self::ALL.iter().find(|(name, _)| *name == text);
        rule.map(|(_, rule)| *rule).ok_or_else(|| "must be 1:1, 1:m or m:1".to_owned())
    }
}

/// One of the compared files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// The name that the user gave; for a version, its file name.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
    /// The version, if it is one of the data set.
    pub version: Option<DatasetVersion>,
}

/// The result of checking the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// The rule.
    pub rule: Rule,
    /// Whether it holds; if not, `repeated` has the keys that break it.
    pub holds: bool,
}

/// The file of joined rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Its path.
    pub path: PathBuf,
    /// The number of its rows.
    pub rows: u64,
}

/// The report of `diagnostics compare`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The left file.
    pub left: Subject,
    /// The right file.
    pub right: Subject,
    /// The figures.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Whether keys occur as often as allowed.
    pub validation: Option<Validation>,
    /// The file of joined rows; `None` if the rule does not hold.
    pub output: Option<Written>,
    /// Data sets that differ from their records.
    pub warnings: Vec<String>,
    /// Treat a difference as a failure.
    #[serde(skip)]
    pub exit_code: bool,
}

impl Report for Compared {
    fn changed(&self) -> bool {
        false
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = self.faults();
        let found = |words| Finding::failed(FindingKind::Difference, words);
        findings.extend(self.warnings.iter().map(found));
        findings
    }

    fn attention(&self) -> Attention {
        // A difference is a result; it affects the exit code only on request.
        let differs = self.exit_code && !self.comparison.equal;
        if differs { Attention::Failed } else { attention::most(&self.findings()) }
    }
}

/// Compares.
pub fn run(context: &Context, options: &Options) -> Result<Compared> {
    let config = &context.config;
    check_tolerance(options.tolerance)?;
    let records = recorded(context)?;
    let (left, left_record) = subject(context, &records, &options.left)?;
    let (right, right_record) = subject(context, &records, &options.right)?;
    let replace = match &options.output {
        Some(path) => {
            let inputs = [&left, &right].map(|side| side.path.as_path());
            Output { path, kind: "comparison", endings: &[MERGE] }.check(config, &inputs)?
        }
        None => false,
    };
    let output = options.output.as_deref();
    let elsewhere = std::env::temp_dir();
    let scratch = match output {
        Some(path) => {
            context.disk.create_folder(parent_of(path))?;
            parent_of(path)
        }
        None => [config.output_folder.as_path(), &config.base]
            .into_iter()
            .find(|folder| folder.is_dir() && context.disk.scratch(folder).is_ok())
            .unwrap_or(&elsewhere),
    };
    let (threads, memory) = (config.limits.threads, config.limits.memory);
    let threads = threads.clamp(1, (memory / 2 / THREAD_BYTES).max(1));
    let besides = FIXED_BYTES + THREAD_BYTES * threads;
    let compared = crate::compare(&Request {
        left: Side { path: &left.path, recorded: left_record.is_some() },
        right: Side { path: &right.path, recorded: right_record.is_some() },
        on: &options.on,
        tolerance: options.tolerance,
        schema: &config.schema,
        options: &config.ingestion,
        output,
        means: Resources {
            disk: &context.disk,
            scratch,
            threads,
            memory: memory.saturating_sub(besides).max(LEAST_MEMORY),
        },
        there: context.engine.as_ref().map(|engine| There { engine, config, disk: &context.disk }),
        progress: &*context.progress,
    })?;
    let validation = options
        .validate
        .map(|rule| Validation { rule, holds: rule.holds(compared.comparison.repeated.keys) });
    let broken = validation.as_ref().is_some_and(|v| !v.holds);
    let output = match (compared.joined, output) {
        // If the rule is broken, the joined rows would not be what was asked for.
        (Some((file, rows)), Some(path)) if !broken => {
            file.publish(replace)?;
            Some(Written { path: path.to_owned(), rows })
        }
        _ => None,
    };
    let each = [(&left, left_record), (&right, right_record)].into_iter().zip(compared.digests);
    let warnings = each
        .filter_map(|((subject, record), digest)| {
            let sound = record.is_none_or(|r| digest == Some(r.sha256));
            (!sound).then(|| {
                format!(
                    "{} is not what the ledger recorded: it was changed or damaged. Restore it, or \
                     run `ingestion --rebuild` to make a new version from the source files",
                    subject.path.display()
                )
            })
        })
        .collect();
    Ok(Compared {
        left,
        right,
        comparison: compared.comparison,
        validation,
        output,
        warnings,
        exit_code: options.exit_code,
    })
}

fn check_tolerance(tolerance: Tolerance) -> Result<()> {
    let each = [("--abs-tol", tolerance.abs), ("--rel-tol", tolerance.rel)];
    let wrong = each.iter().filter(|(_, value)| !value.is_finite() || *value < 0.0);
    let problems: Vec<_> = wrong
        .map(|(name, value)| format!("{name} must be a non-negative number, not {value}"))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::config("the arguments", problems)) }
}

/// All data sets, each with the time when it was removed, if it was.
fn recorded(context: &Context) -> Result<Vec<(DatasetRecord, Option<String>)>> {
    let Some(ledger) = Ledger::open_to_read(&context.config.ledger_path())? else {
        return Ok(Vec::new());
    };
    let with_removal = |record: DatasetRecord| {
        let removed = ledger.dataset_removed(record.version)?;
        Ok((record, removed))
    };
    ledger.datasets()?.into_iter().map(with_removal).collect()
}

/// The file that `text` names or, if there is no such file, the data set with that version.
fn subject<'r>(
    context: &Context,
    records: &'r [(DatasetRecord, Option<String>)],
    text: &str,
) -> Result<(Subject, Option<&'r DatasetRecord>)> {
    let path = Path::new(text);
    if path.is_dir() {
        return Err(Error::data(format!("{text} is a folder: name a CSV file in it")));
    }
    if path.try_exists().map_err(|e| Error::io("read", path, e))? {
        let same = |r: &&(DatasetRecord, _)| path.is_file() && same_file(path, &r.0.location);
        let record = records.iter().find(same).map(|(record, _)| record);
        let version = record.map(|r| r.version);
        let subject = Subject { name: text.to_owned(), path: path.to_owned(), version };
        return Ok((subject, record));
    }
    let rest = text.strip_prefix("finaldata");
    let number = rest.and_then(|t| t.strip_suffix(".csv").or_else(|| t.strip_suffix(".parquet")));
    let version = number.unwrap_or(text).parse().map(DatasetVersion);
    let named = records.iter().find(|(record, _)| Ok(record.version) == version);
    let Some((record, removed)) = named else {
        let known: Vec<_> = records.iter().map(|(r, _)| r.version.to_string()).collect();
        let known = match known.as_slice() {
            [] => format!("no data set is recorded in {}", context.config.output_folder.display()),
            some => format!("the data sets are: {}", mlops_core::text::names(some)),
        };
        return Err(Error::missing(format!(
            "there is no file {text}, and no such version of the data set ({known}): name a CSV file, \
             or a version by its number or file name"
        )));
    };
    let path = record.location.clone();
    if !path.try_exists().map_err(|e| Error::io("read", &path, e))? {
        let why = match removed {
            Some(when) => format!("was removed by retention at {when}"),
            None => "is recorded, but its file is gone: restore it".to_owned(),
        };
        return Err(Error::missing(format!("{} {why} ({text})", path.display())));
    }
    let name = record.name();
    Ok((Subject { name, path, version: Some(record.version) }, Some(record)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_about_the_side_with_the_one() {
        for (text, rule) in Rule::ALL {
            assert_eq!(text.parse(), Ok(rule));
            assert!(rule.holds([0, 0]));
            assert!(!rule.holds([1, 1]));
            assert_eq!(rule.holds([1, 0]), rule == Rule::ManyToOne);
            assert_eq!(rule.holds([0, 1]), rule == Rule::OneToMany);
        }
        assert!("m:m".parse::<Rule>().is_err());
    }
}

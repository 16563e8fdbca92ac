//! `diagnostics compare`: two CSV files, or two versions of the data set, side by side.
//!
//! Takes no lock, records nothing, and changes neither file; what it may write is the file that
//! `--output` names. Not for how rows are joined: see [`crate::compare()`].

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{Comparison, MERGE, Request, Resources, Side, Tolerance};
use mlops_core::ids::DatasetVersion;
use mlops_core::ledger::{DatasetRecord, Ledger};
use mlops_core::platform::disk::parent_of;
use mlops_core::platform::files::same_file;
use mlops_core::run::attention::{self, Attention, Finding};
use mlops_core::run::context::{Context, Report};
use mlops_core::{Error, Result};

use mlops_core::stage::output::Output;

/// Memory of a process besides the rows: program, blocks on the way to the disk, pieces of files.
const FIXED_BYTES: usize = 12 << 20;
/// Memory of a thread that reads, with the pieces on their way to it and from it.
const THREAD_BYTES: usize = 3 << 20;
/// The rows are never given less memory than this.
const LEAST_MEMORY: usize = 1 << 20;

/// What the user may ask for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A file, or a version of the data set by its number or name.
    pub left: String,
    /// The same.
    pub right: String,
    /// The columns that together name a row; all that both have, if empty.
    pub on: Vec<String>,
    /// How far numbers of the other columns may lie apart.
    pub tolerance: Tolerance,
    /// How often a key may come.
    pub validate: Option<Rule>,
    /// Where the joined rows go.
    pub output: Option<PathBuf>,
    /// Whether a difference is a failure.
    pub exit_code: bool,
}

/// How often a key may come, in the words of pandas.
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

/// What was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// As the user named it; of a version, its file's name.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
    /// The version of the data set that it is.
    pub version: Option<DatasetVersion>,
}

/// Whether the rule holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// The rule.
    pub rule: Rule,
    /// Whether it holds; else `repeated` says of which keys it does not.
    pub holds: bool,
}

/// The file of joined rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Its path.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
}

/// What `diagnostics compare` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The left file.
    pub left: Subject,
    /// The right file.
    pub right: Subject,
    /// The figures.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Whether keys come as often as they may.
    pub validation: Option<Validation>,
    /// Where the joined rows are; nowhere if the rule does not hold.
    pub output: Option<Written>,
    /// Data sets that are not as recorded.
    pub warnings: Vec<String>,
    /// Whether a difference is a failure.
    #[serde(skip)]
    pub exit_code: bool,
}

impl Report for Compared {
    fn changed(&self) -> bool {
        false
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = self.faults();
        findings.extend(self.warnings.iter().map(Finding::failed));
        findings
    }

    fn attention(&self) -> Attention {
        // A difference is an answer: it is said by the exit code, if that was asked for.
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
        progress: &*context.progress,
    })?;
    let validation = options
        .validate
        .map(|rule| Validation { rule, holds: rule.holds(compared.comparison.repeated.keys) });
    let broken = validation.as_ref().is_some_and(|v| !v.holds);
    let output = match (compared.joined, output) {
        // Whoever asked for the rule would join rows that must not be joined.
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
        .map(|(name, value)| format!("{name} must be a number from 0 on, not {value}"))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::config("the arguments", problems)) }
}

/// All data sets, and when those that were removed were.
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

/// What `text` names: a file, which comes first, or a version of the data set.
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
    let number = text.strip_prefix("finaldata").and_then(|t| t.strip_suffix(".csv"));
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
    let name = record.version.file_name();
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

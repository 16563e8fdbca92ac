//! Checks a configuration against the disk and the newest file of rows: folders, columns, labels. Changes
//! nothing.
//!
//! Not for the configuration as such, which was checked when it was read.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use mlops_core::config::sources::Place;
use mlops_core::config::{Config, Ingestion};
use mlops_core::csv::number::Number;
use mlops_core::dataset::discover::{self, SourceFile, Stamp};
use mlops_core::evaluation::moment::{NO_TIME, is_time};
use mlops_core::ids::FindingKind;
use mlops_core::run::attention::Finding;
use mlops_core::run::context::{Context, Report};
use mlops_core::table::date;
use mlops_core::table::schema::Role;
use mlops_core::{Result, text};
use rustix::fs::{Access, access};
use serde::Serialize;

use crate::sample::{Column, Sample};

/// What a check found.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// The configuration file.
    pub config: PathBuf,
    /// The newest file of rows, which was looked at.
    pub newest: Option<PathBuf>,
    /// Its readable rows.
    pub rows: u64,
    /// How many of the looked-at rows are positive, and how many are looked at.
    pub positives: Option<(usize, usize)>,
    /// What would keep a run from ending well.
    pub problems: Vec<Problem>,
}

/// What would keep a run from ending well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The folder that this key names is not there.
    NoFolder(&'static str, PathBuf),
    /// What this key names is there, but is no folder.
    NotAFolder(&'static str, PathBuf),
    /// The folder cannot be read.
    Unreadable(&'static str, PathBuf),
    /// The folder, or the one in which it would be made, cannot be written to.
    Unwritable(&'static str, PathBuf),
    /// There is no file of rows.
    NoFile,
    /// The newest file cannot be read.
    BadFile(String),
    /// The newest file lacks the column.
    NoColumn(String),
    /// So many of the looked-at cells of a column are not what the schema says: the column, an example, the
    /// cells, of how many.
    Cells(String, String, usize, usize),
    /// So many of the looked-at cells of a column that tells the time of a row are no times: the key that names the column,
    /// and the same as above.
    Times(&'static str, String, String, usize, usize),
    /// The target has other values than the two labels: the column, and some of them.
    Labels(String, Vec<String>),
    /// All labels are the same.
    OneClass(String, String),
}

impl Problem {
    /// The same of the times of rows, which `key` names.
    fn of_times(self, key: &'static str) -> Self {
        match self {
            Self::Cells(name, example, rows, all) => Self::Times(key, name, example, rows, all),
            other => other,
        }
    }
}

/// Checks the configuration of `context`.
pub fn run(context: &Context) -> Result<Checked> {
    let config = &context.config;
    let problems = folders(config);
    let mut checked =
        Checked { config: config.file.clone(), newest: None, rows: 0, positives: None, problems };
    match newest(context) {
        Some(file) => rows(context, &file, &mut checked),
        // What is fetched is there only after the first run.
        None if config.sources.iter().any(|source| !matches!(source.place, Place::Folder(_))) => {}
        None => checked.problems.push(Problem::NoFile),
    }
    Ok(checked)
}

/// What is wrong with the folders that `config` names.
pub(crate) fn folders(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let optional = !config.sources.is_empty();
    read(&mut problems, "input_folder_path", &config.input_folder, optional);
    if config.source_folder != config.input_folder {
        read(&mut problems, "source_folder_path", &config.source_folder, optional);
    }
    for (key, folder) in [
        ("output_folder_path", &config.output_folder),
        ("output_model_path", &config.output_model),
        ("models_path", &config.models),
        ("test_data_path", &config.test_data),
    ] {
        written(&mut problems, key, folder);
    }
    let pointer = config.deployment.parent().unwrap_or(Path::new(""));
    written(&mut problems, "prod_deployment_path", pointer);
    problems
}

fn read(problems: &mut Vec<Problem>, key: &'static str, folder: &Path, optional: bool) {
    match fs::metadata(folder) {
        Err(_) if optional => {}
        Err(_) => problems.push(Problem::NoFolder(key, folder.to_owned())),
        Ok(found) if !found.is_dir() => problems.push(Problem::NotAFolder(key, folder.to_owned())),
        Ok(_) if fs::read_dir(folder).is_err() => {
            problems.push(Problem::Unreadable(key, folder.to_owned()));
        }
        Ok(_) => {}
    }
}

/// A folder that a run makes if it is not there.
fn written(problems: &mut Vec<Problem>, key: &'static str, folder: &Path) {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = folder.ancestors().find(|at| fs::symlink_metadata(at).is_ok());
    let Some(there) = there else { return };
    if !there.is_dir() {
        problems.push(Problem::NotAFolder(key, there.to_owned()));
    } else if access(there, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        problems.push(Problem::Unwritable(key, there.to_owned()));
    }
}

/// The newest file of rows in the input folder and in sources that are folders.
fn newest(context: &Context) -> Option<SourceFile> {
    let config = &context.config;
    let input = discover::input(config, config.input()).ok();
    let sources =
        config.sources.iter().filter_map(|source| discover::matching(config, source).ok());
    let all = input.into_iter().chain(sources).flat_map(|listing| listing.candidates);
    let stamped = all.filter_map(|file| {
        let stamp = Stamp::of(&fs::metadata(&file.path).ok()?);
        Some((stamp.modified_ns, file))
    });
    stamped.max_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name))).map(|(_, file)| file)
}

/// Compares the rows of `file` with the schema.
fn rows(context: &Context, file: &SourceFile, checked: &mut Checked) {
    let (config, schema) = (&context.config, &context.config.schema);
    checked.newest = Some(file.path.clone());
    let reading = config.reading_at(&file.path);
    let theirs = reading.columns.theirs(schema);
    let sample = match Sample::read_as(&file.path, reading, &theirs) {
        Ok(sample) => sample,
        Err(error) => return checked.problems.push(Problem::BadFile(error.to_string())),
    };
    checked.rows = sample.rows;
    for (column, theirs) in schema.columns().iter().zip(theirs) {
        let Some(cells) = sample.columns.iter().find(|found| found.name == theirs) else {
            checked.problems.push(Problem::NoColumn(theirs));
            continue;
        };
        let good = |text: &str| match column.role {
            Role::Numeric => Number::read(text, reading.numbers).is_some(),
            Role::Date => date::read(text, reading.date_pattern.as_deref()).is_some(),
            _ => true,
        };
        match column.role {
            Role::Target => labels(context, cells, reading, checked),
            Role::Numeric | Role::Date => checked.problems.extend(odd(cells, reading, good)),
            Role::Id | Role::Categorical => {
                for (key, name) in [
                    ("holdout.time", &config.holdout.time),
                    ("ingestion.order_by", &config.ingestion.order_by),
                ] {
                    if name.as_ref() == Some(&column.name) {
                        let odd = odd(cells, reading, is_time);
                        checked.problems.extend(odd.map(|problem| problem.of_times(key)));
                    }
                }
            }
        }
    }
}

/// Cells of a column that are neither missing nor `good`, if they are too many.
fn odd(column: &Column, reading: &Ingestion, good: impl Fn(&str) -> bool) -> Option<Problem> {
    let counts = column.counts();
    let wrong = |text: &str| !reading.missing_values.iter().any(|gap| gap == text) && !good(text);
    let odd = || column.levels.iter().zip(&counts).filter(|(text, _)| wrong(text));
    let (rows, all) = (odd().map(|(_, rows)| rows).sum::<usize>(), column.codes.len());
    let share = rows as f64 / all.max(1) as f64;
    let example = odd().next()?.0.clone();
    (share > reading.max_rejected_share)
        .then(|| Problem::Cells(column.name.clone(), example, rows, all))
}

fn labels(context: &Context, column: &Column, reading: &Ingestion, checked: &mut Checked) {
    let schema = &context.config.schema;
    let spelt = mlops_core::csv::clean::Labels::of(schema);
    let counts = column.counts();
    let (mut positives, mut known, mut others) = (0, 0, Vec::new());
    for (text, rows) in column.levels.iter().zip(&counts) {
        if *rows == 0 || reading.missing_values.iter().any(|gap| gap == text) {
            continue;
        }
        match spelt.known_as(text) {
            Some(label) if label == schema.positive_label() => {
                (positives, known) = (positives + rows, known + rows);
            }
            Some(_) => known += rows,
            None => others.push((text.clone(), *rows)),
        }
    }
    // Without a configured negative label the only other one is it.
    if schema.negative_label().is_none() && others.len() == 1 {
        known += others.remove(0).1;
    }
    let name = column.name.clone();
    // A few are quarantined. Without a negative label nothing says which of them are few.
    let odd: usize = others.iter().map(|(_, rows)| rows).sum();
    let share = odd as f64 / column.codes.len().max(1) as f64;
    let many = schema.negative_label().is_none() || share > reading.max_rejected_share;
    if !others.is_empty() && many {
        let texts = others.into_iter().map(|(text, _)| text).take(text::MOST_NAMES).collect();
        checked.problems.push(Problem::Labels(name, texts));
    } else if known > 0 && (positives == 0 || positives == known) {
        let word = if positives == 0 { "negative" } else { "positive" };
        checked.problems.push(Problem::OneClass(name, word.to_owned()));
    }
    checked.positives = Some((positives, known));
}

impl Report for Checked {
    fn changed(&self) -> bool {
        false
    }

    fn findings(&self) -> Vec<Finding> {
        let finding =
            |problem: &Problem| Finding::failed(FindingKind::default(), problem.to_string());
        self.problems.iter().map(finding).collect()
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: the keys and values are sound", text::printed(&self.config))?;
        if let Some(newest) = &self.newest {
            write!(
                f,
                "Newest file: {}, {}",
                text::printed(newest),
                text::plural(self.rows, "row")
            )?;
            if let Some((positives, of)) = self.positives.filter(|(_, of)| *of > 0) {
                write!(f, ", {:.1} % positive", 100.0 * positives as f64 / of as f64)?;
            }
            writeln!(f)?;
        }
        match self.problems.len() as u64 {
            0 => writeln!(f, "No problem found. Next: first_run"),
            n => writeln!(f, "{} found", text::plural(n, "problem")),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder(key, folder) => {
                write!(
                    f,
                    "there is no folder {}: create it, or change \"{key}\"",
                    text::printed(folder)
                )
            }
            Self::NotAFolder(key, folder) => {
                write!(f, "{} is not a folder: change \"{key}\"", text::printed(folder))
            }
            Self::Unreadable(key, folder) => write!(
                f,
                "the folder {} cannot be read by this user: change its permissions, or \"{key}\"",
                text::printed(folder)
            ),
            Self::Unwritable(key, folder) => write!(
                f,
                "this user cannot write to {}: change its permissions, or \"{key}\"",
                text::printed(folder)
            ),
            Self::NoFile => {
                f.write_str("there is no file of rows in \"input_folder_path\": put one there")
            }
            Self::BadFile(why) => write!(f, "the newest file cannot be read: {why}"),
            Self::NoColumn(name) => write!(
                f,
                "the newest file has no column \"{}\": correct its name in \"schema\", or take it out there",
                text::name(name)
            ),
            Self::Cells(name, example, rows, all) => write!(
                f,
                "\"{}\" is not what \"schema\" says in {} of {} rows, such as \"{}\": list it elsewhere in \
                 \"schema\", or name spellings of a missing value in \"ingestion.missing_values\"",
                text::name(name),
                text::count(*rows as u64),
                text::count(*all as u64),
                text::name(example)
            ),
            Self::Times(key, name, example, rows, all) => write!(
                f,
                "\"{}\" (\"{key}\") is {NO_TIME} in {} of {} rows, such as \"{}\": name another column, or list \
                 it in \"schema.date\" with \"ingestion.date_pattern\"",
                text::name(name),
                text::count(*rows as u64),
                text::count(*all as u64),
                text::name(example)
            ),
            Self::Labels(name, texts) => write!(
                f,
                "the target \"{}\" has other values than its two labels: {}; correct \
                 \"schema.positive_label\" and \"schema.negative_label\", or choose another target",
                text::name(name),
                text::names(texts)
            ),
            Self::OneClass(name, class) => write!(
                f,
                "all labels in \"{}\" are {class}: nothing can be learned from them; look at \
                 \"schema.positive_label\"",
                text::name(name)
            ),
        }
    }
}

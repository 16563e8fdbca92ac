//! `diagnostics`: predictions of the live model for a data set, statistics of its columns, timings
//! of past runs, and the versions of the program's dependencies.
//!
//! Not for judging the model: see [`super::score`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Config;
use crate::csv::reader::RowReader;
use crate::ids::{FindingKind, ReleaseId, Step};
use crate::ledger::{DatasetRecord, Ledger};
use crate::model::{Explainer, Model, Predictor, ReferenceRow};
use crate::outcomes::OfRelease;
use crate::platform::digest::Digest;
use crate::platform::engine::Engine;
use crate::platform::files;
use crate::profile::{ColumnProfile, ColumnSummary, ColumnsProfile};
use crate::release::{Release, pretty};
use crate::run::asked::Asked;
use crate::run::attention::Finding;
use crate::run::context::{self, Context, LeftOut, Report, Workspace};
use crate::table::date;
use crate::table::schema::Role;
use crate::text;
use crate::{Error, Result};

use super::diagnose_there::{self, Found, RowsThere};
use super::prediction_counts::BatchResult;
pub use super::prediction_counts::PredictionCounts;
use super::predictions::{self, Answerer, Answers, PredictionFile};
use super::record_predictions::PredictionLog;
use super::timings;
pub use super::timings::{Measured, Timing};

/// The file that this stage writes.
pub const DIAGNOSTICS: &str = "diagnostics.json";
/// The user's options.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The rows to predict; by default the newest data set.
    pub data: Option<PathBuf>,
    /// The file for the predictions, row by row.
    pub output: Option<PathBuf>,
    /// For each row of that file, the number of columns to name that moved its prediction the most.
    pub explain: usize,
    /// Also add each row of that file to the log of predictions.
    pub record: bool,
    /// How often to time ingestion and training on a scratch copy.
    pub measure: u32,
    /// The program's direct dependencies.
    pub dependencies: Vec<Dependency>,
    /// Also compute the digest of the rows, for reuse of the statistics.
    pub identify: bool,
}

/// A direct dependency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The package name.
    pub name: String,
    /// The version that the program was built with.
    pub version: String,
    /// The latest version in the registry, if that was asked for and the registry answered.
    pub latest: Option<String>,
    /// Why the latest version is unknown.
    pub reason: Option<String>,
}

/// The report of `diagnostics`; the content of `diagnostics.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnostics {
    /// Version of this file's format.
    pub format_version: u32,
    /// When it was written.
    pub recorded: String,
    /// The live release.
    pub release: ReleaseId,
    /// The file with the rows.
    pub data: String,
    /// What the release was asked for, by the log of predictions, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Why that is unknown, if the log could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_unknown: Option<String>,
    /// Counts of predictions.
    pub predictions: PredictionCounts,
    /// Statistics of the columns.
    pub columns: Vec<ColumnProfile>,
    /// Timings of past runs, by step.
    pub timings: Vec<Timing>,
    /// Timings of this run's scratch copies, by step, in seconds.
    pub measured: Vec<Measured>,
    /// The program's direct dependencies.
    pub dependencies: Vec<Dependency>,
    /// The file with the predictions, row by row.
    pub output: Option<String>,
    /// The file of the log of predictions that has them too, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logged: Option<String>,
    /// The predictions of this release with labels that came later, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<OfRelease>,
    /// What its explanations compare a row with, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ReferenceRow>,
    /// The digest of the rows, if it was asked for.
    #[serde(skip)]
    pub content: Option<Digest>,
    /// The number of items that this lacks, by list, if it was read from the record of a run.
    #[serde(default, skip_serializing_if = "LeftOut::is_empty")]
    pub left_out: LeftOut,
}

impl Report for Diagnostics {
    fn findings(&self) -> Vec<Finding> {
        let of = |why: &String| format!("what is asked is unknown: {why}");
        let unknown = |why| Finding::warning(FindingKind::Upkeep, of(why));
        self.asked_unknown.iter().map(unknown).collect()
    }

    fn record(&self, longest: usize) -> serde_json::Result<Value> {
        // As JSON values, thousands of columns take several times the memory of their statistics.
        let mut kept = self.clone();
        kept.columns.truncate(longest);
        let mut value = serde_json::to_value(&kept)?;
        let mut left_out = context::shorten(&mut value, longest);
        if let more @ 1.. = self.columns.len() - kept.columns.len() {
            left_out.insert("columns".to_owned(), more as u64);
        }
        context::say_left_out(&mut value, &left_out);
        Ok(value)
    }
}

/// Examines the live release and its data; writes `diagnostics.json`.
pub fn run(context: &Context, workspace: &mut Workspace, options: &Options) -> Result<Diagnostics> {
    let release = context.store().live_release()?;
    of(context, workspace, &release, options)
}

/// Like [`run`], for the live `release`, which was just read from disk.
pub fn of(
    context: &Context,
    workspace: &mut Workspace,
    release: &Release,
    options: &Options,
) -> Result<Diagnostics> {
    let config = &context.config;
    let model = &release.model;
    // A copy of the records has links to the data sets.
    let place = |d: DatasetRecord| std::fs::read_link(&d.location).unwrap_or(d.location);
    let newest = workspace.ledger.latest_dataset()?.map(place);
    let (path, reader) = match (&options.data, newest) {
        (Some(path), _) => (path.clone(), RowReader::prediction(&model.schema, &config.ingestion)),
        (None, Some(path)) => (path, RowReader::labelled(&model.schema, &config.ingestion)),
        (None, None) => {
            return Err(Error::missing(
                "there is no ingested data yet: run `ingestion` first, or name a file with --data",
            ));
        }
    };
    let log = options.record.then(|| PredictionLog::of(context, release)).transpose()?;
    let answerer = Answerer::new(model, options.explain, &config.reasons);
    let file = match &options.output {
        Some(output) => {
            predictions::check(config, output, &path)?;
            Some(PredictionFile::create(context, &answerer, output, log.as_ref())?)
        }
        None => None,
    };
    let rows = RowsOut { answerer: &answerer, log: log.as_ref(), file };
    let engine = context.engine.as_ref().filter(|_| diagnose_there::can_read(config, model, &path));
    let (predictions, columns, digest, logged) = match engine {
        Some(engine) => predict_there(context, engine, (model, &path), options, rows)?,
        None => predict(context, model, (&reader, &path), options, rows)?,
    };
    let explains = options.explain > 0 && options.output.is_some();
    // A log that cannot be read stops nothing.
    let asked = super::asked::run(context, workspace, release, None).map_err(|e| e.to_string());
    let report = Diagnostics {
        format_version: 1,
        recorded: context.now(),
        release: release.id.clone(),
        data: path.display().to_string(),
        asked_unknown: asked.as_ref().err().cloned(),
        asked: asked.unwrap_or_default(),
        predictions,
        columns,
        timings: timings::of_past_runs(workspace)?,
        measured: timings::measure(context, options.measure)?,
        dependencies: options.dependencies.clone(),
        output: options.output.as_ref().map(|p| p.display().to_string()),
        logged: logged.map(|path| path.display().to_string()),
        outcomes: super::outcomes::newest(&workspace.ledger)?
            .and_then(|all| all.of(&release.id).cloned()),
        reference: explains.then(|| Explainer::new(model).reference_row()),
        content: Some(digest).filter(|_| options.identify),
        left_out: LeftOut::new(),
    };
    context.disk.write(&config.output_model.join(DIAGNOSTICS), &pretty(&report)?)?;
    Ok(report)
}

/// The newest diagnostics of `release`: from `diagnostics.json`, which has all columns, or if that is
/// gone or about another release, from the record of the run, which has the first ones.
pub fn newest(
    config: &Config,
    ledger: &Ledger,
    release: &ReleaseId,
) -> Result<Option<Diagnostics>> {
    let written = files::read(&config.output_model.join(DIAGNOSTICS)).ok();
    let written = written.and_then(|bytes| serde_json::from_slice::<Diagnostics>(&bytes).ok());
    if let Some(found) = written.filter(|found| found.release == *release) {
        return Ok(Some(found));
    }
    let recorded = ledger.report_on(Step::Diagnostics, release)?;
    // A record written by another version may lack some of this.
    Ok(recorded.and_then(|record| serde_json::from_str(&record).ok()))
}

/// Where the rows go one by one, if they are wanted.
struct RowsOut<'a> {
    answerer: &'a Answerer<'a>,
    log: Option<&'a PredictionLog>,
    file: Option<PredictionFile<'a>>,
}

/// Counts of predictions, statistics, the digest of the rows, and the file of the log.
type Predicted = (PredictionCounts, Vec<ColumnProfile>, Digest, Option<PathBuf>);

/// Predictions and statistics of a file of which `engine` reads the rows.
fn predict_there(
    context: &Context,
    engine: &Arc<dyn Engine>,
    (model, path): (&Model, &Path),
    options: &Options,
    RowsOut { log, mut file, .. }: RowsOut,
) -> Result<Predicted> {
    let rows = file.as_mut().map(|file| RowsThere {
        explain: options.explain,
        log: log.map(|log| log.of_run.clone()),
        take: Box::new(|there| file.append_files(there)),
    });
    let labelled = options.data.is_none();
    let Found { counts, columns, digest } =
        diagnose_there::look(context, engine, model, (path, labelled), (options.identify, rows))?;
    let logged = file.map_or(Ok(None), |file| file.publish(context))?;
    Ok((counts, columns, digest, logged))
}

/// One pass over the file: predictions and statistics.
fn predict(
    context: &Context,
    model: &Model,
    (reader, path): (&RowReader, &Path),
    options: &Options,
    RowsOut { answerer, log, mut file }: RowsOut,
) -> Result<Predicted> {
    let predictor = Predictor::new(model);
    let mut reader = reader.without_hashes();
    if !options.identify {
        reader = reader.without_digest();
    }
    if file.is_some() {
        reader = reader.with_ids();
    }
    let keep = file.is_some();
    // If each line is a row, lines need not be counted; that is known at the end. Rows that are no text
    // have no header.
    let first_line = if path.extension().is_some_and(|end| end == "parquet") { 1 } else { 2 };
    let mut line = first_line;
    let reader = reader.on_threads(context.config.limits.threads);
    let (reading, looks) = reader.each(
        path,
        || BatchResult::new(model, context.config.limits.profile_room()),
        |look, table, answers: &mut Answers| {
            look.add(&predictor, table);
            if keep {
                answerer.explain(table, answers);
                if log.is_some_and(PredictionLog::has_features) {
                    answers.take_features(table);
                }
                answers.take_ids(table);
                std::mem::swap(&mut answers.probabilities, &mut look.probabilities);
            }
        },
        |answers| match &mut file {
            Some(file) => {
                let lines = line..;
                line += answers.probabilities.len() as u64;
                file.append(answerer, answers, lines)
            }
            None => Ok(()),
        },
    )?;
    if let Some(output) = &options.output
        && !(reading.is_plain() && reading.first_line == first_line)
    {
        let mut exact = PredictionFile::create(context, answerer, output, log)?;
        exact.fill(answerer, &reader, path)?;
        file = Some(exact);
    }
    let mut counts = PredictionCounts::default();
    let mut profiles = Vec::new();
    for look in looks {
        counts.add(&look.counts);
        profiles.push(look.profile);
    }
    (counts.rows, counts.rejected) = (reading.rows_read, reading.rejected);
    let logged = file.map_or(Ok(None), |file| file.publish(context))?;
    let columns = ColumnsProfile::finish(profiles, &model.schema, &reader, path, &reading)?;
    Ok((counts, columns, reading.digest, logged))
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.predictions;
        writeln!(f, "Release {} on {}", self.release, text::one_line(&self.data))?;
        writeln!(
            f,
            "{}: {} predicted positive, {} negative{}{}{}{}",
            text::plural(counts.rows, "row"),
            text::count(counts.positive),
            text::count(counts.negative),
            more(counts.unanswered, "without an answer"),
            more(counts.rejected, "unreadable"),
            more_of(counts.imputed, "missing cell", " filled"),
            match counts.unknown_categories {
                1 => ", 1 unknown category".to_owned(),
                n => more(n, "unknown categories"),
            },
        )?;
        if let Some(output) = &self.output {
            writeln!(f, "Predictions: {}", text::one_line(output))?;
        }
        if let Some(logged) = &self.logged {
            writeln!(f, "Logged in {}", text::one_line(logged))?;
        }
        if let Some(outcomes) = &self.outcomes {
            writeln!(f, "{}", outcomes.total)?;
        }
        if let Some(reference) = &self.reference {
            writeln!(f, "Contributions are differences in log-odds from {reference}")?;
        }
        f.write_str("\n")?;
        f.write_str(&columns_table(&self.columns))?;
        let categorical = self.columns.iter().filter_map(|c| match &c.summary {
            ColumnSummary::Categorical(s) => Some((&c.name, s)),
            _ => None,
        });
        for (name, summary) in categorical.take(text::MOST_NAMES) {
            let top: Vec<String> = summary
                .top
                .iter()
                .take(5)
                .map(|(value, n)| format!("{} ({})", text::name(value), text::count(*n)))
                .collect();
            writeln!(
                f,
                "  {}: {} different; most frequent {}",
                text::name(name),
                text::count(summary.distinct),
                top.join(", ")
            )?;
        }
        f.write_str("\n")?;
        if let Some(asked) = &self.asked {
            writeln!(f, "{asked}")?;
        }
        for timing in &self.timings {
            let seconds: Vec<f64> = timing.history.iter().map(|(_, s)| *s).collect();
            writeln!(
                f,
                "{} took {:.3} s the last time{}",
                timing.step,
                timing.last_seconds,
                if seconds.len() > 1 { timings::spread(&seconds) } else { String::new() }
            )?;
        }
        for measured in &self.measured {
            writeln!(f, "{} measured now{}", measured.step, timings::spread(&measured.seconds))?;
        }
        let number = text::count(self.dependencies.len() as u64);
        if self.dependencies.iter().any(|d| d.latest.is_some() || d.reason.is_some()) {
            f.write_str(&text::table(&dependency_rows(&self.dependencies)))
        } else {
            writeln!(
                f,
                "{number} direct dependencies built in (versions in {DIAGNOSTICS}; --check-latest \
                 asks for newer ones)"
            )
        }
    }
}

/// The table of dependencies for people; a star marks those with a newer version.
fn dependency_rows(dependencies: &[Dependency]) -> Vec<Vec<String>> {
    let mut rows = vec![["dependency", "built in", "latest"].map(str::to_owned).to_vec()];
    rows.extend(dependencies.iter().map(|d| {
        let latest = match (&d.latest, &d.reason) {
            (Some(latest), _) if *latest != d.version => format!("{latest} *"),
            (Some(latest), _) => latest.clone(),
            (None, reason) => format!("unknown: {}", reason.as_deref().unwrap_or("not asked")),
        };
        vec![d.name.clone(), d.version.clone(), latest]
    }));
    rows
}

fn more(n: u64, what: &str) -> String {
    if n == 0 { String::new() } else { format!(", {} {what}", text::count(n)) }
}

/// Like [`more`] with a noun in its number, and what follows it.
fn more_of(n: u64, noun: &str, rest: &str) -> String {
    if n == 0 { String::new() } else { format!(", {}{rest}", text::plural(n, noun)) }
}

/// The table of column statistics for people; only some columns if there are many.
pub fn columns_table(columns: &[ColumnProfile]) -> String {
    let shown = &columns[..columns.len().min(text::MOST_NAMES)];
    let table = text::table(&column_rows(shown));
    match (columns.len() - shown.len()) as u64 {
        0 => table,
        more => format!("{table}  and {} more in {DIAGNOSTICS}\n", text::count(more)),
    }
}

/// The rows of the table of statistics.
fn column_rows(columns: &[ColumnProfile]) -> Vec<Vec<String>> {
    let head = [
        "column",
        "mean",
        "median",
        "mode",
        "std (ddof 1)",
        "min",
        "q25",
        "q75",
        "max",
        "missing",
        "%",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for column in columns {
        let (_, missing, percent) = column.summary.presence();
        let mut row = vec![text::name(&column.name).into_owned()];
        // The deviation of dates stays a number of days.
        let spelt = if column.role == Role::Date { date::spell } else { text::number };
        match column.summary.numeric() {
            Some(s) => {
                let mode = match (s.modes.first(), s.mode_count) {
                    (Some(mode), 1) => spelt(*mode),
                    (Some(mode), n) => format!("{} +{}", spelt(*mode), n - 1),
                    (None, _) => "-".to_owned(),
                };
                let shown = |v: Option<f64>| v.map_or("-".to_owned(), spelt);
                let days = |v: Option<f64>| v.map_or("-".to_owned(), text::number);
                row.extend([shown(s.mean), shown(s.median), mode]);
                row.push(days(s.std_ddof1));
                row.extend([s.min, s.q25, s.q75, s.max].map(shown));
            }
            None => row.extend((0..8).map(|_| String::new())),
        }
        row.extend([text::count(missing), format!("{percent:.1}")]);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_can_be_read_back_and_says_how_much_it_lacks() {
        let column = |name: &str| ColumnProfile {
            name: name.to_owned(),
            role: Role::Id,
            summary: ColumnSummary::Id { count: 1, missing: 0, missing_percent: 0.0 },
        };
        let history = (0..3).map(|i| (i.to_string(), 1.0)).collect();
        let diagnostics = Diagnostics {
            format_version: 1,
            recorded: String::new(),
            release: "r-1-000000000000".parse().unwrap(),
            data: "a.csv".to_owned(),
            asked: None,
            asked_unknown: None,
            predictions: PredictionCounts::default(),
            columns: ["a", "b", "c"].map(column).to_vec(),
            timings: vec![Timing { step: Step::Training, last_seconds: 1.0, history }],
            measured: Vec::new(),
            dependencies: Vec::new(),
            output: None,
            logged: None,
            outcomes: None,
            reference: None,
            content: None,
            left_out: LeftOut::new(),
        };
        for (longest, left_out) in [(2, &[1, 1][..]), (3, &[]), (4, &[])] {
            let record = diagnostics.record(longest).unwrap();
            let read: Diagnostics = serde_json::from_value(record.clone()).unwrap();
            assert_eq!(read.columns, diagnostics.columns[..longest.min(3)]);
            let names = ["columns", "timings.history"].map(str::to_owned);
            let expected = names.into_iter().zip(left_out.iter().copied()).collect();
            assert_eq!(read.left_out, expected, "{longest}");
            // The columns are cut first only to save memory.
            let mut whole = serde_json::to_value(&diagnostics).unwrap();
            let rest = context::shorten(&mut whole, longest);
            context::say_left_out(&mut whole, &rest);
            assert_eq!(record, whole, "{longest}");
        }
    }
}

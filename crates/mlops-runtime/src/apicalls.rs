//! `apicalls`: calls every endpoint of a running app with the rows of a data file, and stores all
//! answers in `apireturns.txt` and `apireturns.json`.
//!
//! Not for the calls themselves: see `mlops_client`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mlops_client::call::{self, Api, Call, PREDICT_TOKEN, READ_TOKEN};
use mlops_client::data::Data;
use mlops_client::predictions::DataFile;
use mlops_client::returns::{JSON, Returns, TEXT, comparison};
use mlops_client::round;
use mlops_core::ids::FindingKind;
use mlops_core::ledger::Ledger;
use mlops_core::run::attention::Finding;
use mlops_core::run::context::{Context, Report};
use mlops_core::run::test_files::TestFiles;
use mlops_core::{Error, Result, text};
use serde::Serialize;

use crate::console::OUTCOME;
use crate::environment::secret;

/// Maximum number of attempts per call.
const ATTEMPTS: u32 = 4;
/// How long `fullprocess` waits for the app to serve a new release, which should take less than a
/// second.
const RELOAD: Duration = Duration::from_secs(10);
/// Time limit for the calls of `fullprocess` together.
const CALLS: Duration = Duration::from_mins(1);

/// The maximum number of calls shown to people; there are fewer endpoints.
const MOST_CALLS: usize = 40;

/// The user's options.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The app's address; by default the configured one.
    pub url: Option<String>,
    /// The rows to predict; by default the newest test data.
    pub data: Option<PathBuf>,
}

/// The outcome of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every call succeeded.
    Answered,
    /// There was no answer, or it was not from the app.
    Unreachable,
    /// The app serves another release than the live one.
    OtherRelease,
    /// The app answered with an error, or the answers could not be stored.
    Failed,
}

/// The results of the calls.
#[derive(Debug, Clone, Serialize)]
pub struct ApiCalls {
    /// The outcome.
    pub outcome: Outcome,
    /// The app's address.
    pub url: String,
    /// The release that answered.
    pub release: Option<String>,
    /// The errors in words.
    pub errors: Vec<String>,
    /// The time of the answers with which `changes` compares.
    pub compared_with: Option<String>,
    /// The differences since then, in words.
    pub changes: Vec<String>,
    /// The calls, without their answers.
    pub calls: Vec<Called>,
    /// The files whose rows were sent.
    pub data: Vec<DataFile>,
    /// The number of rows by predicted label.
    pub predictions: BTreeMap<String, u64>,
    /// The files that were written; none unless the app answered.
    pub files: Vec<String>,
    #[serde(skip)]
    words: String,
}

/// A call without its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Called {
    /// The call in words: `GET /scoring`.
    pub call: String,
    /// Whether it asked for predictions.
    #[serde(skip)]
    pub predicts: bool,
    /// The status of the answer.
    pub status: Option<u16>,
    /// The release that answered.
    pub release: Option<String>,
    /// The number of attempts.
    pub attempts: u32,
    /// The duration in seconds.
    pub seconds: f64,
}

impl Report for ApiCalls {
    fn changed(&self) -> bool {
        !self.files.is_empty()
    }

    fn findings(&self) -> Vec<Finding> {
        let examples = self.data.iter().flat_map(|file| &file.examples);
        let mut words = examples.map(|example| format!("not sent: {example}")).collect();
        text::few(&mut words, |more| {
            format!("{}, not shown", text::plural(more, "more like these"))
        });
        let found = |words| Finding::warning(FindingKind::Data, words);
        let mut findings: Vec<Finding> = words.into_iter().map(found).collect();
        if self.failed() {
            findings.push(Finding::failed(FindingKind::ServiceDegraded, &self.words));
        }
        findings
    }
}

/// Calls every endpoint and stores the answers, including errors. Fails unless the app answers
/// every call as expected.
pub fn run(context: &Context, options: &Options) -> Result<ApiCalls> {
    let files = match &options.data {
        Some(path) => vec![path.clone()],
        None => test_files(context)?,
    };
    if files.is_empty() {
        return Err(Error::missing(format!(
            "there are no test data in {} to send: name a file with --data",
            context.config.test_data.display()
        )));
    }
    let url = options.url.as_deref();
    let report = call(context, &connection(context, url, None)?, &files)?;
    let advice = "Start the app with `make app`, or name its address with --url or \
                  \"apicalls.url\" in the configuration";
    match report.outcome {
        Outcome::Answered => Ok(report),
        Outcome::Unreachable => Err(Error::remote(format!("{}. {advice}", report.words))),
        Outcome::Failed if report.calls.is_empty() => Err(Error::remote(report.words)),
        Outcome::OtherRelease | Outcome::Failed => {
            let mut errors = report.errors;
            text::few(&mut errors, |more| text::plural(more, "more error"));
            Err(Error::remote(format!(
                "the app at {} did not answer as expected:\n  - {}\nall answers are in {}",
                report.url,
                errors.join("\n  - "),
                context.config.output_model.join(TEXT).display()
            )))
        }
    }
}

/// Makes the calls after a promotion without ever failing it: waits briefly for the app to serve
/// `release`. If there is no app, that is noted; an app that answers unexpectedly needs attention.
pub fn after_promotion(context: &Context, release: &str) -> ApiCalls {
    let report = promoted(context, release).unwrap_or_else(|error| {
        let url = context.config.apicalls.url.clone();
        ApiCalls::without_answers(Outcome::Failed, url, error.to_string())
    });
    if !report.failed() {
        tracing::info!(target: OUTCOME, "{}", report.words);
    }
    report
}

fn promoted(context: &Context, release: &str) -> Result<ApiCalls> {
    // An app that hangs must not use up the run's time limit.
    let quarter = context.config.limits.stage.map_or(Duration::MAX, |limit| limit / 4);
    let first = round::wait_for(&connection(context, None, Some(RELOAD.min(quarter)))?, release);
    let url = context.config.apicalls.url.trim_end_matches('/').to_owned();
    if !first.from_app() {
        return Ok(without_app(url, &first));
    }
    let mut report = if first.release.as_deref().is_none_or(|served| served == release) {
        let api = connection(context, None, Some(CALLS.min(quarter)))?;
        call(context, &api, &test_files(context)?)?
    } else {
        let mut report = ApiCalls::without_answers(Outcome::OtherRelease, url, String::new());
        report.release = first.release;
        report
    };
    if let Some(other) = report.release.as_deref().filter(|served| *served != release) {
        report.outcome = Outcome::OtherRelease;
        report.words = format!(
            "the app at {} serves {other} and not {release}, which is live: see its log, or \
             restart it",
            report.url
        );
        report.errors = vec![report.words.clone()];
    }
    Ok(report)
}

/// The newest test data.
fn test_files(context: &Context) -> Result<Vec<PathBuf>> {
    let ledger = Ledger::open_to_read(&context.config.ledger_path())?;
    let holdouts = ledger.map(|ledger| ledger.holdouts()).transpose()?.unwrap_or_default();
    let found = TestFiles::find(context, &holdouts)?;
    Ok(found.current.into_iter().map(|file| file.path).collect())
}

/// A connection to `url`, or to the configured address; with a time limit for all calls, to an app
/// that need not exist.
fn connection(context: &Context, url: Option<&str>, within: Option<Duration>) -> Result<Api> {
    let configured = &context.config.apicalls;
    let options = call::Options {
        url: url.unwrap_or(&configured.url).to_owned(),
        read_token: secret(READ_TOKEN),
        predict_token: secret(PREDICT_TOKEN),
        timeout: configured.timeout,
        attempts: ATTEMPTS,
        within,
        only_if_up: within.is_some(),
        request_id: context.run.to_string(),
    };
    Api::new(options, Arc::clone(&context.clock))
}

/// Makes the calls and stores the answers, if there are any.
fn call(context: &Context, api: &Api, files: &[PathBuf]) -> Result<ApiCalls> {
    let config = &context.config;
    let (schema, options) = (&config.schema, &config.ingestion);
    let data = Data { schema, options, files, max_body: config.service.max_body_bytes };
    let round = round::run(api, &data)?;
    if !round.calls.iter().any(Call::from_app) {
        let first = round.calls.first().ok_or_else(|| Error::remote("no call was made"))?;
        return Ok(without_app(api.url().to_owned(), first));
    }
    let folder = &config.output_model;
    let returns = Returns::new(round, api.url(), context.now(), folder);
    returns.write(&context.disk, folder)?;
    let files = [TEXT, JSON].map(|name| folder.join(name).display().to_string());
    Ok(ApiCalls::of(returns, files.to_vec()))
}

/// The result if there is no app, another server, or an app that hangs.
fn without_app(url: String, call: &Call) -> ApiCalls {
    let error = call.error.as_deref().unwrap_or("its answer does not name a release");
    if call.hung {
        let words = format!(
            "the app at {url} accepts connections but does not answer: {error}. See its log, or \
             restart it"
        );
        return ApiCalls::without_answers(Outcome::Failed, url, words);
    }
    let words = match call.status {
        None => format!("no answer from {url}: {error}"),
        Some(status) => {
            format!(
                "the server at {url} is not the app: {} returned {status}, {error}",
                call.name()
            )
        }
    };
    ApiCalls::without_answers(Outcome::Unreachable, url, words)
}

impl ApiCalls {
    fn without_answers(outcome: Outcome, url: String, words: String) -> Self {
        Self {
            outcome,
            url,
            release: None,
            errors: vec![words.clone()],
            compared_with: None,
            changes: Vec::new(),
            calls: Vec::new(),
            data: Vec::new(),
            predictions: BTreeMap::new(),
            files: Vec::new(),
            words,
        }
    }

    fn of(returns: Returns, files: Vec<String>) -> Self {
        let outcome = if returns.errors.is_empty() { Outcome::Answered } else { Outcome::Failed };
        let release = returns.release.as_deref().unwrap_or("no single release");
        let words = if outcome == Outcome::Answered {
            format!("{} answers with {release}", returns.url)
        } else {
            let mut errors = returns.errors.clone();
            text::few(&mut errors, |more| text::plural(more, "more error"));
            text::bounded(format!("the app at {} failed: {}", returns.url, errors.join("; ")))
        };
        let predictions = returns.predictions.unwrap_or_default();
        let called = |call: Call| Called {
            call: call.name(),
            predicts: call.predicts(),
            status: call.status,
            release: call.release,
            attempts: call.attempts,
            seconds: call.seconds,
        };
        Self {
            outcome,
            url: returns.url,
            release: returns.release,
            errors: returns.errors,
            compared_with: returns.compared_with,
            changes: returns.changes,
            calls: returns.calls.into_iter().map(called).collect(),
            data: predictions.files,
            predictions: predictions.labels,
            files,
            words,
        }
    }
}

impl fmt::Display for ApiCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.words)?;
        let rows: Vec<Vec<String>> = self
            .calls
            .iter()
            .take(MOST_CALLS)
            .map(|call| {
                let status = call.status.map_or("-".to_owned(), |status| status.to_string());
                let more = if call.predicts { self.predicted() } else { String::new() };
                vec![call.call.clone(), status, more]
            })
            .collect();
        f.write_str(&text::list(&rows))?;
        match self.calls.len().saturating_sub(MOST_CALLS) as u64 {
            0 => {}
            more => writeln!(f, "  and {}", text::plural(more, "more call"))?,
        }
        f.write_str(&comparison(self.compared_with.as_deref(), &self.changes))?;
        writeln!(f, "Written: {}", self.files.join(", "))
    }
}

impl ApiCalls {
    /// A line for the report of a run that did more than this; errors are among the findings.
    pub fn line(&self) -> Option<String> {
        (!self.failed()).then(|| format!("App: {}", self.words))
    }

    /// Whether the app exists but does not serve what it should.
    fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::OtherRelease | Outcome::Failed)
    }

    /// The numbers of rows sent and of predictions.
    fn predicted(&self) -> String {
        let files: Vec<String> = self
            .data
            .iter()
            .map(|file| format!("{} of {}", text::plural(file.rows, "row"), text::name(&file.name)))
            .collect();
        let rejected: u64 = self.data.iter().map(|file| file.rejected).sum();
        let rejected = match rejected {
            0 => String::new(),
            n => format!(" ({} unreadable and not sent)", text::count(n)),
        };
        let labels: Vec<String> = self
            .predictions
            .iter()
            .map(|(label, rows)| format!("{} predicted {}", text::count(*rows), text::name(label)))
            .collect();
        format!("{}{rejected}: {}", text::names(&files), text::names(&labels))
    }
}

//! Terminal output: reports on standard output, logs and errors on standard error.
//!
//! The only file that prints. Not for the content of reports and errors.
use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{IsTerminal, Write as _};
use std::sync::Arc;

use mlops_core::ids::{RunId, Severity};
use mlops_core::platform::clock::{Clock as _, SystemClock, rfc3339};
use mlops_core::platform::lines::Lines;
use mlops_core::run::attention::{Fact, Finding};
use mlops_core::run::context::Report;
use mlops_core::text::{bounded, plural, printable, printable_json};
use mlops_core::{Error, ErrorKind};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{self, Format, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{Common, progress};

/// Target of log lines on how a run ended. On a terminal for people, other text says it.
pub(crate) const OUTCOME: &str = "mlops_runtime::outcome";

/// Target of a run's report: for its log file, since the terminal has it on standard output.
const REPORT: &str = "mlops_runtime::report";

/// Bytes of a service's log that may be queued for writing.
const LOG_ROOM: usize = 1 << 20;

/// Sends log lines to standard error, and those from "info" on to `file`; each names the run.
pub(crate) fn start_log(common: &Common, run: Option<&RunId>, file: Option<File>) {
    let level = level(common);
    let run = run.map_or("-", RunId::as_str);
    let outcome = if json(common) { level } else { LevelFilter::OFF };
    let terminal = layer(common, run, std::io::stderr().is_terminal(), std::io::stderr)
        .with_filter(
            ours(level).with_target(OUTCOME, outcome).with_target(REPORT, LevelFilter::OFF),
        );
    let file = file.map(|file| {
        layer(common, run, false, Arc::new(file)).with_filter(ours(level.max(LevelFilter::INFO)))
    });
    // A second call in one process, as in tests, keeps the first log.
    let shown = progress::is_wanted(common).then(progress::Iterations::layer);
    let _ = tracing_subscriber::registry().with(terminal).with(file).with(shown).try_init();
}

/// The level from which on lines are printed.
fn level(common: &Common) -> LevelFilter {
    match (common.quiet, common.verbose) {
        (true, _) | (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    }
}

/// Our own lines from `level` on, and warnings of libraries.
fn ours(level: LevelFilter) -> Targets {
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("mlops", level)
}

fn json(common: &Common) -> bool {
    common.log_format == "json"
}

type Boxed<S> = Box<dyn Layer<S> + Send + Sync>;

/// A layer that writes lines in the requested format to `writer`.
fn layer<S, W>(common: &Common, run: &str, colour: bool, writer: W) -> Boxed<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    // By default tracing-subscriber respects NO_COLOR.
    let layer = if colour { layer } else { layer.with_ansi(false) };
    let run = run.to_owned();
    if json(common) {
        let style = Style::Json(format::json().with_target(false));
        layer.fmt_fields(format::JsonFields::new()).event_format(Stamped { run, style }).boxed()
    } else {
        let style = Style::Text(format::format().with_target(false));
        layer.event_format(Stamped { run, style }).boxed()
    }
}

/// Prefixes all lines with the run id, whichever thread they come from.
struct Stamped {
    run: String,
    style: Style,
}

enum Style {
    Text(Format),
    Json(Format<format::Json>),
}

impl<S, N> FormatEvent<S, N> for Stamped
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let (run, mut text) = (&self.run, String::new());
        match &self.style {
            Style::Text(style) => {
                let style = style.clone().with_ansi(writer.has_ansi_escapes());
                style.format_event(context, Writer::new(&mut text), event)?;
                let text = if writer.has_ansi_escapes() { text.into() } else { printable(&text) };
                text.lines().try_for_each(|line| writeln!(writer, "{run} {line}"))
            }
            Style::Json(style) => {
                style.format_event(context, Writer::new(&mut text), event)?;
                // The line is a JSON object, and a run id needs no escapes.
                let text = printable_json(&text);
                let members = text.strip_prefix('{').unwrap_or(&text);
                write!(writer, "{{\"run\":\"{run}\",{members}")
            }
        }
    }
}

/// Logs panics too.
pub(crate) fn log_panics(common: &Common) {
    let (print, json) = (std::panic::take_hook(), json(common));
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!(target: OUTCOME, "{panic}");
        if !json {
            print(panic);
        }
    }));
}

/// Prints a report, for people or for programs; returns whether it could be written.
pub(crate) fn print(common: &Common, report: &impl Report) -> bool {
    if common.json {
        match serde_json::to_string_pretty(report) {
            Ok(document) => deliver(&printable_json(&(document + "\n"))),
            Err(error) => {
                complain(&format!("error: the report cannot be written as JSON: {error}\n"));
                false
            }
        }
    } else {
        common.quiet || deliver(&printable(&report.to_string()))
    }
}

/// Prints a part of a report as soon as it is known, in the format for people.
pub(crate) fn say(common: &Common, text: &str) {
    if !common.json && !common.quiet {
        // Failures are reported at the end of the report, whose last lines fail too.
        deliver(&printable(text));
    }
}

/// Prints findings to standard error, even with `--quiet`, and logs them with the facts and the
/// whole report.
pub(crate) fn print_findings(common: &Common, report: &impl Report) {
    for line in report.to_string().lines() {
        tracing::info!(target: REPORT, "{line}");
    }
    for Fact { name, value } in report.facts() {
        tracing::info!(target: REPORT, fact = name, value, "fact");
    }
    for Finding { severity, text, .. } in report.findings() {
        let text = bounded(text);
        let word = match severity {
            Severity::Warning => "warning",
            Severity::Person => "attention",
            Severity::Failed => "error",
        };
        match severity {
            Severity::Warning => tracing::warn!(target: OUTCOME, "{text}"),
            Severity::Person => tracing::warn!(target: OUTCOME, "a person is needed: {text}"),
            Severity::Failed => tracing::error!(target: OUTCOME, "{text}"),
        }
        if !json(common) {
            complain(&format!("{word}: {text}\n"));
        }
    }
}

/// An error with its causes, one line each.
pub(crate) fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  because: {source}");
        cause = source.source();
    }
    text
}

/// Prints an error with its causes, and logs it.
pub(crate) fn print_error(common: &Common, error: &Error) {
    let text = bounded(with_causes(error));
    tracing::error!(target: OUTCOME, kind = kind(error), "{text}");
    if !json(common) {
        complain(&format!("error: {text}\n"));
    }
    if common.json {
        let document = serde_json::json!({ "error": { "kind": kind(error), "message": bounded(error.to_string()) } });
        deliver(&printable_json(&format!("{document:#}\n")));
    }
}

/// Prints why a program without a report did not do what it was told.
pub(crate) fn print_words(words: &str) {
    complain(&format!("error: {}\n", bounded(words.to_owned())));
}

/// Writes to standard output. A closed pipe, as after `head`, is success; any other failure is
/// reported.
fn deliver(text: &str) -> bool {
    let written = progress::aside(|| {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    });
    match written {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!(
                "error: cannot write to standard output\n  \
                 because: {e}\n"
            ));
            false
        }
        _ => true,
    }
}

/// The queue through which a service writes to standard error.
pub(crate) fn lines(common: &Common) -> Lines {
    let json = json(common);
    let tell = move |lost: u64| {
        let time = rfc3339(SystemClock::default().now());
        let lost = plural(lost, "line");
        let words = format!("{lost} of this log were dropped: its reader is too slow");
        if json {
            let line = serde_json::json!({ "timestamp": time, "level": "WARN", "message": words });
            format!("{line}\n")
        } else {
            format!("{time} WARN {words}\n")
        }
    };
    Lines::to("log", LOG_ROOM, std::io::stderr(), tell)
}

/// Sends log lines to `lines`; panics become lines too, since printing them could block.
pub(crate) fn start_service_log(common: &Common, run: &RunId, lines: &Arc<Lines>) {
    let (level, sink) = (level(common), Waiting(Arc::clone(lines)));
    let outcome = if json(common) { level } else { LevelFilter::OFF };
    let colour = std::io::stderr().is_terminal();
    let layer = layer(common, run.as_str(), colour, move || sink.clone())
        .with_filter(ours(level).with_target(OUTCOME, outcome));
    let _ = tracing_subscriber::registry().with(layer).try_init();
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}

/// A writer of log lines that never blocks.
#[derive(Clone)]
struct Waiting(Arc<Lines>);

impl std::io::Write for Waiting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether somebody reads what is printed and can answer.
pub(crate) fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for a line at the terminal; `None` at its end.
pub(crate) fn ask(question: &str) -> Option<String> {
    complain(question);
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.ok().filter(|bytes| *bytes > 0).map(|_| line.trim().to_owned())
}

/// Prints a text to standard error, where questions are.
pub(crate) fn complain(text: &str) {
    // Without standard error nothing more can be done.
    let _ = progress::aside(|| std::io::stderr().lock().write_all(printable(text).as_bytes()));
}

fn kind(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Config { .. } => "config",
        ErrorKind::Schema { .. } => "schema",
        ErrorKind::Data(_) => "data",
        ErrorKind::Missing(_) => "missing",
        ErrorKind::Conflict(_) => "conflict",
        ErrorKind::Locked(_) => "locked",
        ErrorKind::NotConverged(_) => "not_converged",
        ErrorKind::Artifact { .. } => "artifact",
        ErrorKind::Io { .. } => "io",
        ErrorKind::Remote(_) => "remote",
        _ => "backend",
    }
}

//! `apireturns.json` and `apireturns.txt`: all answers of a round, for programs and for people.
//!
//! Not for making the calls: see [`crate::round`].

use std::fmt::Write as _;
use std::path::Path;

use mlops_core::platform::disk::Disk;
use mlops_core::{Result, release, text};
use serde::{Deserialize, Serialize};

use crate::call::{Call, PREDICT_TOKEN, READ_TOKEN};
use crate::changes::{self, Answers};
use crate::predictions::Predictions;
use crate::readable;
use crate::round::Round;

/// The file for programs, with which the next round compares.
pub const JSON: &str = "apireturns.json";
/// The file for people.
pub const TEXT: &str = "apireturns.txt";

/// All answers of a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Returns {
    /// Version of this file's format.
    pub format_version: u32,
    /// When the answers came, RFC 3339, UTC.
    pub recorded: String,
    /// The app's address.
    pub url: String,
    /// The release that answered; `None` if there were several, or none was named.
    pub release: Option<String>,
    /// The time of the answers with which `changes` compares; `None` if these are the first.
    pub compared_with: Option<String>,
    /// The differences since then, in words.
    pub changes: Vec<String>,
    /// Problems with the answers, in words.
    pub errors: Vec<String>,
    /// The calls with their answers.
    pub calls: Vec<Call>,
    /// The combined predictions.
    pub predictions: Option<Predictions>,
}

impl Returns {
    /// The answers of `round`, compared with those in `folder`.
    pub fn new(round: Round, url: &str, recorded: String, folder: &Path) -> Self {
        let releases = round.releases();
        let mut errors: Vec<String> = round.calls.iter().filter_map(wrong).collect();
        if releases.len() > 1 {
            let releases = releases.iter().copied().collect::<Vec<_>>().join(", ");
            errors.push(format!(
                "the release kept changing between the calls ({releases}): call again when \
                 deployments are done"
            ));
        }
        let release = (releases.len() == 1).then(|| releases.iter().map(|r| (*r).to_owned()));
        let mut returns = Self {
            format_version: 1,
            recorded,
            url: url.to_owned(),
            release: release.and_then(|mut releases| releases.next()),
            compared_with: None,
            changes: Vec::new(),
            errors,
            calls: round.calls,
            predictions: round.predictions,
        };
        // Answers that cannot be read or have another format are not compared.
        let before: Option<Self> = release::parse(&folder.join(JSON)).ok();
        if let Some(before) = before.filter(|before| before.format_version == 1) {
            returns.changes = changes::between(before.answers(), returns.answers());
            returns.compared_with = Some(before.recorded);
        }
        returns
    }

    /// The parts that are compared with other rounds.
    fn answers(&self) -> Answers<'_> {
        let Self { url, release, calls, predictions, .. } = self;
        Answers { url, release, calls, predictions }
    }

    /// Writes both files into `folder`, each atomically.
    pub fn write(&self, disk: &Disk, folder: &Path) -> Result<()> {
        disk.write(&folder.join(JSON), &release::pretty(self)?)?;
        disk.write(&folder.join(TEXT), self.text().as_bytes())
    }

    /// The content of `apireturns.txt`.
    pub fn text(&self) -> String {
        let release = self.release.as_deref().unwrap_or("no single release");
        let mut out = format!("{} answered by {release}, {}\n\n", self.url, self.recorded);
        out.push_str(&comparison(self.compared_with.as_deref(), &self.changes));
        for call in &self.calls {
            let status = call.status.map_or("no answer".to_owned(), |status| status.to_string());
            let _ = writeln!(out, "\n{} {status}", call.name());
            if let Some(error) = &call.error {
                let _ = writeln!(out, "  error: {error}");
            }
            if let Some(predictions) = self.predictions.as_ref().filter(|_| call.predicts()) {
                predictions.summary().lines().for_each(|line| {
                    let _ = writeln!(out, "  {line}");
                });
            }
            out.push_str(&readable::of(&call.answer));
        }
        if let Some(predictions) = &self.predictions {
            out.push_str("\nPredictions, row by row\n");
            out.push_str(&predictions.table());
        }
        out
    }
}

/// The changes since the answers of `then`, as lines for people.
pub fn comparison(then: Option<&str>, changes: &[String]) -> String {
    let Some(then) = then else {
        return "These are the first answers, so that there is nothing to compare them with.\n"
            .to_owned();
    };
    if changes.is_empty() {
        return format!("Nothing changed since the last call ({then}).\n");
    }
    let mut lines = format!("Changed since the last call ({then}):\n");
    for change in changes {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "  {change}");
    }
    lines
}

/// The problem with a call, in words, if there is one.
fn wrong(call: &Call) -> Option<String> {
    let error = call.error.as_ref()?;
    let tries = match call.attempts {
        0 | 1 => String::new(),
        n => format!(" (after {n} tries)"),
    };
    let token = if call.method == "GET" { READ_TOKEN } else { PREDICT_TOKEN };
    Some(match call.status {
        Some(status @ (401 | 403)) if call.with_token => format!(
            "{} answered {status}{tries}: {error}; the token in {token} is not the app's for it: put \
             the one there that the app was started with",
            call.name()
        ),
        Some(status @ (401 | 403)) => format!(
            "{} answered {status}{tries}: {error}; put the app's token for it into {token}",
            call.name()
        ),
        Some(status) => format!("{} answered {status}{tries}: {error}", call.name()),
        None => format!("{} was not answered{tries}: {error}", call.name()),
    })
}

impl Predictions {
    /// A summary of rows sent and predictions received.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        for file in &self.files {
            let _ = write!(out, "{}: {}", file.name, text::plural(file.rows, "row"));
            if file.rejected > 0 {
                let _ = write!(out, ", {} unreadable and not sent", text::count(file.rejected));
            }
            out.push('\n');
            for example in &file.examples {
                let _ = writeln!(out, "  {}", crate::call::plain(example));
            }
        }
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(label, rows)| format!("{} predicted {label}", text::count(*rows)))
            .collect();
        let _ = writeln!(out, "{}", labels.join(", "));
        out
    }

    /// The stored rows, aligned.
    fn table(&self) -> String {
        let kept = &self.kept;
        let mut rows = vec![["", "prediction", "probability"].map(str::to_owned).to_vec()];
        let answers = kept.predictions.iter().zip(&kept.probabilities);
        rows.extend(kept.ids.iter().zip(answers).map(|(id, (label, probability))| {
            vec![id.clone(), label.clone(), format!("{probability:.4}")]
        }));
        let mut out = text::table(&rows);
        let more = self.rows.saturating_sub(kept.predictions.len() as u64);
        if more > 0 {
            let _ = writeln!(
                out,
                "  and {} not listed here: `diagnostics --data FILE --output FILE` writes all",
                text::plural(more, "row")
            );
        }
        out
    }
}

//! Long-term figures for monitoring: the score of the live release, drift, and the last success of
//! each step, as text in Prometheus format, for `/metrics` or a file.
//!
//! Read from the ledger and the release; nothing is computed or written. Not for the metrics of
//! requests: see the service.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use crate::Result;
use crate::evaluation::estimate::Expected;
use crate::expect::Level;
use crate::ids::{FindingKind, ReleaseId, Severity, Step};
use crate::ledger::{Ledger, SourceState};
use crate::outcomes::{OfRelease, Outcomes};
use crate::run::asked::{AskedWindow, headline};
use crate::run::decision::Decision;
use crate::text;

/// Steps whose last success is reported.
const STEPS: [Step; 3] = [Step::Ingestion, Step::Training, Step::FullProcess];

/// Releases whose realised scores are reported, those that predicted last.
const RELEASES: usize = 5;

/// The figures for monitoring.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// The live release with F1 on its test set, if both are known.
    pub live: Option<(ReleaseId, f64)>,
    /// What the live release was asked for.
    pub asked: Option<AskedWindow>,
    /// The newest decision.
    pub decision: Option<Decision>,
    /// Steps with the time of their last success, RFC 3339.
    pub successes: Vec<(Step, String)>,
    /// When rows last arrived, in nanoseconds since 1970.
    pub newest_data_ns: Option<i64>,
    /// The number of rows of all files so far, by outcome.
    pub rows: Vec<(&'static str, u64)>,
    /// How the sources stood when they were last looked at.
    pub sources: Vec<SourceState>,
    /// Predictions and their labels, if these are joined.
    pub outcomes: Option<Outcomes>,
    /// How many findings are open, by kind and severity.
    pub findings: Vec<(FindingKind, Severity, u64)>,
    /// How many alerts wait to be sent; `None` if none was ever.
    pub alerts: Option<usize>,
}

impl Figures {
    /// Reads the figures from `ledger`; `live` is as in [`Figures::live`].
    pub fn read(ledger: &Ledger, live: Option<(ReleaseId, f64)>) -> Result<Self> {
        let newest = ledger.decision(None)?;
        // If another version wrote the decision, the other figures are reported without it.
        let decision = newest.and_then(|d| serde_json::from_str(&d.decision).ok());
        let windows = match &live {
            Some((release, _)) => super::asked::newest(ledger, release)?,
            None => Vec::new(),
        };
        let asked = headline(&windows).cloned();
        let mut successes = Vec::new();
        for step in STEPS {
            let mut last = ledger.last_success(step)?;
            if step == Step::Ingestion {
                // An ingestion within another step made a data set.
                last = last.max(ledger.latest_dataset()?.map(|d| d.recorded));
            }
            successes.extend(last.map(|at| (step, at)));
        }
        let newest_data_ns = ledger.newest_data_ns()?;
        let rows = ledger.row_totals()?.to_vec();
        let sources = ledger.source_states()?;
        let outcomes = super::outcomes::newest(ledger)?;
        let findings = ledger.open_findings()?;
        let told = ledger.alerts_looked()?.is_some();
        let alerts = if told { Some(ledger.waiting_alerts()?.len()) } else { None };
        Ok(Self {
            live,
            asked,
            decision,
            successes,
            newest_data_ns,
            rows,
            sources,
            outcomes,
            findings,
            alerts,
        })
    }

    /// The figures in Prometheus text format.
    pub fn prometheus(&self) -> String {
        let mut out = String::new();
        let mut gauge = |name: &str, help: &str, lines: Vec<(String, f64)>| {
            if !lines.is_empty() {
                let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
            }
            for (labels, value) in lines {
                let _ = writeln!(out, "{name}{labels} {value}");
            }
        };
        let live = self.live.iter();
        let f1 = live.map(|(id, f1)| (format!("{{version=\"{id}\"}}"), *f1)).collect();
        gauge("mlops_model_f1", "F1 of the live release on its test set.", f1);
        self.asked(&mut gauge);
        let judged =
            self.decision.as_ref().and_then(|d| Some((d.live.as_ref()?, d.drift.as_ref()?)));
        let new = judged
            .iter()
            .map(|(live, drift)| (format!("{{version=\"{}\"}}", live.release), drift.new_f1));
        let help = "F1 of the live release on the rows that were judged last.";
        gauge("mlops_model_new_rows_f1", help, new.collect());
        let verdict = judged.iter().filter_map(|(live, drift)| {
            let drifted = f64::from(u8::from(drift.drifted?));
            Some((format!("{{version=\"{}\"}}", live.release), drifted))
        });
        let help = "Whether that release drifted; absent if there were too few rows.";
        gauge("mlops_model_drift", help, verdict.collect());
        let columns = self.decision.iter().filter_map(|d| d.data_drift.as_ref());
        let columns = columns.flat_map(|d| &d.columns).flat_map(|column| {
            let comparison = &column.comparison;
            let of = |test: &str, value| {
                (format!("{{column=\"{}\",test=\"{test}\"}}", escaped(&column.column)), value)
            };
            let p = of("p_value", comparison.p_value);
            let psi = comparison.psi.map(|s| of("psi", s.value));
            let js = comparison.jensen_shannon.map(|s| of("jensen_shannon", s.value));
            let ks = column.kolmogorov_smirnov.map(|s| of("kolmogorov_smirnov", s.value));
            [Some(p), psi, js, ks]
        });
        let help = "New rows against the training rows, by column, when rows were judged last.";
        gauge("mlops_drift_score", help, columns.flatten().collect());
        let times = self.successes.iter().filter_map(|(step, at)| {
            let at = DateTime::parse_from_rfc3339(at).ok()?.timestamp_millis() as f64 / 1000.0;
            Some((format!("{{step=\"{step}\"}}"), at))
        });
        let help = "Time of the last success of a step, in seconds since 1970.";
        gauge("mlops_last_success_timestamp_seconds", help, times.collect());
        let rows =
            self.rows.iter().map(|(outcome, n)| (format!("{{outcome=\"{outcome}\"}}"), *n as f64));
        let help = "Rows of all files so far, by outcome.";
        gauge("mlops_ingest_rows_total", help, rows.collect());
        let newest = self.newest_data_ns.map(|ns| (String::new(), ns as f64 / 1e9));
        let help = "Time when rows last arrived, in seconds since 1970; a rebuild adds none.";
        gauge("mlops_newest_data_timestamp_seconds", help, newest.into_iter().collect());
        self.overdue(&mut gauge);
        let findings = self.findings.iter().map(|(kind, severity, n)| {
            (format!("{{kind=\"{kind}\",severity=\"{severity}\"}}"), *n as f64)
        });
        let help = "Findings that are open, by kind and severity.";
        gauge("mlops_open_findings", help, findings.collect());
        let waiting = self.alerts.map(|n| (String::new(), n as f64));
        let help = "Alerts that could not be sent yet.";
        gauge("mlops_alerts_waiting", help, waiting.into_iter().collect());
        let releases = self.outcomes.iter().flat_map(|all| all.releases.iter().take(RELEASES));
        let of = |value: &dyn Fn(&OfRelease) -> Option<f64>| -> Vec<(String, f64)> {
            let one =
                |of: &OfRelease| Some((format!("{{version=\"{}\"}}", of.release), value(of)?));
            releases.clone().filter_map(one).collect()
        };
        let help = "Logged predictions of a release, when labels were last joined.";
        gauge("mlops_logged_predictions", help, of(&|of| Some(of.total.predicted as f64)));
        let help = "The share of them that have a label.";
        gauge("mlops_label_coverage", help, of(&|of| Some(of.total.coverage)));
        let scores = |of: &OfRelease| of.windows.iter().rev().find_map(|w| w.realised.scores);
        let help = "F1 of a release on labels that came later, in the newest window that has some.";
        gauge("mlops_realised_f1", help, of(&|of| Some(scores(of)?.f1)));
        let help = "The ends of its 95 % interval.";
        let ends = releases.clone().filter_map(|of| Some((&of.release, scores(of)?.f1_interval)));
        let ends = ends.flat_map(|(release, interval)| {
            let end = |name, value| (format!("{{end=\"{name}\",version=\"{release}\"}}"), value);
            [end("low", interval.low), end("high", interval.high)]
        });
        gauge("mlops_realised_f1_interval", help, ends.collect());
        let help = "F1 of the best constant answer on the same labels.";
        gauge("mlops_realised_constant_f1", help, of(&|of| Some(scores(of)?.constant.f1)));
        let labels: Vec<_> = self.outcomes.iter().map(|all| &all.labels).collect();
        let labels = labels.iter().flat_map(|l| {
            [("kept", l.kept), ("unknown", l.unknown), ("doubled", l.doubled)]
                .into_iter()
                .chain([("changed", l.changed), ("unreadable", l.unreadable)])
        });
        let labels = labels.map(|(name, n)| (format!("{{kind=\"{name}\"}}"), n as f64));
        gauge("mlops_labels", "Labels that were read, by what became of them.", labels.collect());
        out
    }

    /// How the sources stood.
    fn overdue(&self, gauge: &mut impl FnMut(&str, &str, Vec<(String, f64)>)) {
        let of = |value: &dyn Fn(&SourceState) -> Option<f64>| -> Vec<(String, f64)> {
            let labelled = |state: &SourceState| {
                Some((format!("{{source=\"{}\"}}", escaped(&state.source)), value(state)?))
            };
            self.sources.iter().filter_map(labelled).collect()
        };
        let level = |state: &SourceState| match state.level {
            None => Some(0.0),
            Some(Level::Warn) => Some(1.0),
            Some(Level::Error) => Some(2.0),
        };
        let seconds = |at: DateTime<Utc>| at.timestamp_millis() as f64 / 1000.0;
        let help =
            "Whether data of a source are overdue: 0 no, 1 warning, 2 error; at the last look.";
        gauge("mlops_source_overdue", help, of(&level));
        let help = "Time when data of a source last arrived, in seconds since 1970.";
        let arrived = |state: &SourceState| state.clocks.arrived.map(seconds);
        gauge("mlops_source_arrived_timestamp_seconds", help, of(&arrived));
        let help =
            "Time when data of a source are due next, in seconds since 1970; at the last look.";
        let next = |state: &SourceState| state.next_due.map(seconds);
        gauge("mlops_source_next_due_timestamp_seconds", help, of(&next));
    }

    /// The scores to expect of the live release until labels come, and whether what is asked drifted.
    fn asked(&self, gauge: &mut impl FnMut(&str, &str, Vec<(String, f64)>)) {
        let both = self.live.as_ref().zip(self.asked.as_ref());
        let Some(((release, _), window)) = both else { return };
        let labels = format!("{{version=\"{release}\"}}");
        let mut one = |name: &str, help: &str, value: f64| {
            gauge(name, help, vec![(labels.clone(), value)]);
        };
        if let Some(estimate) = window.outlook.estimate() {
            let Expected { value, interval } = estimate.f1;
            let help = "F1 to expect of the rows that are asked, until their labels come; absent if \
                        no estimate can be trusted.";
            one("mlops_model_estimated_f1", help, value);
            let help = "Lower end of the 95 % interval of that F1.";
            one("mlops_model_estimated_f1_lower", help, interval.low);
            let help = "Upper end of the 95 % interval of that F1.";
            one("mlops_model_estimated_f1_upper", help, interval.high);
        }
        let drifted = f64::from(u8::from(window.drift.data_drift));
        one("mlops_asked_drift", "Whether the rows that are asked drifted.", drifted);
        one("mlops_asked_rows", "Number of these rows.", window.rows as f64);
    }
}

/// A label value with the necessary escapes.
fn escaped(text: &str) -> String {
    text::printable(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_told_and_names_are_escaped() {
        assert_eq!(Figures::default().prometheus(), "");
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
        let successes = vec![(Step::FullProcess, "2026-11-29T06:30:00.500Z".to_owned())];
        let live = Some(("r-1-0123456789ab".parse().unwrap(), 0.75));
        let text = Figures { live, successes, ..Figures::default() }.prometheus();
        let expected = [
            "# HELP mlops_model_f1 F1 of the live release on its test set.",
            "# TYPE mlops_model_f1 gauge",
            "mlops_model_f1{version=\"r-1-0123456789ab\"} 0.75",
            "# HELP mlops_last_success_timestamp_seconds Time of the last success of a step, in \
             seconds since 1970.",
            "# TYPE mlops_last_success_timestamp_seconds gauge",
            "mlops_last_success_timestamp_seconds{step=\"fullprocess\"} 1795933800.5",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}

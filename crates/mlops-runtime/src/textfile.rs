//! The figures of unattended runs for node_exporter's textfile collector, in Prometheus' format:
//! F1, drift, ingestion, the last success of each step.
//!
//! Not for a service's own figures: see `/metrics` of `mlops-serve`.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::path::Path;

use mlops_core::Result;
use mlops_core::context::Context;
use mlops_core::decision::Decision;
use mlops_core::ledger::Ledger;

/// Steps whose last success is told.
const STEPS: [&str; 8] = [
    "fullprocess",
    "first_run",
    "ingestion",
    "training",
    "scoring",
    "deployment",
    "diagnostics",
    "reporting",
];

/// Writes the file `path` after a run of `step` that ended with `status`.
pub(crate) fn write(context: &Context, path: &Path, step: &str, status: u8) -> Result<()> {
    let mut page = Page::default();
    page.family(
        "mlops_last_exit_status",
        "How the last run ended: 0, 1, or 3 for a person needed.",
    );
    page.sample(&[("step", step)], status);
    if let Some(ledger) = Ledger::open_to_read(&context.config.ledger_path())? {
        successes(&mut page, &ledger)?;
        ingestion(&mut page, &ledger)?;
        live(&mut page, &ledger)?;
        drift(&mut page, &ledger)?;
    }
    context.disk.write(path, page.0.as_bytes())
}

fn successes(page: &mut Page, ledger: &Ledger) -> Result<()> {
    page.family("mlops_last_success_timestamp_seconds", "When each step last succeeded.");
    for step in STEPS {
        let runs = ledger.runs(step, 50)?;
        let success = runs.iter().rev().find(|run| run.outcome.as_deref() != Some("failed"));
        let ended = success.and_then(|run| unix_seconds(run.ended.as_deref()?));
        if let Some(ended) = ended {
            page.sample(&[("step", step)], ended);
        }
    }
    Ok(())
}

fn ingestion(page: &mut Page, ledger: &Ledger) -> Result<()> {
    let mut rows: BTreeMap<&str, u64> = BTreeMap::new();
    for file in ledger.files()? {
        let counts = &file.counts;
        *rows.entry("kept").or_default() += counts.rows_kept;
        *rows.entry("duplicate").or_default() += counts.duplicates();
        *rows.entry("quarantined").or_default() += counts.quarantined;
    }
    page.family("mlops_ingest_rows_total", "Rows of all files so far, by what became of them.");
    for (outcome, rows) in rows {
        page.sample(&[("outcome", outcome)], rows);
    }
    if let Some(dataset) = ledger.latest_dataset()? {
        page.family("mlops_dataset_rows", "Rows of the newest data set.");
        page.sample(&[("version", &dataset.version.to_string())], dataset.rows);
    }
    Ok(())
}

fn live(page: &mut Page, ledger: &Ledger) -> Result<()> {
    let Some(deployment) = ledger.latest_deployment()? else { return Ok(()) };
    let version = [("version", deployment.release.as_str())];
    page.family("mlops_live_release", "1 for the release that went live last.");
    page.sample(&version, 1);
    if let Some(f1) = deployment.f1 {
        page.family("mlops_model_f1", "F1 of the live release on its test data.");
        page.sample(&version, f1);
    }
    Ok(())
}

fn drift(page: &mut Page, ledger: &Ledger) -> Result<()> {
    let Some(record) = ledger.decision(None)? else { return Ok(()) };
    // A record of another version of this program may say other things.
    let Ok(decision) = serde_json::from_str::<Decision>(&record.decision) else { return Ok(()) };
    page.family("mlops_attention", "Findings of the newest decision that need a person.");
    page.sample(&[], decision.concerns.len());
    if let Some(drift) = &decision.drift {
        page.family("mlops_model_f1_new_rows", "F1 of the live release on the rows judged last.");
        page.sample(&[], drift.new_f1);
        page.family("mlops_model_drift", "1 if the live release was found to have drifted.");
        page.sample(&[], u8::from(drift.drifted == Some(true)));
    }
    if let Some(data) = &decision.data_drift {
        page.family("mlops_drift_score", "The newest rows against those before, column by column.");
        for column in &data.columns {
            let name = column.column.as_str();
            page.sample(&[("column", name), ("test", "p_value")], column.comparison.p_value);
        }
        page.family("mlops_data_drift", "1 for each column that was found to have drifted.");
        for column in &data.columns {
            page.sample(&[("column", &column.column)], u8::from(column.drifted));
        }
    }
    Ok(())
}

/// Lines of the format, family by family.
#[derive(Default)]
struct Page(String, &'static str);

impl Page {
    fn family(&mut self, name: &'static str, help: &str) {
        self.1 = name;
        // Writing to a text cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let escaped =
            |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "{}{labels} {value}", self.1);
    }
}

/// Seconds since 1970 of a time as records write it.
fn unix_seconds(time: &str) -> Option<f64> {
    let time = chrono::DateTime::parse_from_rfc3339(time).ok()?;
    Some(time.timestamp_millis() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_times_are_seconds() {
        let mut page = Page::default();
        page.family("f", "Help.");
        page.sample(&[("column", "a\"b\\c\nd")], 0.5);
        page.sample(&[], 1);
        let expected = "# HELP f Help.\n# TYPE f gauge\nf{column=\"a\\\"b\\\\c\\nd\"} 0.5\nf 1\n";
        assert_eq!(page.0, expected);
        assert_eq!(unix_seconds("1970-01-01T00:01:00.500Z"), Some(60.5));
    }
}

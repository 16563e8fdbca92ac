//! The figures of unattended runs for node_exporter's textfile collector, in Prometheus format: how
//! the last run ended, and the workspace's figures, which `/metrics` of the service has too.
//!
//! Not for the latter: see `mlops_core::stage::prometheus`.

use std::fmt::Write as _;
use std::path::Path;

use mlops_core::Result;
use mlops_core::ids::Step;
use mlops_core::ledger::Ledger;
use mlops_core::run::context::Context;
use mlops_core::stage::prometheus::Figures;

/// Writes the file `path` after a run of `step` that ended with `status`.
pub(crate) fn write(context: &Context, path: &Path, step: Step, status: u8) -> Result<()> {
    let mut text = String::new();
    let name = "mlops_last_exit_status";
    let help = "How the last run ended: 0 success, 3 a person is needed, anything else failure.";
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    let _ = writeln!(text, "{name}{{step=\"{step}\"}} {status}");
    if let Some(ledger) = Ledger::open_to_read(&context.config.ledger_path())? {
        // The record of the live release has its score, so that the release need not be read.
        let live = ledger.latest_deployment()?;
        let live = live.and_then(|live| Some((live.release, live.f1?)));
        text.push_str(&Figures::read(&ledger, live)?.prometheus());
    }
    context.disk.write(path, text.as_bytes())
}

//! A progress bar on standard error, if that is a terminal.
//!
//! Not for logs.

use std::io::IsTerminal;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Common;

/// Called with bytes done, bytes in total, and rows.
type Progress = Arc<dyn Fn(u64, u64, u64) + Send + Sync>;

/// A bar that appears with the first progress report, so that short work shows none.
pub(crate) fn bar(common: &Common) -> Option<Progress> {
    if common.quiet || common.json || !std::io::stderr().is_terminal() {
        return None;
    }
    let template = "{bar:30} {bytes}/{total_bytes}  {binary_bytes_per_sec}  {msg}  {eta} left";
    let style = ProgressStyle::with_template(template).ok()?;
    let bar = ProgressBar::hidden().with_style(style);
    Some(Arc::new(move |done, total, rows| {
        if bar.length() != Some(total) {
            bar.set_length(total);
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        bar.set_position(done);
        bar.set_message(format!("{rows} rows"));
        if done >= total {
            bar.finish_and_clear();
        }
    }))
}

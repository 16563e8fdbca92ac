//! The list of findings, the most severe first, or the statement that there are none.
//!
//! Not for finding them: see `stage/findings`.

use crate::document::{Block, paragraph};
use crate::report::Report;

/// The section.
pub(super) fn section(report: &Report) -> Vec<Block> {
    if report.warnings.is_empty() {
        return vec![paragraph(
            "The checks found nothing. That does not mean that nothing is wrong: they only know what \
             they look for.",
        )];
    }
    let mut warnings: Vec<_> = report.warnings.iter().collect();
    warnings.sort_by_key(|w| std::cmp::Reverse(w.severity));
    vec![Block::Findings(warnings.iter().map(|w| (w.severity, w.text.clone())).collect())]
}

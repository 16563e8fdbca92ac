//! The list of findings, the most severe first, or the statement that there are none.
//!
//! Not for finding them: see `stage/findings`.

use crate::report::{Report, Severity};

use crate::escape::escape;

/// Renders the section.
pub(super) fn section(report: &Report) -> String {
    if report.warnings.is_empty() {
        return "<p>The checks found nothing. That does not mean that nothing is wrong: they only \
                know what they look for.</p>\n"
            .to_owned();
    }
    let mut warnings: Vec<_> = report.warnings.iter().collect();
    warnings.sort_by_key(|w| std::cmp::Reverse(w.severity));
    let items: String = warnings
        .iter()
        .map(|w| {
            let (class, word) = match w.severity {
                Severity::Serious => ("serious", "Serious"),
                Severity::Warning => ("warning", "Warning"),
                Severity::Note => ("note", "Note"),
            };
            format!(
                "<li class=\"{class}\"><strong>{word}</strong> <span>{}</span></li>\n",
                escape(&w.text)
            )
        })
        .collect();
    format!("<ul class=\"findings\">\n{items}</ul>\n")
}
